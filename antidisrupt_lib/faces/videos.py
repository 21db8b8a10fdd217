"""Videos to FaceSets of face crops: in parallel, restartable, and with a list of the videos that gave none.

What each video gives, crops or a reason why not, is kept in a file of its own until the FaceSets are written: a run
that is stopped goes on where it was. Full Celeb-DF at 299 pixels needs about 40 GB there, and up to as much for its
FaceSets.
"""

import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import cloudpickle
import numpy as np
import pandas as pd
from loky import ProcessPoolExecutor

from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.faces.video_crops import Cropping, one_thread, read_faces, read_pickled
from antidisrupt_lib.faces.video_lists import VideoListing
from antidisrupt_lib.fingerprint import fingerprint
from antidisrupt_lib.naming import display_name
from antidisrupt_lib.seeding import key_to_seed
from antidisrupt_lib.training import progress
from antidisrupt_lib.weights import atomic_path

FRAMES = {"train": 25, "test": 20}  # per video (protocol 3.7)


@dataclass(frozen=True)
class Crops:
    """Crops that wait to be written: a row each in `table`; `failures` names the videos without any, and why.

    `table` has the columns of the videos, and image_id, frame (its number), time (in seconds), and detector.
    """

    table: pd.DataFrame
    failures: pd.DataFrame
    files: dict[str, Path]
    size: int
    name: str

    def rows(self, index: np.ndarray) -> "Crops":
        """The crops of these rows, in this order."""
        return replace(self, table=self.table.iloc[index].reset_index(drop=True))


def read_videos(
    videos: VideoListing, cache: Path | str, cropping: Cropping, *, frames: Mapping[str, int] = FRAMES,
    bad_share: float = 0.1, workers: int | None = None,
) -> Crops:  # fmt: skip
    """Find and crop the faces of all videos whose `split` (a column of the listing) is in `frames`.

    Args:
        cache: folder for what each video gives; another setting, another code of `detect`, or a changed file is read
            anew. A `detect` that holds what can't be compared (an open model of a library in C) is warned of, and all
            is read anew each time; one that makes its model in itself, as `face_detectors` do, can be compared.
        cropping: its `detect` may be any callable; with several workers it is pickled by cloudpickle.
        frames: per split, how many frames to take of a video. Frames without a face are skipped.
        bad_share: up to this share of videos that give nothing is listed and left out; more is an error.
        workers: processes; one per CPU, if None. Scripts then need the usual `if __name__ == "__main__":`.

    Raises:
        ValueError: nothing to read, or too many videos give nothing.
    """
    table = videos.table[videos.table["split"].isin(list(frames))].reset_index(drop=True)
    if not len(table):
        raise ValueError(f"{videos.folder} has no videos on the sides {', '.join(frames)}. Split the listing first.")
    about = _settings(cropping)
    tasks = [
        (videos.folder / video, _cache_file(Path(cache), videos.folder / video, frames[split], about), frames[split])
        for video, split in zip(table["video_id"], table["split"], strict=True)
    ]
    _read_missing([task for task in tasks if not task[1].is_file()], len(tasks), cropping, workers)
    found = [_without_pixels(file) for _, file, _ in tasks]
    reasons = pd.DataFrame(found, columns=["reason", "detail"])
    failures = pd.concat([table["video_id"], reasons], axis=1)[reasons["reason"] != ""].reset_index(drop=True)
    _check_share(failures, len(table), bad_share, videos.folder)
    files = dict(zip(table["video_id"], [file for _, file, _ in tasks], strict=True))
    return Crops(_crop_table(table, found, cropping), failures, files, cropping.size, videos.name)


def write_crops(out: Path | str, crops: Crops) -> FaceSet:
    """Write the crops as the FaceSet `out`."""
    return write_faceset(out, _pixels(crops), crops.table, {"faces": crops.name}, size=crops.size)


def _settings(cropping: Cropping) -> list:
    """The settings that name a cache file: of the detector all that can be told; if not all, nothing is found again."""
    found = fingerprint(cropping.detect)
    if found.unread:
        warnings.warn(
            f"The face detector {display_name(cropping.detect)} holds a {found.unread[0]}, whose changes can't be "
            "seen: all videos are read, also those read before. Make it inside the function to keep what was read.",
            stacklevel=3,
        )
    rest = [value for key, value in vars(cropping).items() if key != "detect"]
    return [found.digest, uuid4().hex if found.unread else "", *rest]


def _cache_file(cache: Path, path: Path, count: int, about: list) -> Path:
    stat = path.stat() if path.is_file() else None
    key = key_to_seed(path, count, *about, stat and (stat.st_size, stat.st_mtime_ns))
    return cache / f"{path.stem}-{key:016x}.npz"


def _read_missing(tasks: list[tuple], total: int, cropping: Cropping, workers: int | None) -> None:
    """Read the videos of `tasks` (path, cache file, number of frames) into their cache files."""
    results = progress(_in_parallel(tasks, cropping, workers), "reading videos", total, done=total - len(tasks))
    for (_, file, _), result in zip(tasks, results, strict=True):
        with atomic_path(file) as temporary, open(temporary, "wb") as stream:
            np.savez(stream, **result)


def _in_parallel(tasks: list[tuple], cropping: Cropping, workers: int | None) -> Iterator[dict]:
    paths, counts = [path for path, _, _ in tasks], [count for _, _, count in tasks]
    workers = min(workers or os.cpu_count() or 1, len(tasks))
    if workers <= 1:
        yield from map(partial(read_faces, cropping=cropping), paths, counts)
        return
    read = partial(read_pickled, cloudpickle.dumps(cropping))
    # loky's: neither forks torch's threads nor runs the caller's script again
    with ProcessPoolExecutor(workers, initializer=one_thread) as pool:
        yield from pool.map(read, paths, counts)


def _without_pixels(file: Path) -> dict:
    with np.load(file) as found:
        return {name: found[name].tolist() for name in ("frame", "time", "reason", "detail")}


def _crop_table(videos: pd.DataFrame, found: list[dict], cropping: Cropping) -> pd.DataFrame:
    rows = [
        {"image_id": f"{video['video_id']}/{number:05d}"} | video | {"frame": number, "time": time}
        for video, one in zip(videos.to_dict("records"), found, strict=True)
        for number, time in zip(one["frame"], one["time"], strict=True)
    ]
    return pd.DataFrame(rows).assign(detector=display_name(cropping.detect))


def _check_share(failures: pd.DataFrame, total: int, bad_share: float, folder: Path) -> None:
    if len(failures) > bad_share * total or len(failures) == total:
        first = failures.iloc[:5]
        shown = ", ".join(f"{one.video_id} ({one.reason}: {one.detail})" for one in first.itertuples())
        raise ValueError(
            f"{len(failures)} of {total} videos in {folder} give no faces: {shown}{' ...' * (len(failures) > 5)}. "
            f"Mend or remove them, or allow a share of such videos with bad_share (now {bad_share})."
        )


def _pixels(crops: Crops) -> Iterator[np.ndarray]:
    """The crops in the table's order, a batch for each stretch of rows of one video."""
    for video, stretch in groupby(zip(crops.table["video_id"], crops.table["frame"], strict=True), lambda row: row[0]):
        with np.load(crops.files[video]) as found:
            yield found["crops"][np.searchsorted(found["frame"], [number for _, number in stretch])]
