"""Honest statistics of networks of LM calls: pure functions, numpy arrays in, results out.

Importing this package imports nothing else; each name is loaded when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
