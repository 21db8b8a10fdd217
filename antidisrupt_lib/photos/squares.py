"""Where the face is in a photo, the square around it at a forger's size, and a change of that carried back."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from antidisrupt_lib.faces.face_crops import find_face
from antidisrupt_lib.faces.face_detectors import DETECTORS, Detect, face_detector
from antidisrupt_lib.faces.readers import MARGIN
from antidisrupt_lib.training import device

SCALE = 4  # how many times larger the photo is thought to be by an attack that reckons with the way back


@dataclass(frozen=True)
class Square:
    """The part of a photo that a forger gets, in pixels, and how it was found, in words."""

    left: int
    top: int
    side: int
    found: str

    def of(self, pixels: np.ndarray) -> np.ndarray:
        """This part of H x W x 3 pixels, as a view."""
        return pixels[self.top : self.top + self.side, self.left : self.left + self.side]

    def small(self, pixels: np.ndarray, size: int) -> Tensor:
        """This part at a forger's size: 1 x 3 x size x size in [0, 1], where the networks are."""
        square = Image.fromarray(self.of(pixels)).resize((size, size), Image.Resampling.BILINEAR)
        return torch.from_numpy(np.array(square)).permute(2, 0, 1)[None].float().to(device()) / 255

    def enlarged(self, change: Tensor) -> np.ndarray:
        """A change at the forger's size, 1 x 3 x size x size, at the photo's own: side x side x 3.

        Between four values it never leaves them, so that what was inside an eps ball stays there.
        """
        return _resized(change.cpu(), self.side)[0].permute(1, 2, 0).numpy()


def find_square(pixels: np.ndarray, detector: str = "auto") -> Square:
    """The square around the largest face, or the largest centred one.

    Args:
        pixels: uint8 H x W x 3, as a viewer shows them.
        detector: mtcnn or opencv_cascade; "auto" takes the first that is installed; "none" the whole picture.

    Raises:
        ValueError: there is no such detector.
        ImportError: it isn't installed.
    """
    height, width = pixels.shape[:2]
    if (detect := _detector(detector)) is None:
        why = "" if detector == "none" else ' (no face detector is installed: pip install "antidisrupt[video]")'
        return _centred(width / 2, height / 2, min(width, height), pixels, f"the whole picture{why}")
    box = find_face(pixels, detect)
    if box is None:
        return _centred(width / 2, height / 2, min(width, height), pixels, "the whole picture (no face was found)")
    x, y = (box[:2] + box[2:4]) / 2
    return _centred(x, y, (1 + MARGIN) * max(box[2:4] - box[:2]), pixels, f"the largest face, by {detect.__name__}")


def _centred(x: float, y: float, side: float, pixels: np.ndarray, how: str) -> Square:
    height, width = pixels.shape[:2]
    side = round(min(side, width, height))
    left, top = (int(np.clip(c - side / 2, 0, whole - side)) for c, whole in ((x, width), (y, height)))
    return Square(left, top, side, how)


@cache
def _detector(name: str) -> Detect | None:
    if name == "none":
        return None
    if name != "auto":
        return face_detector(name)
    for one in DETECTORS:
        try:
            return face_detector(one)
        except ImportError:  # the next one, or the whole picture, which is said
            continue
    return None


def carried(x: Tensor) -> Sequence:
    """The transform of an attack that reckons with the way of its change to the photo's size and back: [transform]."""

    def transform(x_adv: Tensor) -> Tensor:
        size = x.shape[-1]
        return (x + _resized(_resized(x_adv - x, SCALE * size), size)).clamp(0, 1)

    return [transform]


def _resized(change: Tensor, side: int) -> Tensor:
    return interpolate(change, (side, side), mode="bilinear", antialias=side < change.shape[-1])
