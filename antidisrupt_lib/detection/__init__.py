"""Detectors: networks of timm, their training in the arms of the study, attacks on them and defences."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
