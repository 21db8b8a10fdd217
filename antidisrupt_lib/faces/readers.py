"""Readers: a CelebA folder, or any folder of face images with an attribute table, to FaceSets.

Everything is checked before the first FaceSet is begun, and a FaceSet appears only when it is complete. A folder may
hold more than faces: what is no picture, and what is hidden, is skipped with a word.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from threading import Lock

import numpy as np
import pandas as pd
from torchvision.datasets import CelebA

from antidisrupt_lib.faces.casia import is_casia, read_casia
from antidisrupt_lib.faces.face_crops import crop_face, find_face
from antidisrupt_lib.faces.face_detectors import Detect, face_detector
from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.faces.pictures import ENDINGS, largest_square, read_picture, what_is, why_unreadable
from antidisrupt_lib.faces.tables import read_attributes, read_celeba_attributes, read_celeba_column
from antidisrupt_lib.training import progress

OFFICIAL_COUNT = 202_599
ATTRIBUTES = "list_attr_celeba"
FORMS = (".txt", ".csv")  # of CelebA's tables: the official ones, and Kaggle's
FOLDERS = ("", "Anno", "Eval")  # where they lie: beside the images, or as its download is unpacked
IMAGES = ("img_align_celeba", "Img/img_align_celeba")
MARGIN = 0.6  # around a face's box, so that hair is seen: CelebA's crop is 1.5 (MTCNN) to 1.7 (OpenCV) boxes wide


@dataclass(frozen=True)
class Listing:
    """Faces on disk: `folder` holds the files named in `table.image_id`; `boxes` says where to cut a face out of each.

    Without boxes, pictures are taken whole: their largest centred square.
    """

    folder: Path
    table: pd.DataFrame
    boxes: Mapping[str, np.ndarray] = field(default_factory=dict)


def open_faces(
    root: Path | str, *, count: int | None = None, bad_share: float = 0.0, attributes: Sequence[str] = (),
    align: str = "", identities: bool = True,
) -> Listing:  # fmt: skip
    """List a folder of faces, every image checked: what `write_faces` then decodes.

    Args:
        root: a folder in CelebA's layout (also as its download is unpacked, in Anno, Eval and Img, and all this one
            folder down) or CASIA-FaceV5's, or a folder of images with `attributes.csv` (see `faces.tables`).
        count: take the first so many images, in file order; all, if None.
        bad_share: up to this share of unreadable images is left out and listed; more is an error.
        attributes: what the table must have, e.g. those that a forger edits.
        align: the face detector (see `faces.face_detectors`) by which faces are cut out, and turned if it finds eyes.
            A photo without a face counts as unreadable. "" takes pictures whole.
        identities: whether CelebA must have its own. It shows each person about twenty times, so that without them
            nobody can tell its people apart, and a split between people would be none. Kaggle's copy lacks them.

    Returns:
        The listing; its table always has identities: where none are known, each photo is a person of its own.

    Raises:
        FileNotFoundError, ValueError: with what is wrong and where.
    """
    if count is not None and count < 1:
        raise ValueError(f"count is {count}: give 1 or more, or null for all.")
    listing = list_faces(root, attributes, identities)
    if not align and is_casia(listing.folder):
        print("They are taken by their centred square, 480 px of 640: `align` would cut out the faces.")
    table = listing.table.iloc[:count].reset_index(drop=True)
    if "identity" not in table:
        print(f"{listing.folder} has no identities: each photo counts as a person of its own.")
        table["identity"] = table["image_id"]
    bad, boxes = _look_at(listing.folder, table["image_id"], face_detector(align) if align else None)
    if len(bad) > bad_share * len(table):
        shown = ", ".join(f"{file} ({why})" for file, why in list(bad.items())[:5])
        raise ValueError(
            f"{len(bad)} of {len(table)} images in {listing.folder} can't be read: {shown}{' ...' * (len(bad) > 5)}. "
            f"Mend or remove them (with their rows), or allow a share of bad files with bad_share (now {bad_share})."
        )
    for file, why in bad.items():
        print(f"left out: {file} ({why})")
    return Listing(listing.folder, table[~table["image_id"].isin(bad)].reset_index(drop=True), boxes)


def write_faces(
    out: Path | str, listing: Listing, rows: np.ndarray | slice = slice(None), *, name: str, size: int
) -> FaceSet:
    """Decode rows of a listing into the FaceSet `out`: cut to squares and resized, with antialiasing.

    Args:
        name: what the results' axis `faces` calls them, e.g. "drawn" or "celeba".
    """
    table = listing.table.iloc[rows]
    images = decode(listing, table["image_id"].tolist(), size)
    return write_faceset(out, images, table, {"faces": name}, size=size)


def list_faces(root: Path | str, attributes: Sequence[str] = (), identities: bool = False) -> Listing:
    """Find out which layout `root` has, and read its table.

    Raises:
        FileNotFoundError: the folder is missing, empty, or has no attribute table.
        ValueError: table and images disagree, or an attribute is missing, or CelebA's `identities` are.
    """
    root = Path(root).expanduser()
    if not root.is_dir() or not any(root.iterdir()):
        state = "is empty" if root.is_dir() else "is a file" if root.exists() else "does not exist"
        raise FileNotFoundError(f"The faces folder {root} {state}. Give a folder with faces and their attributes.")
    origin, listing = _read_listing(root)
    if lacking := [name for name in attributes if name not in listing.table]:
        raise ValueError(f"{origin} lacks the columns {', '.join(lacking)}. Add them, with a label for each image.")
    if identities and origin.stem == ATTRIBUTES and "identity" not in listing.table:
        raise ValueError(
            f"CelebA shows each person about twenty times, but beside {origin} no identity_CelebA.txt tells "
            "who is who: its people would come into several parts. Put the file there (it is in the folder Anno of "
            "CelebA's own download), or split by file name: split as_published."
        )
    _check_listed(listing, origin)
    return listing


def _read_listing(root: Path) -> tuple[Path, Listing]:
    """The attribute table that was found, and what it and those beside it list."""
    own = root / "attributes.csv"
    if own.is_file() and not _celeba_file(root, ATTRIBUTES):
        return own, Listing(root, read_attributes(own))
    if is_casia(root):
        return root, Listing(root, read_casia(root))
    below = [path for path in sorted(root.iterdir()) if path.is_dir() and path.name not in FOLDERS]
    bases = [base for base in (root, *below) if _celeba_file(base, ATTRIBUTES)]
    if not bases:
        raise FileNotFoundError(
            f"{root} has no attribute table. Expected list_attr_celeba.txt or .csv beside img_align_celeba/ (CelebA's "
            "layout, or its folders Anno, Eval and Img; also one folder down), or attributes.csv with a column "
            "image_id beside the images."
        )
    if len(bases) > 1 and bases[0] != root:
        raise ValueError(f"{root} holds several folders of faces: {', '.join(base.name for base in bases)}. Name one.")
    return _celeba_file(bases[0], ATTRIBUTES), list_celeba(bases[0])


def list_celeba(base: Path) -> Listing:
    """The table of a CelebA folder, official or Kaggle's: a subset, or all; then the official files' md5 is checked."""
    path = _celeba_file(base, ATTRIBUTES)
    table = read_attributes(path) if path.suffix == ".csv" else read_celeba_attributes(path)
    if len(table) == OFFICIAL_COUNT:
        _check_official(base)
    for column, file in (("identity", "identity_CelebA"), ("partition", "list_eval_partition")):
        if path := _celeba_file(base, file):
            table[column] = read_celeba_column(path, table["image_id"])
    folder = next((base / images for images in IMAGES if (base / images).is_dir()), base / IMAGES[0])
    nested = folder / folder.name  # what some tools make of the archive
    return Listing(nested if nested.is_dir() else folder, table)


def _celeba_file(base: Path, name: str, forms: Sequence[str] = FORMS) -> Path | None:
    places = (base / folder / f"{name}{form}" for form in forms for folder in FOLDERS)
    return next((path for path in places if path.is_file()), None)


def _check_official(base: Path) -> None:
    sums = {name: md5 for _, md5, name in CelebA.file_list if name.endswith(".txt")}
    for name, md5 in sums.items():
        path = _celeba_file(base, Path(name).stem, FORMS[:1])
        if path and hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != md5:
            raise ValueError(f"{path} differs from the official file (md5 {md5}). Download it again.")


def _check_listed(listing: Listing, origin: Path) -> None:
    """Refuse rows without a file and pictures without a row; say what else lies in the folders, and is skipped."""
    if not listing.folder.is_dir():
        packed = " Unpack the archive beside it." if any(listing.folder.parent.glob(f"{listing.folder.name}*")) else ""
        raise FileNotFoundError(f"The images of {origin} should be in {listing.folder}, which isn't there.{packed}")
    listed = set(listing.table["image_id"])
    files, skipped = _files_beside(listing.folder, listed)
    absent = sorted(listed - files)
    unlisted = sorted(name for name in files - listed if Path(name).suffix.lower() in ENDINGS)
    if absent or unlisted:
        problems = [
            f"{len(names)} {what} (first: {names[0]}{_instead(listing.folder / names[0])})"
            for names, what in ((absent, "rows have no image"), (unlisted, "images have no row"))
            if names
        ]
        raise ValueError(f"{origin} does not match {listing.folder}: {'; '.join(problems)}. Make them agree.")
    skipped += sorted(name for name in files - listed if listing.folder / name != origin)
    if skipped:
        shown = ", ".join(skipped[:5]) + " ..." * (len(skipped) > 5)
        print(f"skipped in {listing.folder}, hidden or no pictures: {len(skipped)} ({shown})")


def _instead(path: Path) -> str:
    found = what_is(path)
    return "" if found in ("a file", "not there") else f", {found}"


def _files_beside(folder: Path, listed: set[str]) -> tuple[set[str], list[str]]:
    """The files in all folders that a row names, as paths below `folder`, and what is hidden or no file."""
    files, skipped = set(), []
    places = {parent.as_posix() for name in listed for parent in PurePosixPath(name).parents}
    for place in sorted(place for place in places if (folder / place).is_dir()):
        with os.scandir(folder / place) as entries:
            for entry in entries:
                name = entry.name if place == "." else f"{place}/{entry.name}"
                hidden = entry.name.startswith(".") and name not in listed
                if not hidden and (entry.is_file(follow_symlinks=False) or what_is(Path(entry)) == "a file"):
                    files.add(name)
                elif name not in places | listed:
                    skipped.append(name)
    return files, sorted(skipped)


def _look_at(folder: Path, names: pd.Series, detect: Detect | None) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Decode each image once: why those are bad that are, and the box of the face in the others, with a detector."""
    alone = Lock()  # detectors aren't made for threads

    def look(name: str) -> str | np.ndarray | None:
        if (why := why_unreadable(folder / name)) or not detect:
            return why
        pixels = np.asarray(read_picture(folder / name))
        with alone:
            box = find_face(pixels, detect)
        return f"{detect.__name__} finds no face" if box is None else box

    with ThreadPoolExecutor() as pool:
        found = progress(pool.map(look, names), "checking images", len(names))
        seen = dict(zip(names, found, strict=True))
    bad = {name: one for name, one in seen.items() if isinstance(one, str)}
    return bad, {name: one for name, one in seen.items() if isinstance(one, np.ndarray)}


def decode(listing: Listing, names: list[str], size: int, chunk: int = 512) -> Iterator[np.ndarray]:
    """uint8 batches of n x size x size x 3, decoded in threads."""

    def square(name: str) -> np.ndarray:
        picture, box = read_picture(listing.folder / name), listing.boxes.get(name)
        if box is None:
            return largest_square(picture, size)
        return crop_face(np.asarray(picture), box, size, MARGIN, align=len(box) == 8)

    with ThreadPoolExecutor() as pool:
        for start in progress(range(0, len(names), chunk), "decoding", -(-len(names) // chunk)):
            yield np.stack(list(pool.map(square, names[start : start + chunk])))
