"""Detectors: any timm network with one logit, behind `detect(x) -> P(fake)`, x float32 NCHW in [0, 1]."""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from antidisrupt_lib.detection.objectives import check_finite, logits, one_per_image
from antidisrupt_lib.detection.smooth import smooth_relus
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.naming import display_name
from antidisrupt_lib.weights import load_state, read_weights

Detect = Callable[[Tensor], Tensor]

ALIASES = {"xception": "legacy_xception"}  # the field's Xception is Chollet's, which timm calls legacy


def check_detector(name: str) -> str:
    """The timm name of a detector.

    Raises:
        ValueError: timm has no such network; the text names the nearest.
    """
    name = ALIASES.get(name, name)
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=3)
        hint = f"Did you mean {', '.join(near)}?" if near else "timm.list_models() lists them all."
        raise ValueError(f"timm {timm.__version__} has no network called {name!r}. {hint}")
    return name


class Detector(nn.Module):
    """Logit of "fake" for images in [0, 1], which the network gets as (x - 0.5) / 0.5.

    Args:
        half_huber: smooth all of its ReLUs (`smooth.HalfHuberReLU`).
    """

    def __init__(self, name: str, pretrained: bool = False, half_huber: bool = False) -> None:
        super().__init__()
        self.architecture = {"name": name} | ({"half_huber": True} if half_huber else {})
        self.network = timm.create_model(check_detector(name), pretrained=pretrained, num_classes=1)
        if half_huber:
            smooth_relus(self.network)

    def forward(self, x: Tensor) -> Tensor:
        return self.network(2 * x - 1).squeeze(1)


def detect_with(detector: nn.Module) -> Detect:
    """`detect(x) -> P(fake)` of a network with one logit per image, frozen and in evaluation mode."""
    detector.eval().requires_grad_(False)
    return lambda x: logits(detector, x).sigmoid()


def load_detector(path: Path | str) -> Detector:
    """A detector from safetensors, by the name on its card."""
    return _load(path)[0]


def load_with_axes(path: Path | str) -> tuple[Detector, dict]:
    """A detector, and the axes on its card (arm, seed ...), as the notebooks save it."""
    detector, about = _load(path)
    return detector, about["axes"]


def _load(path: Path | str) -> tuple[Detector, dict]:
    state, about = read_weights(path)
    detector = Detector(**about["architecture"])
    load_state(detector, state, path)
    return detector, about


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
