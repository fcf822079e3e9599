"""Evaluators: turn (item, output) into a score in [0, 1] with an explanation."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
