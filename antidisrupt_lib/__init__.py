"""Anti-Disrupt: disruption, purification and detection of deepfakes, measured from end to end.

`import antidisrupt_lib as ad` gives the parts of the chain by name, does to a photo what the command does, and opens
the rooms in which all else is. Nothing is loaded before it is asked for; the stubs (`__init__.pyi`) say what is where.
Images are float32 N x 3 x H x W in [0, 1], eps in the same units, labels N x 5.

    ad.load_faces     photos, drawn or a folder's               ad.ATTRIBUTES, in the labels' order
    ad.forger         forge(x, c) -> edits                      ad.forge_all, its five edits of photos with own labels c
    ad.attack         attack(x, objective, ...) -> x_adv        ad.disrupt, photos against a forger
    ad.purifier       purify(x, generators) -> x                ad.judge, which attributes are seen
    ad.detector       a network, x to logits of "fake"          ad.device, where the networks are
    ad.protect, ad.purify, ad.check: of a photo's file          ad.tour, all three, in pictures

    ad.faces, ad.deepfakes, ad.disruption, ad.purification, ad.detection: the chain, a room a step
    ad.metrics, ad.claims, ad.plots, ad.tables, ad.labels: what came of it; ad.benchmarks, how fast; ad.photos, of files
    ad.result_folder, ad.use_threads, ad.save_table, ad.save_figure, ...: how a notebook begins and ends
"""

import lazy_loader

_find, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has: {', '.join(__all__)}")
    return _find(name)
