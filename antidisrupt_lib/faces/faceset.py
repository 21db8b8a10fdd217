"""FaceSet: the one format in which images travel from stage to stage.

A FaceSet is a folder:
    images.npy      uint8, N x H x W x 3, opened as a memory map: decoded once, never again in a training loop
    faces.parquet   one row per image: image_id, the attributes (0 or 1), identity, and whatever a stage adds
    axes.json       what was done to the images so far, the axes of the results: {"faces": "drawn", "attack": "pgd"}
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow.parquet
import torch
from torch import Tensor

from antidisrupt_lib.training import progress
from antidisrupt_lib.weights import first_sentence, missing


@dataclass(frozen=True)
class FaceSet:
    """Images with their table. `images` is uint8 N x H x W x 3; `table` has a row per image; `axes` its history."""

    images: np.ndarray
    table: pd.DataFrame
    axes: dict

    @classmethod
    def open(cls, folder: Path | str) -> "FaceSet":
        """Open the FaceSet in `folder`.

        Raises:
            FileNotFoundError: there is none; the text names the notebook that makes it.
            ValueError: its parts can't be read, or disagree.
        """
        folder = Path(folder)
        if not (folder / "images.npy").is_file():
            raise FileNotFoundError(missing(folder))
        try:
            images = np.lib.format.open_memmap(folder / "images.npy", mode="r")  # never what is pickled
            if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
                raise ValueError(f"its images are {images.dtype} {images.shape}, not uint8 N x H x W x 3")
            rows = pyarrow.parquet.read_metadata(folder / "faces.parquet").num_rows
            if len(images) != rows:  # before they are read: a small file may unpack to many
                raise ValueError(f"it holds {len(images)} images but {rows} rows")
            table, axes = pd.read_parquet(folder / "faces.parquet"), json.loads((folder / "axes.json").read_text())
        except (ValueError, OSError, OverflowError, RecursionError) as error:
            raise ValueError(f"{folder} can't be read as faces: {first_sentence(error)}. Make it anew.") from error
        return cls(images, table, axes)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        """Side length of the images in pixels."""
        return self.images.shape[1]

    @property
    def image_ids(self) -> list[str]:
        return self.table["image_id"].tolist()

    def x(self, index: slice | Sequence[int] | Tensor = slice(None), device: torch.device | str = "cpu") -> Tensor:
        """The images of `index` as float32 NCHW in [0, 1]."""
        index = index.numpy() if isinstance(index, Tensor) else index
        picked = torch.from_numpy(np.array(self.images[index])).to(device)
        return picked.permute(0, 3, 1, 2).float().div(255)

    def labels(self, names: Sequence[str]) -> Tensor:
        """The attributes `names` as float32 N x len(names), 0 or 1."""
        unknown = [name for name in names if name not in self.table]
        if unknown:
            raise ValueError(
                f"These faces have no attribute {unknown[0]!r}. They have: {', '.join(self.table.columns)}."
            )
        return torch.from_numpy(self.table[list(names)].to_numpy(np.float32, copy=True))

    def rows(self, index: Sequence[int] | np.ndarray) -> "FaceSet":
        """The FaceSet of these rows, in this order."""
        index = np.asarray(index)
        return FaceSet(self.images[index], self.table.iloc[index].reset_index(drop=True), self.axes)

    def first(self, count: int | None) -> "FaceSet":
        """The first `count` images (all, if None), still a view of the file."""
        return self if count is None else FaceSet(self.images[:count], self.table.iloc[:count], self.axes)

    @property
    def people(self) -> pd.Series:
        """Whose image each is, as text: its column `identity`, else its video, else the photo that it is or is made of.

        What a bootstrap resamples; the Series' name, "people", "videos" or "photos", says which it is. Where each photo
        counts as a person of its own, since nobody's identity is known, they are photos.
        """
        columns = {"identity": "people", "video_id": "videos", "source_id": "photos", "image_id": "photos"}
        column = next(name for name in columns if name in self.table)
        people = self.table[column]
        alone = column == "identity" and any(people.equals(self.table.get(name)) for name in ("source_id", "image_id"))
        return people.astype("string").rename("photos" if alone else columns[column]).reset_index(drop=True)

    def limited(self, count: int | None) -> "FaceSet":
        """`count` images of as many people as there are (all, if None), their order kept.

        Every person's first image comes before anybody's second, people in the order in which they appear: neighbours
        are often the same person. The limited set of a limited set is that of the whole.
        """
        if count is None or count >= len(self):
            return self
        people = self.people
        turn, first = people.groupby(people).cumcount(), pd.factorize(people)[0]
        return self.rows(np.sort(np.lexsort((first, turn))[:count]))

    def of(self, image_ids: Sequence[str]) -> "FaceSet":
        """The images with these ids, in their order: the counterpart of a set that was limited before.

        Raises:
            ValueError: one isn't here.
        """
        if list(image_ids) == self.image_ids:
            return self
        rows = {image_id: row for row, image_id in enumerate(self.image_ids)}
        if lost := [image_id for image_id in image_ids if image_id not in rows]:
            raise ValueError(f"{len(lost)} of {len(image_ids)} images aren't among these faces, e.g. {lost[0]}.")
        return self.rows([rows[image_id] for image_id in image_ids])

    def spread(self, count: int) -> "FaceSet":
        """`count` images evenly spread over the set, for pictures: neighbours are often the same person."""
        return self.rows(np.linspace(0, len(self) - 1, count).astype(int))

    def batches(self, batch_size: int, what: str = "") -> Iterator[tuple[slice, Tensor]]:
        """(slice, images as float32 NCHW in [0, 1]) from first to last; under a progress bar, if `what` names it."""
        starts = range(0, len(self), batch_size)
        for start in progress(starts, what, total=len(starts)) if what else starts:
            chosen = slice(start, min(start + batch_size, len(self)))
            yield chosen, self.x(chosen)


def write_faceset(
    folder: Path | str, images: Iterable[np.ndarray], table: pd.DataFrame, axes: dict, *, size: int
) -> FaceSet:
    """Write a FaceSet, batch by batch, and open it. An older one at the same place is replaced when this is complete.

    Args:
        images: uint8 batches of n x size x size x 3 that add up to the rows of `table`.

    Raises:
        ValueError: more or fewer images than rows; nothing is left behind.
    """
    folder = Path(folder)
    temporary = folder.with_name(f".{folder.name}.{uuid4().hex}")
    temporary.mkdir(parents=True)
    try:
        store = np.lib.format.open_memmap(temporary / "images.npy", "w+", np.uint8, (len(table), size, size, 3))
        done = 0
        for batch in images:
            store[done : done + len(batch)] = batch
            done += len(batch)
        if done != len(table):
            raise ValueError(f"{done} images were made for the {len(table)} rows of {folder}.")
        store.flush()
        table.reset_index(drop=True).to_parquet(temporary / "faces.parquet")
        (temporary / "axes.json").write_text(json.dumps(axes))
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return FaceSet.open(folder)


def join(parts: Iterable[FaceSet]) -> FaceSet:
    """The faces of all parts one after another, held in memory; its axes are those of the first part."""
    parts = list(parts)
    table = pd.concat([part.table for part in parts], ignore_index=True)
    return FaceSet(np.concatenate([part.images for part in parts]), table, parts[0].axes)


def mix(one: FaceSet, other: FaceSet, chosen: np.ndarray) -> FaceSet:
    """The faces of `one`, those of the rows `chosen` (N booleans) as they are in `other`; held in memory.

    Raises:
        ValueError: the two aren't the same faces in the same order.
    """
    if one.image_ids != other.image_ids:
        raise ValueError("The two sets hold different faces, or in another order. Make one of the other.")
    return FaceSet(np.where(chosen[:, None, None, None], other.images, one.images), one.table, one.axes)


def to_uint8(x: Tensor) -> np.ndarray:
    """float NCHW in [0, 1] to uint8 NHWC, rounded to the nearest level.

    Raises:
        ValueError: a value isn't finite, which no pixel can hold.
    """
    if lost := int((~x.isfinite()).flatten(1).any(1).sum()):
        raise ValueError(f"{lost} of {len(x)} images hold values that are not finite: what made them has broken down.")
    return x.detach().clamp(0, 1).mul(255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
