from .tour import uploaded as uploaded
