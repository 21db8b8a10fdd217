"""A trains the defences, B is collected, C is met: 70/20/10, and nobody is in two of them."""

import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib.faces.split import split_faces


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = [f"{i:06d}.jpg" for i in rng.permutation(np.arange(1, 2001))]
    return pd.DataFrame({"image_id": names, "identity": rng.integers(1, 300, 2000)})


def test_no_identity_is_in_two_parts_and_every_face_in_one(table):
    rows = split_faces(table, "by_identity", 0)
    people = [set(table["identity"].iloc[index]) for index in rows.values()]
    assert not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    assert sorted(np.concatenate(list(rows.values()))) == list(range(2000))


def test_the_parts_hold_70_20_and_10_percent(table):
    shares = [len(index) / len(table) for index in split_faces(table, "by_identity", 0).values()]
    assert shares == pytest.approx([0.7, 0.2, 0.1], abs=0.01)  # an identity has about 7 of 2000 faces


def test_same_seed_same_split_and_another_seed_another(table):
    first, again, other = (split_faces(table, "by_identity", seed)["C"].tolist() for seed in (0, 0, 1))
    assert first == again != other


def test_the_published_split_follows_sorted_file_names_exactly(table):
    rows = split_faces(table, "as_published", 0)
    found = {part: table["image_id"].iloc[index].tolist() for part, index in rows.items()}
    names = sorted(table["image_id"])
    assert {part: sorted(files) for part, files in found.items()} == {
        "A": names[:1400], "B": names[1400:1800], "C": names[1800:],
    }  # fmt: skip


def test_the_published_split_of_celeba_has_the_published_sizes():
    table = pd.DataFrame({"image_id": [f"{i:06d}.jpg" for i in range(1, 202_600)]})
    rows = split_faces(table, "as_published", 0)
    assert [len(index) for index in rows.values()] == [141_820, 40_520, 20_259]  # protocol 1.2


def test_what_cannot_be_split_is_refused(table):
    with pytest.raises(ValueError, match="2 faces are too few: part B would be empty"):
        split_faces(table.iloc[:2], "as_published", 0)
    with pytest.raises(ValueError, match="too few"):
        split_faces(table.assign(identity=1), "by_identity", 0)
    with pytest.raises(ValueError, match="no identities"):
        split_faces(table.drop(columns="identity"), "by_identity", 0)
    with pytest.raises(ValueError, match="no split 'random'. Choose by_identity or as_published"):
        split_faces(table, "random", 0)
