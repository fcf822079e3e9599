from .markdown import markdown as markdown
from .summary_table import table as table
