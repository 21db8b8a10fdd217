"""True edits of drawn people: the same look with one attribute changed, which no data set of photos can have.

Drawn people are functions of (seed, identity, shot), so what a perfect forger would make of a photo can be drawn: the
same person, pose, background, light and noise, with other hair, as the other gender, or at the other age.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
from torch import Tensor

from antidisrupt_lib.faces.drawn import DRAWN_PER_IDENTITY, in_chunks, save_drawn
from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.faces.looks import EDITS, edited, sample_look
from antidisrupt_lib.faces.readers import Listing, decode

CHANGED = 8 / 255  # a pixel counts as changed from here on: JPEG alone stays below
LEAST = 0.005  # an edit that changes a smaller share of the pixels has nothing to change


def changed_region(x: Tensor, truth: Tensor) -> Tensor:
    """Where a true edit changes its photo: N x 1 x H x W booleans, none at all for an edit with nothing to change.

    Args:
        x, truth: N x 3 x H x W in [0, 1].
    """
    region = (truth - x).abs().amax(1, keepdim=True) >= CHANGED
    return region & (region.float().mean((1, 2, 3), keepdim=True) >= LEAST)


def write_true_edits(folder: Path | str, photos: FaceSet, *, seed: int, workers: int | None = None) -> FaceSet:
    """The true edits of drawn photos, in the order of `write_fakes`: sources in order, their five edits together.

    They take the photos' road: drawn at 178 x 218, JPEG of quality 92, centre crop, resize. The table has `image_id`
    (`<source>-<attribute>`), `source_id`, `target_attribute`, `identity`, and the attributes that the edit shows.

    Args:
        photos: a FaceSet of drawn faces, whose image ids tell which.
        seed: the seed that drew them.

    Raises:
        ValueError: the photos weren't drawn.
    """
    if photos.axes.get("faces") != "drawn":
        raise ValueError(f"True edits exist of drawn faces only, not of {photos.axes.get('faces')!r}.")
    Path(folder).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".edits-", dir=Path(folder).parent) as scratch:
        write = partial(_write_edits, Path(scratch), seed)
        table = pd.DataFrame(in_chunks(write, photos.image_ids, workers))
        images = decode(Listing(Path(scratch), table), [f"{name}.jpg" for name in table["image_id"]], photos.size)
        axes = photos.axes | {"arm": "true_edits"}
        return write_faceset(folder, images, table, axes, size=photos.size)


def true_edits_of(folder: Path | str, photos: FaceSet) -> FaceSet:
    """The true edits of these photos among those that `write_true_edits` left in `folder`, in the same order."""
    return FaceSet.open(folder).of([f"{image_id}-{name}" for image_id in photos.image_ids for name in EDITS])


def _write_edits(folder: Path, seed: int, image_ids: Sequence[str]) -> list[dict]:
    rows = []
    for source in image_ids:
        identity, shot = divmod(int(Path(source).stem) - 1, DRAWN_PER_IDENTITY)
        look = sample_look(seed, 1 + identity, shot)
        for attribute in EDITS:
            name = f"{source}-{attribute}"
            shown = replace(look, person=edited(look.person, attribute))
            save_drawn(shown, folder / f"{name}.jpg")
            rows.append({"image_id": name, "source_id": source, "target_attribute": attribute}
                        | {"identity": 1 + identity} | {k: int(v) for k, v in shown.attributes().items()})  # fmt: skip
    return rows
