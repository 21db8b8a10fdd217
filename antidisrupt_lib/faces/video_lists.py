"""Lists of videos: Celeb-DF v2 and FaceForensics++ as they come, with who is seen in each and who lent the face.

The table of a listing has a row per video: `video_id` (its path below the root), `fake` (0 or 1), `identity` (whose
body and scene it is), `source_identity` (whose face was put in; in a real video the same person), `method` (the
folder: which forgery, or which kind of real video), and `listed` ("train", "val" or "test": what the data set's
own lists say), where the data set brings lists.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

CONTAINERS = {".mp4": "mp4", ".avi": "avi"}  # how a file is opened, whatever it may contain
CELEB_DF = {  # folder: fake, what a name says. The people of YouTube-real are unknown: each video is its own identity
    "Celeb-real": (0, r"(?P<identity>id\d+)_\d+"),
    "YouTube-real": (0, r"(?P<identity>\d+)"),
    "Celeb-synthesis": (1, r"(?P<identity>id\d+)_(?P<source>id\d+)_\d+"),
}
TEST_LIST = "List_of_testing_videos.txt"
FACEFORENSICS = r"(?P<identity>\d{3})(_(?P<source>\d{3}))?"  # target, then source
ACTORS = "DeepFakeDetection"  # its people are hired actors, not those of the original YouTube sequences


@dataclass(frozen=True)
class VideoListing:
    """Videos on disk: `folder` holds the files named in `table.video_id`; `name` is the data set's."""

    folder: Path
    table: pd.DataFrame
    name: str


def list_videos(root: Path | str) -> VideoListing:
    """Find out which layout `root` has, and list its videos.

    Raises:
        FileNotFoundError: there is no such folder, it has neither layout, or no videos.
        ValueError: names or lists contradict the layout.
    """
    root = Path(root).expanduser()
    if any((root / folder).is_dir() for folder in CELEB_DF):
        return list_celeb_df(root)
    if (root / "original_sequences").is_dir() or (root / "manipulated_sequences").is_dir():
        return list_faceforensics(root)
    raise FileNotFoundError(
        f"{root} has no videos in a known layout. Expected Celeb-DF's folders ({', '.join(CELEB_DF)}) or "
        "FaceForensics++'s (original_sequences/youtube/c23/videos, manipulated_sequences/METHOD/c23/videos)."
    )


def list_celeb_df(root: Path) -> VideoListing:
    """The videos of a Celeb-DF v2 folder, and those that its list of test videos names but that aren't there.

    The list's lines are `1 Celeb-real/id0_0001.mp4`, where 1 means real (https://github.com/yuezunli/celeb-deepfakeforensics).
    """
    test = _test_list(root / TEST_LIST)
    found = {f"{folder}/{path.name}" for folder in CELEB_DF for path in _files(root / folder)}
    rows = [_celeb_df_row(root, video_id) for video_id in sorted(found | test.keys())]
    if wrong := [row["video_id"] for row in rows if test.get(row["video_id"], row["fake"]) != row["fake"]]:
        raise ValueError(f"{root / TEST_LIST} contradicts the folder of {wrong[0]} (1 means real). Get the list again.")
    if not found:
        raise _no_videos(root, [root / folder for folder in CELEB_DF])
    table = pd.DataFrame(rows)
    if test:
        table["listed"] = table["video_id"].isin(test).map({True: "test", False: "train"})
    return VideoListing(root, table, "celeb_df")


def list_faceforensics(root: Path, compression: str = "c23", methods: Sequence[str] | None = None) -> VideoListing:
    """The videos of a FaceForensics++ folder (https://github.com/ondyari/FaceForensics), one compression of them.

    Args:
        methods: the manipulations to list; all, if None, but DeepFakeDetection.
    """
    forged = sorted(path.name for path in root.glob("manipulated_sequences/*") if path.name != ACTORS)
    folders = {"youtube": root / "original_sequences/youtube" / compression / "videos"}
    folders |= {m: root / "manipulated_sequences" / m / compression / "videos" for m in methods or forged}
    rows = [
        _row(root, path, FACEFORENSICS, method, int(method != "youtube"))
        for method, folder in folders.items()
        for path in _files(folder)
    ]
    if not rows:
        raise _no_videos(root, folders.values(), f" of compression {compression}")
    table, listed = pd.DataFrame(rows), _pair_lists(root)
    if listed:
        table["listed"] = table["identity"].map(listed).fillna("")
    return VideoListing(root, table, "faceforensics")


def _no_videos(root: Path, folders: Iterable[Path], which: str = "") -> FileNotFoundError:
    looked = (
        ", ".join(folder.relative_to(root).as_posix() for folder in folders if folder.is_dir()) or "no folder of theirs"
    )
    return FileNotFoundError(f"{root} holds no videos{which} ({' or '.join(CONTAINERS)}): looked in {looked}.")


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in CONTAINERS and path.name.startswith("."):
            print(f"skipped: {path}, a hidden file")
        elif path.suffix.lower() in CONTAINERS:
            yield path


def _celeb_df_row(root: Path, video_id: str) -> dict:
    folder = video_id.partition("/")[0]
    if folder not in CELEB_DF:
        raise ValueError(f"{root / TEST_LIST} names {video_id}, which lies in none of {', '.join(CELEB_DF)}.")
    fake, pattern = CELEB_DF[folder]
    return _row(root, root / video_id, pattern, folder, fake)


def _row(root: Path, path: Path, pattern: str, method: str, fake: int) -> dict:
    names = re.fullmatch(pattern, path.stem)
    people = names.groupdict() if names else {}
    if not names or bool(people.get("source")) != bool(fake):
        raise ValueError(f"The name of {path} does not tell who is in it, as {method} names do. Rename or remove it.")
    who = {"identity": people["identity"], "source_identity": people.get("source") or people["identity"]}
    return {"video_id": path.relative_to(root).as_posix(), "fake": fake} | who | {"method": method}


def _test_list(path: Path) -> dict[str, int]:
    """Video to fake (0 or 1); empty, if there is no list."""
    lines = [line.split() for line in path.read_text().splitlines() if line.strip()] if path.is_file() else []
    if odd := [line for line in lines if len(line) != 2 or line[0] not in ("0", "1")]:
        raise ValueError(f"{path}: the line {' '.join(odd[0])!r} must be 1 (real) or 0, and a video. Get it again.")
    return {video: int(label == "0") for label, video in lines}


def _pair_lists(root: Path) -> dict[str, str]:
    """Sequence to "train", "val" or "test", from the data set's lists of pairs, [["071", "054"], ...]."""
    listed = {}
    for part in ("train", "val", "test"):
        for path in (root / "splits" / f"{part}.json", root / f"{part}.json"):
            if path.is_file():
                listed |= {sequence: part for pair in json.loads(path.read_text()) for sequence in pair}
    return listed
