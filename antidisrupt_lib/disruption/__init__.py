"""Disruptions: one projected-gradient engine, other attacks, their objectives and how these combine."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
