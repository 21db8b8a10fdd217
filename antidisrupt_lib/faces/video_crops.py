"""The faces of one video: found, and cut out as squares.

This is what runs in other processes, so it stays light: no torch, unless the detector needs it.
"""

import os
import pickle
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from antidisrupt_lib.faces.face_crops import crop_face, find_face
from antidisrupt_lib.faces.face_detectors import Detect
from antidisrupt_lib.faces.video_frames import UnusableVideo, read_frames
from antidisrupt_lib.naming import display_name


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
    return pickle.loads(cropping)  # noqa: S301 (from this process's parent); once in each process


def one_thread() -> None:
    """Keep a process to one thread, before torch is imported: videos are read in parallel already."""
    os.environ["OMP_NUM_THREADS"] = "1"
