"""Anti-Disrupt: disruption, purification and detection of deepfakes, measured from end to end.

`import antidisrupt_lib as ad` gives the parts of the chain by name, and does to a photo what the command does. Nothing
is loaded before it is asked for. Images are float32 N x 3 x H x W in [0, 1], eps in the same units, labels N x 5.

    ad.load_faces     photos, drawn or a folder's               ad.ATTRIBUTES, in the labels' order
    ad.forger         forge(x, c) -> edits                      ad.forge_all, its five edits of photos with own labels c
    ad.attack         attack(x, objective, ...) -> x_adv        ad.disrupt, photos against a forger
    ad.purifier       purify(x, generators) -> x                ad.judge, which attributes are seen
    ad.detector       a network, x to logits of "fake"          ad.device, where the networks are
    ad.protect, ad.purify, ad.check: of a photo's file          ad.tour, all three, in pictures
"""

import importlib

_PLACES = {
    "by_name": ("load_faces", "zoo_forgers", "forger", "attack", "disrupt", "purifier", "detector", "judge"),
    "deepfakes.stargan": ("ATTRIBUTES",),
    "deepfakes.translations": ("forge_all",),
    "training": ("device",),
    "photos.doing": ("protect", "purify", "check"),
    "photos.tour": ("tour",),
}
_NAMES = {name: f"antidisrupt_lib.{place}" for place, names in _PLACES.items() for name in names}
__all__ = sorted(_NAMES)


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return getattr(importlib.import_module(_NAMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
