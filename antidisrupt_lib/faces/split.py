"""The split into A (trains the defences), B (collected, trains detectors) and C (what a deployed detector meets)."""

import numpy as np
import pandas as pd

from antidisrupt_lib.seeding import numpy_generator

SHARES = {"A": 0.7, "B": 0.2, "C": 0.1}
SPLITS = ("by_identity", "as_published")
ZOO_SEED = 101  # params/zoo.yaml draws the people by it that the zoo's weights were trained on


def check_split(split: str) -> None:
    """Raises ValueError: there is no such split."""
    if split not in SPLITS:
        raise ValueError(f"There is no split {split!r}. Choose {' or '.join(SPLITS)}.")


def check_people(faces: str, seed: int, zoo_people: bool) -> None:
    """Raises ValueError: the zoo's own training people would be drawn, on whom its weights can't be judged."""
    if faces == "drawn" and seed == ZOO_SEED and not zoo_people:
        raise ValueError(
            f"Seed {ZOO_SEED} draws the people that the zoo's weights were trained on: no result on them would hold "
            "for others. Take another seed; only params/zoo.yaml, which trains the zoo, sets zoo_people."
        )


def split_faces(table: pd.DataFrame, split: str, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of A, B and C, "by_identity" or "as_published".

    Raises:
        ValueError: there is no such split, or a part would be empty.
    """
    check_split(split)
    rows = split_by_identity(table, seed) if split == "by_identity" else split_as_published(table)
    if empty := [part for part, index in rows.items() if not len(index)]:
        raise ValueError(
            f"{len(table)} faces are too few: part {empty[0]} would be empty. Give more faces or identities."
        )
    return rows


def split_by_identity(table: pd.DataFrame, seed: int) -> dict[str, np.ndarray]:
    """Row numbers of A, B and C, 70/20/10, so that no identity is in two of them.

    Identities are shuffled by `seed` and handed out in that order; an identity goes where its middle image would.

    Raises:
        ValueError: the faces have no identities, or one of them is empty.
    """
    if "identity" not in table:
        raise ValueError("These faces have no identities to split by. Add a column identity, or split as_published.")
    if (empty := table["identity"].isna() | (table["identity"] == "")).any():
        photo = table["image_id"][empty].iloc[0]
        raise ValueError(
            f"Column identity is empty in row {np.argmax(empty)} ({photo}) of the table of faces: its person might "
            "come into two parts. Fill it in, or split as_published."
        )
    identities = numpy_generator(seed, "split").permutation(table["identity"].unique())
    sizes = table["identity"].value_counts().loc[identities]
    middle = (sizes.cumsum() - sizes / 2) / len(table)
    part = pd.Series(np.digitize(middle, _bounds()), index=identities)
    return _rows(part.loc[table["identity"]].to_numpy())


def split_as_published(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Row numbers of A, B and C, 70/20/10, by sorted file name (protocol 1.2). Identities may be in several."""
    order = table["image_id"].argsort(kind="stable").to_numpy()
    part = np.empty(len(table), int)
    part[order] = np.digitize(np.arange(len(table)) / len(table), _bounds())
    return _rows(part)


def _bounds() -> np.ndarray:
    # Rounded: 0.7 + 0.2 is not quite 0.9 in floating point.
    return np.cumsum(list(SHARES.values())).round(6)[:-1]


def _rows(part: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.flatnonzero(part == number) for number, name in enumerate(SHARES)}
