"""The faces of one video: found, and cut out as squares.

This is what runs in other processes, so it stays light: no torch, unless the detector needs it.
"""

import os
import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from antidisrupt_lib.faces.face_detectors import Detect
from antidisrupt_lib.faces.video_frames import UnusableVideo, read_frames
from antidisrupt_lib.naming import display_name

SEARCHED = 640  # faces are searched in frames reduced to this longer side


@dataclass(frozen=True)
class Cropping:
    """How faces are found in frames and cut out; `crop_face` says what size, margin and align mean."""

    detect: Detect
    size: int = 299
    margin: float = 0.3
    align: bool = False
    shortest: int = 10  # frames; a shorter video is left out


def read_faces(path: Path, count: int, cropping: Cropping) -> dict:
    """The largest face of each of `count` frames of a video.

    Returns:
        `frame` and `time` (seconds) of the frames with a face, `crops` (uint8 n x size x size x 3), and empty `reason`
        and `detail`; of a video that is of no use, these two only, with no frames.
    """
    found, crops, seen = [], [], 0
    try:
        for frame in read_frames(path, count, shortest=cropping.shortest):
            seen += 1
            box = find_face(frame.pixels, cropping.detect)
            if box is not None:
                crops.append(crop_face(frame.pixels, box, cropping.size, cropping.margin, cropping.align))
                found.append((frame.number, frame.time))
        if not found:
            raise UnusableVideo("faceless", f"{display_name(cropping.detect)} finds no face in {seen} frames")
    except UnusableVideo as error:
        return {"frame": [], "time": [], "reason": error.reason, "detail": str(error)}
    numbers, times = zip(*found, strict=True)
    return {"frame": numbers, "time": times, "reason": "", "detail": "", "crops": np.stack(crops)}


def read_pickled(cropping: bytes, path: Path, count: int) -> dict:
    """`read_faces` in another process, with a cropping that cloudpickle wrote: its `detect` may be any callable."""
    return read_faces(path, count, _unpickled(cropping))


@lru_cache(1)
def _unpickled(cropping: bytes) -> Cropping:
    return pickle.loads(cropping)  # once in each process


def one_thread() -> None:
    """Keep a process to one thread, before torch is imported: videos are read in parallel already."""
    os.environ["OMP_NUM_THREADS"] = "1"


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
