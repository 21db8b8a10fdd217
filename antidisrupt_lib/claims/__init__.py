"""What each paper claims, a file a source, its published numbers and defects, and the verdicts."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
