"""Faces: FaceSet, drawn people, their true edits and videos, readers of photos and videos, splits."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
