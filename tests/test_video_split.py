"""No video and no person is on both sides, unless a split that leaks is asked for; and the leak is counted."""

import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib.faces.video_split import identity_groups, leak, leak_table, split_rows, undersample


def make_crops(pairs: list[tuple[int, int]], per_video: int = 5, alone: int = 0) -> pd.DataFrame:
    """A real video of each person and a fake of each pair, some crops of each; `alone` more people, real only."""
    people = sorted({person for pair in pairs for person in pair}) + [100 + i for i in range(alone)]
    videos = [(f"r{p}", 0, p, p) for p in people] + [(f"f{a}_{b}", 1, a, b) for a, b in pairs]
    table = pd.DataFrame(videos, columns=["video_id", "fake", "identity", "source_identity"])
    return table.loc[np.repeat(table.index, per_video)].reset_index(drop=True)


@pytest.fixture
def crops() -> pd.DataFrame:
    return make_crops([(i, i + 1) for i in range(0, 40, 2)] + [(1, 2), (3, 4)], alone=10)


def test_people_whom_fakes_join_are_one_group():
    table = make_crops([(0, 1), (1, 2), (5, 6)], per_video=1, alone=1)
    groups = dict(zip(table["identity"], identity_groups(table), strict=True))
    assert groups[0] == groups[1] == groups[2] and groups[5] == groups[6]
    assert len(set(groups.values())) == 3


def test_by_identity_shares_neither_videos_nor_people(crops):
    for seed in range(5):
        found = leak(crops, split_rows(crops, "by_identity", seed))
        assert found["videos on both sides"] == found["identities on both sides"] == found["crops left out"] == 0
        assert found["crops in test"] == pytest.approx(0.2 * len(crops), abs=25)  # groups of up to 45 crops


def test_by_video_shares_people_only_and_by_crop_shares_videos(crops):
    by_video, by_crop = (leak(crops, split_rows(crops, split, 0)) for split in ("by_video", "as_published"))
    assert by_video["videos on both sides"] == 0 < by_video["identities on both sides"]
    assert by_crop["videos on both sides"] > 20 and by_crop["crops in test of a video in train"] > 50
    for found in (by_video, by_crop):
        assert found["crops in test"] == pytest.approx(0.2 * len(crops), abs=3)


def test_when_fakes_join_everybody_they_are_cut():
    crops = make_crops([(a, b) for a in range(10) for b in range(10) if a != b])
    with pytest.raises(ValueError, match="test side would have no real videos.* split by_identity_cut"):
        split_rows(crops, "by_identity", 0)
    side = split_rows(crops, "by_identity_cut", 0)
    found = leak(crops, side)
    assert found["identities on both sides"] == 0 < found["crops left out"]
    assert set(crops["fake"][side == ""]) == {1}


def test_as_listed_follows_the_lists(crops):
    lists = np.where(crops["identity"] < 6, "test", np.where(crops["identity"] < 9, "val", "train"))
    side = split_rows(crops.assign(listed=lists), "as_listed", 0)
    assert np.array_equal(side == "test", lists == "test") and set(side) == {"train", "test"}
    for table in (crops, crops.assign(listed="")):
        with pytest.raises(ValueError, match="no complete lists"):
            split_rows(table, "as_listed", 0)


def test_the_leak_table_holds_every_split_on_the_same_crops(crops):
    table = leak_table(crops, 0).set_index("split")
    assert table.loc["by_identity", "identities on both sides"] == 0 < table.loc["as_published", "videos on both sides"]
    assert "no complete lists" in table.loc["as_listed", "note"] and pd.isna(table.loc["as_listed", "crops in test"])
    whole = table[["crops in train", "crops in test", "crops left out"]].sum(axis=1).drop("as_listed")
    assert (whole == len(crops)).all() and (table["note"].drop("as_listed") == "").all()


def test_same_seed_same_split_and_another_seed_another(crops):
    for split in ("by_identity", "by_video", "as_published"):
        first, again, other = (split_rows(crops, split, seed).tolist() for seed in (0, 0, 1))
        assert first == again != other
    with pytest.raises(ValueError, match="no split 'by_luck'. Choose one of by_identity"):
        split_rows(crops, "by_luck", 0)


def test_undersampling_leaves_as_many_fakes_as_reals_on_each_side(crops):
    crops["split"] = split_rows(crops, "by_identity", 0)
    kept = crops.iloc[undersample(crops, 0)]
    counts, before = (table.groupby(["split", "fake"]).size().unstack() for table in (kept, crops))
    assert (counts[0] == counts[1]).all() and (counts[0] == before.min(axis=1)).all()
    assert kept.index.is_monotonic_increasing and kept.index.is_unique
    assert undersample(crops, 0).tolist() == undersample(crops, 0).tolist() != undersample(crops, 1).tolist()
    with pytest.raises(ValueError, match="Undersampled, the test side would have no fakes"):
        undersample(crops[(crops["split"] == "train") | (crops["fake"] == 0)].reset_index(drop=True), 0)
