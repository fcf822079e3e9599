"""Which network of LM calls buys how much accuracy for how much money, and is it real?

Importing this package imports nothing else: every public name loads its module on first use.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["__version__"]

__version__ = "0.1.0"
