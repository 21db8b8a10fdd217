"""The face in a picture: found, and cut out as a square. Photos and the frames of videos take the same road.

This also runs in other processes, so it stays light: no torch, unless the detector needs it.
"""

import numpy as np
from PIL import Image

from antidisrupt_lib.faces.face_detectors import Detect
from antidisrupt_lib.naming import display_name

SEARCHED = 640  # faces are searched in frames reduced to this longer side


def find_face(frame: np.ndarray, detect: Detect) -> np.ndarray | None:
    """The largest face of a frame as a box (4 or 8 numbers, in pixels of the frame); None, if there is none.

    Raises:
        ValueError: what `detect` gives are no boxes.
    """
    scale = min(1, SEARCHED / max(frame.shape))
    if scale < 1:
        size = round(frame.shape[1] * scale), round(frame.shape[0] * scale)
        frame = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    boxes = _boxes(detect, frame) / scale
    return max(boxes, key=lambda box: (box[2] - box[0]) * (box[3] - box[1]), default=None)


def _boxes(detect: Detect, frame: np.ndarray) -> np.ndarray:
    found = np.asarray(detect(frame), float)
    if found.size and (found.ndim != 2 or found.shape[1] not in (4, 8) or not np.isfinite(found).all()):
        raise ValueError(
            f"The face detector {display_name(detect)} gives {found.tolist()!r:.80} for a frame; it must give boxes, "
            "n x 4 (left, top, right, bottom) or n x 8 with the eyes, in finite numbers, and 0 x 4 without a face."
        )
    return found


def crop_face(frame: np.ndarray, box: np.ndarray, size: int, margin: float = 0.3, align: bool = False) -> np.ndarray:
    """The square around a face, uint8 size x size x 3.

    Its side is 1 + margin times the longer side of the box (as FaceForensics++ crops), at most the frame's shorter
    side; where it would leave the frame it is moved inside, so that no border is invented.

    Args:
        align: turn the frame first, so that the eyes are level.

    Raises:
        ValueError: the box has no eyes to align by.
    """
    image, centre = Image.fromarray(frame), (box[:2] + box[2:4]) / 2
    if align:
        image = image.rotate(_tilt(box), Image.Resampling.BICUBIC, center=tuple(centre))
    side = round(min((1 + margin) * max(box[2:4] - box[:2]), *image.size))
    left, top = (int(np.clip(c - side / 2, 0, whole - side)) for c, whole in zip(centre, image.size, strict=True))
    square = image.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def _tilt(box: np.ndarray) -> float:
    """Degrees by which the line from eye to eye falls to the right."""
    if len(box) < 8:
        raise ValueError("Faces can be aligned only by a detector that finds the eyes (mtcnn). Use it, or don't align.")
    x, y = box[6:8] - box[4:6]
    return np.degrees(np.arctan2(y, x))
