"""Readers: a CelebA folder, or any folder of face images with an attribute table, to FaceSets.

Everything is checked before the first FaceSet is begun, and a FaceSet appears only when it is complete.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torchvision.datasets import CelebA

from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.training import progress

CROP = 178  # the published centre crop; smaller images are cropped to their largest centred square
PIXEL_CAP = 40_000_000
OFFICIAL_COUNT = 202_599


@dataclass(frozen=True)
class Listing:
    """Faces on disk: `folder` holds the files named in `table.image_id`."""

    folder: Path
    table: pd.DataFrame


def open_faces(root: Path | str, *, count: int | None = None, bad_share: float = 0.0) -> Listing:
    """List a folder of faces, every image checked: what `write_faces` then decodes.

    Args:
        root: a folder in CelebA's layout (or torchvision's, with `celeba/` below it), or a folder of images with
            `attributes.csv` (column `image_id`, attributes as 0/1 or -1/1, optionally `identity`).
        count: take the first so many images, in file order; all, if None.
        bad_share: up to this share of unreadable images is left out and listed; more is an error.

    Raises:
        FileNotFoundError, ValueError: with what is wrong and where.
    """
    listing = list_faces(root)
    table = listing.table.iloc[:count].reset_index(drop=True)
    bad = find_bad_images(listing.folder, table["image_id"])
    if len(bad) > bad_share * len(table):
        shown = ", ".join(f"{file} ({why})" for file, why in list(bad.items())[:5])
        raise ValueError(
            f"{len(bad)} of {len(table)} images in {listing.folder} can't be read: {shown}{' ...' * (len(bad) > 5)}. "
            f"Mend or remove them (with their rows), or allow a share of bad files with bad_share (now {bad_share})."
        )
    for file, why in bad.items():
        print(f"left out: {file} ({why})")
    return Listing(listing.folder, table[~table["image_id"].isin(bad)].reset_index(drop=True))


def write_faces(
    out: Path | str, listing: Listing, rows: np.ndarray | slice = slice(None), *, name: str, size: int
) -> FaceSet:
    """Decode rows of a listing into the FaceSet `out`: cropped to the centre square (at most 178 px) and resized.

    Args:
        name: what the results' axis `faces` calls them, e.g. "drawn" or "celeba".
    """
    table = listing.table.iloc[rows]
    images = decode(listing.folder, table["image_id"].tolist(), size)
    return write_faceset(out, images, table, {"faces": name}, size=size)


def list_faces(root: Path | str) -> Listing:
    """Find out which layout `root` has and read its table.

    Raises:
        FileNotFoundError: the folder is missing, empty, or has no attribute table.
        ValueError: table and images disagree.
    """
    root = Path(root).expanduser()
    if not root.is_dir() or not any(root.iterdir()):
        state = "is empty" if root.is_dir() else "does not exist"
        raise FileNotFoundError(f"The faces folder {root} {state}. Give a folder with faces and their attributes.")
    for base in (root, root / "celeba"):
        if (base / "list_attr_celeba.txt").is_file():
            return list_celeba(base)
    if (root / "attributes.csv").is_file():
        return list_folder(root)
    raise FileNotFoundError(
        f"{root} has no attribute table. Expected list_attr_celeba.txt beside img_align_celeba/ (CelebA's layout, also "
        "below celeba/), or attributes.csv with a column image_id beside the images."
    )


def list_celeba(base: Path) -> Listing:
    """The table of a CelebA folder: official files, complete (then their md5 sums are checked) or a subset."""
    lines = (base / "list_attr_celeba.txt").read_text().split("\n", 2)
    if len(lines) < 3 or not lines[0].strip().isdigit():
        raise ValueError(f"{base / 'list_attr_celeba.txt'} must begin with a line of the count and a line of names.")
    table = pd.read_csv(base / "list_attr_celeba.txt", sep=r"\s+", skiprows=2, header=None, index_col=0)
    names = lines[1].split()
    if table.shape != (int(lines[0]), len(names)):
        raise ValueError(
            f"{base / 'list_attr_celeba.txt'} announces {int(lines[0])} images and {len(names)} attributes, "
            f"but holds {table.shape[0]} rows of {table.shape[1]}. The file is cut off or was edited: get it again."
        )
    table.columns = names
    if odd := [row for row, fine in zip(table.index, table.isin([-1, 1]).all(axis=1), strict=True) if not fine]:
        raise ValueError(f"{base / 'list_attr_celeba.txt'}: the row of {odd[0]} must hold -1 or 1 only. Get it again.")
    if len(table) == OFFICIAL_COUNT:
        _check_official(base)
    table = (table > 0).astype(np.int8)
    for column, file in (("identity", "identity_CelebA.txt"), ("partition", "list_eval_partition.txt")):
        if (base / file).is_file():
            values = pd.read_csv(base / file, sep=r"\s+", header=None, index_col=0)[1]
            if not table.index.isin(values.index).all():
                raise ValueError(f"{base / file} lacks rows for some images of list_attr_celeba.txt. Get it again.")
            table[column] = values.loc[table.index]
    listing = Listing(base / "img_align_celeba", table.rename_axis("image_id").reset_index())
    return _check_listed(listing, base / "list_attr_celeba.txt")


def list_folder(root: Path) -> Listing:
    """The table of any folder of images with `attributes.csv`."""
    table = pd.read_csv(root / "attributes.csv", dtype={"image_id": str})
    if "image_id" not in table:
        raise ValueError(f"{root / 'attributes.csv'} needs a column image_id; it has {', '.join(table.columns)}.")
    for name in table.columns.drop(["image_id", "identity"], errors="ignore"):
        if not table[name].isin([-1, 0, 1]).all():
            raise ValueError(f"Column {name} of {root / 'attributes.csv'} must hold 0/1 or -1/1 in every row.")
        table[name] = (table[name] > 0).astype(np.int8)
    return _check_listed(Listing(root, table), root / "attributes.csv")


def _check_official(base: Path) -> None:
    sums = {name: md5 for _, md5, name in CelebA.file_list if name.endswith(".txt")}
    for name, md5 in sums.items():
        path = base / name
        if path.is_file() and hashlib.md5(path.read_bytes()).hexdigest() != md5:
            raise ValueError(f"{path} differs from the official file (md5 {md5}). Download it again.")


def _check_listed(listing: Listing, origin: Path) -> Listing:
    if not listing.folder.is_dir():
        raise FileNotFoundError(f"The images of {origin} should be in {listing.folder}, which does not exist.")
    listed = listing.table["image_id"]
    present = {path.name for path in listing.folder.iterdir() if path.suffix.lower() in (".jpg", ".jpeg", ".png")}
    absent, unlisted = sorted(set(listed) - present), sorted(present - set(listed))
    if listed.duplicated().any():
        raise ValueError(f"{origin} lists {listed[listed.duplicated()].iloc[0]} more than once.")
    if absent or unlisted:
        problems = [
            f"{len(names)} {what} (first: {names[0]})"
            for names, what in ((absent, "rows have no image"), (unlisted, "images have no row"))
            if names
        ]
        raise ValueError(f"{origin} does not match {listing.folder}: {'; '.join(problems)}. Make them agree.")
    return listing


def find_bad_images(folder: Path, names: pd.Series) -> dict[str, str]:
    """Images that can't be decoded in full, with the reason, by decoding each once at the smallest scale."""
    with ThreadPoolExecutor() as pool:
        reasons = pool.map(lambda name: _why_bad(folder / name), names)
        checked = dict(zip(names, progress(reasons, "checking images", len(names)), strict=True))
    return {name: why for name, why in checked.items() if why}


def _why_bad(path: Path) -> str | None:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > PIXEL_CAP:
                return f"{image.width} x {image.height} pixels, more than {PIXEL_CAP:,}"
            image.draft("RGB", (1, 1))
            image.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return str(error).replace(str(path), path.name)
    return None


def decode(folder: Path, names: list[str], size: int, chunk: int = 512) -> Iterator[np.ndarray]:
    """uint8 batches of n x size x size x 3, decoded in threads."""
    with ThreadPoolExecutor() as pool:
        for start in progress(range(0, len(names), chunk), "decoding", -(-len(names) // chunk)):
            yield np.stack(list(pool.map(lambda name: _square(folder / name, size), names[start : start + chunk])))


def _square(path: Path, size: int) -> np.ndarray:
    with Image.open(path, formats=("JPEG", "PNG")) as image:
        side = min(CROP, *image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        box = (left, top, left + side, top + side)
        return np.asarray(image.convert("RGB").crop(box).resize((size, size), Image.Resampling.BILINEAR))
