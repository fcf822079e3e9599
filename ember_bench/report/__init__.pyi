from .markdown import markdown as markdown
from .table import table as table
