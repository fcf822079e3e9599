"""Datasets: items to ask, from the Hugging Face hub, from files, or generated.

Importing this package reads no data and imports neither `datasets` nor pyarrow.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
