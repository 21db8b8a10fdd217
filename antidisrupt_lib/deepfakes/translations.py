"""The five translations of the protocol (1.2), and the deepfakes they make of a FaceSet."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, HAIR, Forger
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset

UNEDITED = "unedited"  # what a pass through the forger is called that asks for the photo's own labels


def translations(c: Tensor, attributes: Sequence[str] = ATTRIBUTES) -> Tensor:
    """Target labels for each source label: hair colours are set one-hot, every other attribute is flipped.

    Args:
        c: N x len(attributes), 0 or 1.

    Returns:
        T x N x len(attributes), one translation per attribute.
    """
    hair = [i for i, name in enumerate(attributes) if name in HAIR]
    targets = c.repeat(len(attributes), 1, 1)
    for i in range(len(attributes)):
        if i in hair:
            targets[i][:, hair] = 0
            targets[i][:, i] = 1
        else:
            targets[i][:, i] = 1 - c[:, i]
    return targets


def one_translation(c: Tensor, key: torch.Generator) -> tuple[Tensor, Tensor]:
    """The labels of one of the five translations for each photo, N x 5, drawn by `key`, and which one that is, N."""
    drawn = torch.randint(len(ATTRIBUTES), (len(c),), generator=key)
    return translations(c)[drawn, torch.arange(len(c))], drawn


def forge_all(forge: Forger, x: Tensor, c: Tensor, attributes: Sequence[str] = ATTRIBUTES) -> Tensor:
    """The deepfakes of x in every translation: T x N x 3 x H x W in [0, 1]; c are the sources' own labels.

    >>> y = ad.forge_all(ad.forger("stargan"), x, photos.labels(ad.ATTRIBUTES))
    """
    return forge_towards(forge, x, translations(c, attributes))


@torch.no_grad()
def forge_towards(forge: Forger, x: Tensor, targets: Tensor) -> Tensor:
    """What a forger makes of x for each of the T targets, T x N x len(attributes): T x N x 3 x H x W in [0, 1]."""
    return torch.stack([forge(x, target) for target in targets.to(x.device)])


def outputs_of(forge: Forger, faces: FaceSet, device: torch.device | str = "cpu") -> Callable[[Tensor, slice], Tensor]:
    """outputs(x, rows): the deepfakes of images x that stand for these rows of `faces`, as `forge_all` gives them."""
    labels = faces.labels(ATTRIBUTES)
    return lambda x, rows: forge_all(forge, x.to(device), labels[rows]).to(x.device)


def truths(edits: FaceSet, rows: slice) -> Tensor:
    """The true edits of some photos, T x n x 3 x H x W in [0, 1], as `forge_all` gives a forger's.

    Args:
        edits: as `write_true_edits` leaves them.
    """
    count = len(ATTRIBUTES)
    x = edits.x(slice(count * rows.start, count * rows.stop))
    return x.unflatten(0, (-1, count)).transpose(0, 1)


def write_fakes(
    folder: Path | str, photos: FaceSet, forge: Forger, *, name: str = "", edited: bool = True,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> FaceSet:  # fmt: skip
    """The deepfakes of `photos`: one row per (source, translation), sources in order, their translations together.

    The table gets `source_id`, `target_attribute`, and the target labels in the attribute columns; an image id is
    `<source>-<translation>`.

    Args:
        name: what the axis `forger` calls the forger; "" sets none.
        edited: if not, the forger is asked for the photo's own labels, which leaves its traces and no edit: one row per
            source, whose translation is UNEDITED, as is said after the forger's name.
    """
    c = photos.labels(ATTRIBUTES)
    targets, kinds = (translations(c), ATTRIBUTES) if edited else (c[None], (UNEDITED,))

    def made() -> Iterator[np.ndarray]:
        for chosen, x in photos.batches(batch_size, "forging"):
            fakes = forge_towards(forge, x.to(device), targets[:, chosen])
            yield to_uint8(fakes.transpose(0, 1).flatten(0, 1))

    axes = photos.axes | ({"forger": name if edited else f"{name}_{UNEDITED}"} if name else {})
    return write_faceset(folder, made(), _fake_table(photos.table, targets, kinds), axes, size=photos.size)


def _fake_table(table: pd.DataFrame, targets: Tensor, kinds: Sequence[str]) -> pd.DataFrame:
    fakes = table.loc[table.index.repeat(len(kinds))].reset_index(drop=True)
    fakes["source_id"] = fakes["image_id"]
    fakes["target_attribute"] = list(kinds) * len(table)
    fakes["image_id"] = fakes["source_id"] + "-" + fakes["target_attribute"]
    fakes[list(ATTRIBUTES)] = targets.transpose(0, 1).flatten(0, 1).numpy().astype(np.int8)
    return fakes
