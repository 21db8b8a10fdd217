"""Splits of videos or of their crops into train and test, and what each leaks.

Frames of one video are almost the same picture. A split by crop, as published (protocol 3.7), therefore tests a
detector on what it was trained on; a split by video still tests it on people it was trained on.
"""

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from antidisrupt_lib.seeding import numpy_generator

SPLITS = ("by_identity", "by_identity_cut", "by_video", "as_listed", "as_published")
LEFT_OUT = ""
LEAKS = (
    "crops in train", "crops in test", "crops left out",
    "videos on both sides", "identities on both sides", "crops in test of a video in train",
)  # fmt: skip


def split_rows(table: pd.DataFrame, split: str, seed: int, test_share: float = 0.2) -> np.ndarray:
    """The side, "train" or "test", of each row of a table of videos or of crops.

    by_identity: people who are joined by a fake, directly or over others, stay on one side.
    by_identity_cut: people are dealt singly, and a fake of two people from different sides is left out (""): for data
        in which fakes join nearly everybody.
    by_video: all crops of a video stay on one side.
    as_listed: what the data set's own lists say; its validation part goes to train.
    as_published: each row for itself. Give it crops: the leak is the point.

    Units are shuffled by `seed` and dealt, those with and those without fakes apart, so that `test_share` of the rows
    of both is in test.

    Raises:
        ValueError: there is no such split, no list for it, or a side would lack real or fake rows.
    """
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}. Choose one of {', '.join(SPLITS)}.")
    rng = numpy_generator(seed, "split videos", split)
    if split == "as_listed":
        side = _as_listed(table)
    elif split == "by_identity_cut":
        side = _cut(table, rng, test_share)
    else:
        groups = {"as_published": np.arange(len(table)), "by_video": table["video_id"]}
        side = _deal(groups[split] if split in groups else identity_groups(table), table["fake"], rng, test_share)
    _check_sides(table, side, f"Split {split}")
    return side


def identity_groups(table: pd.DataFrame) -> np.ndarray:
    """The number of each row's group of people: the connected components of identities that fakes join."""
    people = pd.concat([table["identity"], table["source_identity"]])
    codes, names = pd.factorize(people)
    targets, sources = np.split(codes, 2)
    edges = coo_array((np.ones(len(table)), (targets, sources)), shape=(len(names), len(names)))
    return connected_components(edges, directed=False)[1][targets]


def undersample(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Rows, in order, that leave as many real as fake crops on each side: of the larger class, a random part.

    The original drops fakes until they match the reals (protocol 3.7); its data has more fakes.

    Raises:
        ValueError: a side has no real or no fake crops.
    """
    _check_sides(table, table["split"], "Undersampled")
    kept = []
    for side, rows in table.groupby("split").indices.items():
        fake = table["fake"].to_numpy()[rows]
        count = min(fake.sum(), (1 - fake).sum())
        rng = numpy_generator(seed, "undersample", side)
        kept += [rng.permutation(rows[fake == label])[:count] for label in (0, 1)]
    return np.sort(np.concatenate(kept))


def leak_table(crops: pd.DataFrame, seed: int, test_share: float = 0.2) -> pd.DataFrame:
    """What each split would leak on the same crops, a row each; `note` says why a split is impossible."""
    rows = []
    for split in SPLITS:
        try:
            rows.append({"split": split} | leak(crops, split_rows(crops, split, seed, test_share)) | {"note": ""})
        except ValueError as error:
            rows.append({"split": split, "note": str(error)})
    return pd.DataFrame(rows).astype(dict.fromkeys(LEAKS, "Int64"))


def leak(table: pd.DataFrame, side: np.ndarray) -> dict[str, int]:
    """What a split of the crops in `table` leaks: how many videos and people are on both sides, how much is tested."""
    train, test = table[side == "train"], table[side == "test"]
    people = [set(part["identity"]) | set(part["source_identity"]) for part in (train, test)]
    counts = (
        len(train), len(test), len(table) - len(train) - len(test),
        len(set(train["video_id"]) & set(test["video_id"])), len(people[0] & people[1]),
        int(test["video_id"].isin(set(train["video_id"])).sum()),
    )  # fmt: skip
    return dict(zip(LEAKS, counts, strict=True))


def _deal(groups, fake, rng: np.random.Generator, share: float) -> np.ndarray:
    """Deal whole groups: one goes to test if that brings test nearer to its share of the rows."""
    rows = pd.DataFrame({"group": np.asarray(groups), "fake": np.asarray(fake)})
    units = rows.groupby("group")["fake"].agg(size="size", forged="max")
    test = []
    for _, stratum in units.groupby("forged"):
        room = share * stratum["size"].sum()
        for group in rng.permutation(stratum.index):
            if stratum.at[group, "size"] < 2 * room:
                test.append(group)
                room -= stratum.at[group, "size"]
    return np.where(rows["group"].isin(test), "test", "train")


def _cut(table: pd.DataFrame, rng: np.random.Generator, share: float) -> np.ndarray:
    people = np.concatenate([table["identity"], table["source_identity"]])
    target, source = np.split(_deal(people, np.tile(table["fake"], 2), rng, share), 2)
    return np.where(target == source, target, LEFT_OUT)


def _as_listed(table: pd.DataFrame) -> np.ndarray:
    if "listed" not in table or (table["listed"] == "").any():
        raise ValueError("These videos have no complete lists of train and test. Split them by_identity or by_video.")
    return np.where(table["listed"] == "test", "test", "train")


def _check_sides(table: pd.DataFrame, side: np.ndarray, how: str) -> None:
    for name in ("train", "test"):
        labels = set(table["fake"][side == name])
        if labels != {0, 1}:
            raise ValueError(
                f"{how}, the {name} side would have no {'fakes' if 0 in labels else 'real videos'}. Give more "
                "videos, another test_share or seed, or, where fakes join nearly everybody, split by_identity_cut."
            )
