"""Purifiers: diffusion, autoencoders, filters, deep image prior, their training, the attacker's view of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
