"""Detectors: any timm network with one logit, or one of your own, behind `detect(x) -> P(fake)`.

Images x are float32 NCHW in [0, 1].
"""

from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from antidisrupt_lib.detection.objectives import check_finite, logits, one_per_image
from antidisrupt_lib.detection.smooth import smooth_relus
from antidisrupt_lib.disruption.ascent import low_pass
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.naming import display_name
from antidisrupt_lib.plug_ins import is_plug_in, plug_in
from antidisrupt_lib.rehearsal import require_promised, try_network
from antidisrupt_lib.weights import first_sentence, load_network, read_weights

Detect = Callable[[Tensor], Tensor]

ALIASES = {"xception": "legacy_xception"}  # the field's Xception is Chollet's, which timm calls legacy
LOW_FREQUENCIES = "low_frequencies+"  # before a name: the network sees the DCT's lowest quarter along each side alone


@cache
def check_detector(name: str, size: int | None = None, pretrained: bool = False, half_huber: bool = False) -> str:
    """The timm name of a detector, which is tried on the meta device before anything is trained or downloaded.

    A name of somebody's own, `module:callable`, stays as it is; LOW_FREQUENCIES before a name is left out.

    Args:
        size: of the images, in pixels; without it, the network is only looked up.

    Raises:
        ValueError: timm has no such network or no weights for it, or it can't take images of this size.
    """
    bare = name.removeprefix(LOW_FREQUENCIES)
    known = ALIASES.get(bare, bare)
    if is_plug_in(known):
        _check_own(known, bare != name, pretrained)
    elif not timm.is_model(known):
        near = get_close_matches(known, timm.list_models(), n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "timm.list_models() lists them all."
        raise ValueError(f"timm {timm.__version__} has no network called {known!r}. {hint}")
    elif pretrained and not timm.is_model_pretrained(known):
        raise ValueError(f"timm {timm.__version__} has no pretrained weights for {known!r}: set pretrained to false.")
    if size is not None:
        what = f"The detector {name}"
        try_network(lambda: Detector(name, half_huber=half_huber), (1, 3, size, size), what=what, gives=(1,))
    return known


def _check_own(name: str, low: bool, pretrained: bool) -> None:
    if low:
        raise ValueError(f"{LOW_FREQUENCIES} goes before a network of timm's. Let {name}, which is your own, do it.")
    plug_in(name, "detector")
    if pretrained:
        raise ValueError(f"timm has no weights for {name}, which is your own: set pretrained to false.")


class Detector(nn.Module):
    """Logit of "fake" for images in [0, 1], which timm's networks get as (x - 0.5) / 0.5, and your own as they are.

    Args:
        name: timm's or your own. A network of timm's after LOW_FREQUENCIES sees none of a forger's fine patterns.
        pretrained: start from timm's weights, which are downloaded unless this machine has them already.
        half_huber: smooth all of its ReLUs (`smooth.HalfHuberReLU`).

    Raises:
        ValueError: timm has no such network.
        ConnectionError: its weights can't be had; the text says what to do.
    """

    def __init__(self, name: str, pretrained: bool = False, half_huber: bool = False) -> None:
        super().__init__()
        self.architecture = {"name": name} | ({"half_huber": True} if half_huber else {})
        self.network = _create(check_detector(name), pretrained)
        if half_huber:
            smooth_relus(self.network)

    def forward(self, x: Tensor) -> Tensor:
        if is_plug_in(self.architecture["name"]):
            return one_per_image(self.network(x), x, self.network)
        x = low_pass(x) if self.architecture["name"].startswith(LOW_FREQUENCIES) else x
        return self.network(2 * x - 1).squeeze(1)


def _create(name: str, pretrained: bool) -> nn.Module:
    if is_plug_in(name):
        return plug_in(name, "detector")()
    if not pretrained:
        return timm.create_model(name, num_classes=1)
    try:
        return timm.create_model(name, pretrained=True, num_classes=1)
    except Exception as error:  # of the hub, of HTTP, of sockets: they change with the libraries' versions
        raise ConnectionError(
            f"timm's pretrained weights of {name} can't be had ({first_sentence(error)}): offline, run "
            f"timm.create_model({name!r}, pretrained=True) on a machine with a network and copy its "
            "~/.cache/huggingface here, or set pretrained to false."
        ) from error


def detect_with(detector: nn.Module) -> Detect:
    """`detect(x) -> P(fake)` of a network with one logit per image, frozen and in evaluation mode."""
    return probability(detector.eval().requires_grad_(False))


def probability(detector: nn.Module) -> Detect:
    """`detect(x) -> P(fake)` of a network with one logit per image, in whatever mode it is."""
    return lambda x: logits(detector, x).sigmoid()


def load_detector(path: Path | str) -> Detector:
    """A detector from safetensors, by the name on its card.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    return _load(path)[0]


def load_with_axes(path: Path | str) -> tuple[Detector, dict]:
    """A detector, and the axes on its card (arm, seed ...), as the notebooks save it."""
    detector, card = _load(path)
    if not isinstance(card.get("axes"), dict):
        raise ValueError(f"{path} has a card without axes (arm, seed ...): save the detector as notebook 07 does.")
    return detector, card["axes"]


def _load(path: Path | str) -> tuple[Detector, dict]:
    architecture = read_weights(path)[1].get("architecture")
    if isinstance(architecture, dict) and is_plug_in(name := architecture.get("name")):
        require_promised(name, path, "a detector")
    return load_network(path, {"detector": Detector}, "a detector")


@torch.no_grad()
def score(detect: Detect, faces: FaceSet, device: torch.device | str = "cpu", batch_size: int = 64) -> Tensor:
    """P(fake) of every image of a FaceSet, on the CPU.

    Raises:
        ValueError: `detect` gives anything but one probability per image; the text names it.
    """
    return torch.cat([_probabilities(detect, x.to(device)).cpu() for _, x in faces.batches(batch_size)])


def _probabilities(detect: Detect, x: Tensor) -> Tensor:
    found = check_finite(one_per_image(detect(x), x, detect, "P(fake)"), detect, "P(fake)")
    if found.min() < 0 or found.max() > 1:
        raise ValueError(
            f"The detector {display_name(detect)} gives a P(fake) of {found.min():.6g} to {found.max():.6g}, and "
            "probabilities lie in [0, 1]. Of logits give the sigmoid: detect_with(network)."
        )
    return found
