"""One photo through the whole chain, in pictures and numbers: what notebook 00 shows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.faces.drawn import save_drawn
from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.photos.doing import Checked, check, protect, purify
from antidisrupt_lib.photos.files import read_photo
from antidisrupt_lib.photos.judging import SIZE, open_forgery


@dataclass(frozen=True)
class Tour:
    """What became of a photo.

    Attributes:
        faces: "photo", "protected" and "purified", each 1 x 3 x side x side in [0, 1], at the photo's own size.
        edits: the same at the forger's size, 6 x 3 x 64 x 64: the face and its five edits.
        table: how many of the edits that take are broken, a row for each of the two, a column for each road.
        notes: what else is to be known.
    """

    faces: dict[str, Tensor]
    edits: dict[str, Tensor]
    table: pd.DataFrame
    notes: tuple[str, ...]


def tour(
    photo: Path | str, out: Path | str, *, forger: str = "stargan", eps: float = 0.05,
    purifier: str = "reverse_diffusion_10", face_detector: str = "auto", seed: int = 0,
) -> Tour:  # fmt: skip
    """Protect a photo against a forger, purify what was protected, and edit all three.

    Args:
        photo: a file, or "drawn" for a drawn person, another one for each seed.
        out: the folder for protected.png, purified.png and a drawn photo.
        forger, eps, purifier, face_detector, seed: see `protect` and `purify`.

    Raises:
        ValueError: the photo can't be read, or there is no such forger or purifier.

    >>> ad.tour("me.jpg", "out", forger="stargan", eps=0.1).table
    """
    files = {"photo": Path(photo)} | {name: Path(out) / f"{name}.png" for name in ("protected", "purified")}
    if str(photo) == "drawn":
        files["photo"], face_detector = Path(out) / "photo.jpg", "none"  # whole, as the forgers know drawn people
        save_drawn(sample_look(seed, 1, 0), files["photo"])
    find = {"face_detector": face_detector}
    broken = {"protected": protect(files["photo"], files["protected"], forger=forger, eps=eps, seed=seed, **find)}
    purify(files["protected"], files["purified"], purifier=purifier, seed=seed, **find)
    broken["purified"] = check(files["purified"], files["photo"], forger=forger, **find)
    rows = [{"photo": name} | _counts(found) for name, found in broken.items()]
    pixels = {name: read_photo(file).shown for name, file in files.items()}
    square = broken["protected"].square
    faces = {name: square.small(one, square.side).cpu() for name, one in pixels.items()}
    edits = _edits({name: square.small(one, SIZE) for name, one in pixels.items()}, forger)
    return Tour(faces, edits, pd.DataFrame(rows), broken["protected"].notes)


def _counts(found: Checked) -> dict[str, str]:
    """{road: "4 of 5"} over all forgers."""
    sums = {road: [(one.whole, one.take) for one in broken.values()] for road, broken in found.broken.items()}
    return {road: "{} of {}".format(*map(sum, zip(*counts, strict=True))) for road, counts in sums.items()}


@torch.no_grad()
def _edits(faces: dict[str, Tensor], forger: str) -> dict[str, Tensor]:
    """Each face, 1 x 3 x SIZE x SIZE, with its five edits by the first of the forgers; asked for is the same of all."""
    forgery = open_forgery(forger)
    forge, c = next(iter(forgery.forgers.values())), forgery.labels(faces["photo"])
    return {name: torch.cat([x, forge_all(forge, x, c)[:, 0]]).cpu() for name, x in faces.items()}


def uploaded(files: Sequence[dict], folder: Path | str, otherwise: str) -> str:
    """The path of the file that somebody has uploaded by a FileUpload widget, written to `folder`, or `otherwise`."""
    if not files:
        return otherwise
    path = Path(folder) / Path(files[0]["name"]).name
    path.write_bytes(files[0]["content"])
    return str(path)
