"""Frames of a video, evenly spaced over it, or the reason why it gives none."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from antidisrupt_lib.faces.video_lists import CONTAINERS

HELD_BACK = 2  # frames that a sound video may lack at its end (edit lists, packed B-frames)
PIXEL_CAP = 40_000_000  # of a frame


class UnusableVideo(ValueError):
    """A video that gives no crops, with the `reason` in one word and what exactly was found."""

    def __init__(self, reason: str, detail: str):
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class Frame:
    """One picture of a video: its number, its time in seconds, and its pixels, uint8 H x W x 3."""

    number: int
    time: float
    pixels: np.ndarray


def read_frames(path: Path, count: int, *, shortest: int = 1) -> Iterator[Frame]:
    """The middle frames of `count` equal parts of a video; all its frames, where it has fewer than `count`.

    Pictures come as they are stored: a rotation that the file asks for is not applied.

    Raises:
        UnusableVideo: absent, empty, broken (it can't be opened, or ends before its header says), or short (fewer than
            `shortest` frames). A break may show only after some frames were yielded.
    """
    if not path.is_file():
        raise UnusableVideo("absent", "listed, but not there")
    if not path.stat().st_size:
        raise UnusableVideo("empty", "0 bytes")
    try:
        total = _count_frames(path)
        if total < shortest:
            raise UnusableVideo("short", f"{total} frames, fewer than {shortest}")
        yield from _decode(path, set(evenly_spaced(total, count).tolist()), total)
    except av.FFmpegError as error:
        raise UnusableVideo("broken", error.strerror) from error


def evenly_spaced(total: int, count: int) -> np.ndarray:
    """The numbers of the middle frames of `count` equal parts of `total` frames (of all, if there are fewer)."""
    count = min(total, count)
    return ((np.arange(count) + 0.5) * total / count).astype(int)


@contextmanager
def _opened(path: Path):
    # The container is told, not guessed: a playlist named .mp4 could open other files.
    with av.open(str(path), format=CONTAINERS[path.suffix.lower()]) as container:
        if not container.streams.video:
            raise UnusableVideo("broken", "no video stream")
        stream = container.streams.video[0]
        if stream.width * stream.height > PIXEL_CAP:
            raise UnusableVideo("broken", f"{stream.width} x {stream.height} pixels, more than {PIXEL_CAP:,}")
        stream.codec_context.thread_count = 1  # videos are read in parallel already
        yield container, stream


def _count_frames(path: Path) -> int:
    """Frames by their packets, without decoding; more, where the header promises more."""
    with _opened(path) as (container, stream):
        return max(sum(packet.size > 0 for packet in container.demux(stream)), stream.frames)


def _decode(path: Path, chosen: set[int], total: int) -> Iterator[Frame]:
    decoded = 0
    with _opened(path) as (container, stream):
        for number, frame in enumerate(container.decode(stream)):
            if frame.is_corrupt:
                break
            decoded += 1
            if number in chosen:
                yield Frame(number, np.nan if frame.time is None else frame.time, frame.to_ndarray(format="rgb24"))
    if decoded < total - HELD_BACK:
        raise UnusableVideo("broken", f"only {decoded} of its {total} frames can be decoded")
