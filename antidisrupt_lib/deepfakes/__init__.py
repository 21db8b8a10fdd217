"""Forgers: a network a file, their losses and training, the five translations, the judge of edits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
