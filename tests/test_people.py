"""The unit is the person: limited sets are spread over people, and tables carry whose image each is."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from antidisrupt_lib.deepfakes.translations import write_fakes
from antidisrupt_lib.detection.detectors import Detector, detect_with
from antidisrupt_lib.detection.train import score_table
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.metrics.arms import ARM_AXES, detector_results
from antidisrupt_lib.metrics.intervals import interval, mean_draws
from antidisrupt_lib.metrics.rows import units_of

quick = settings(deadline=None, max_examples=60, derandomize=True)
PEOPLE = st.lists(st.integers(0, 6), min_size=1, max_size=25)


def faces_of(people: list[int]) -> FaceSet:
    table = pd.DataFrame({"image_id": [f"{i:03d}" for i in range(len(people))], "identity": people})
    return FaceSet(np.arange(len(people), dtype=np.uint8)[:, None, None, None], table, {})


@quick
@given(people=PEOPLE, count=st.integers(1, 30))
def test_a_limited_set_is_spread_as_evenly_over_people_as_it_can_be(people, count):
    chosen = faces_of(people).limited(count)
    taken = chosen.table["identity"].value_counts()
    whole = pd.Series(people).value_counts()
    assert len(chosen) == min(count, len(people)) and chosen.image_ids == sorted(chosen.image_ids)
    most = taken.reindex(whole.index, fill_value=0)
    assert all(most[a] == whole[a] for a in whole.index if most[a] < most.max() - 1)  # who lags has no more images
    assert chosen.images[:, 0, 0, 0].tolist() == [int(name) for name in chosen.image_ids]


@quick
@given(people=PEOPLE, counts=st.tuples(st.integers(1, 25), st.integers(1, 25)))
def test_a_limited_set_of_a_limited_set_is_that_of_the_whole(people, counts):
    few, more = sorted(counts)
    faces = faces_of(people)
    assert faces.limited(more).limited(few).image_ids == faces.limited(few).image_ids
    assert faces.of(faces.limited(more).limited(few).image_ids).image_ids == faces.limited(few).image_ids


def test_eight_photos_are_eight_people_where_there_are_so_many():
    faces = faces_of(list(np.repeat(range(38), 4)))
    assert faces.first(8).people.nunique() == 2 and faces.limited(8).people.nunique() == 8
    assert faces.limited(None) is faces and faces.limited(999) is faces


def test_the_counterpart_of_other_photos_is_refused():
    with pytest.raises(ValueError, match=r"2 of 3 images aren't among these faces, e\.g\. x"):
        faces_of([0, 0, 1]).of(["000", "x", "y"])


@pytest.mark.parametrize(
    ("columns", "names", "over"),
    [
        ({"identity": [7, 7], "video_id": ["v", "w"]}, ["7", "7"], "people"),
        ({"video_id": ["v", "w"], "source_id": ["v", "w"]}, ["v", "w"], "videos"),
        ({"source_id": ["a", "a"]}, ["a", "a"], "photos"),
        ({}, ["000", "001"], "photos"),
    ],
)
def test_people_are_known_by_identity_else_by_video_else_by_photo(columns, names, over):
    faces = faces_of([0, 0])
    faces = replace(faces, table=faces.table[["image_id"]].assign(**columns))
    assert faces.people.tolist() == names and faces.people.name == over


def test_fakes_and_their_scores_inherit_the_person(faces, forge, tmp_path):
    fakes = write_fakes(tmp_path / "fakes", faces, forge)
    assert fakes.people.tolist() == np.repeat(faces.people, 5).tolist()
    torch.manual_seed(0)
    detect = detect_with(Detector("mobilenetv3_small_050"))
    table = score_table(detect, faces, fakes)
    assert table["person"].tolist() == [*faces.people, *fakes.people] and units_of(table).name == "people"
    unknown = [replace(one, table=one.table.drop(columns="identity")) for one in (faces, fakes)]
    assert units_of(score_table(detect, *unknown)).name == "photos"


def test_intervals_over_people_are_wider_than_those_over_their_photos():
    rng = np.random.default_rng(0)
    photos, owners = [f"{i}" for i in range(152)], np.repeat([f"{i}" for i in range(38)], 4)
    values = rng.standard_normal(38).repeat(4) + 0.5 * rng.standard_normal(152)
    width = {}
    for name, units in (("people", owners), ("photos", photos)):
        _, low, high, _ = interval(mean_draws(values, pd.Series(units, name=name)))
        width[name] = high - low
    assert 1.3 < width["people"] / width["photos"] < 2.2


def test_rows_say_what_was_resampled_and_what_was_held_fixed():
    rng = np.random.default_rng(3)
    axes = dict.fromkeys(ARM_AXES, "") | {"faces": "f", "detector": "d", "arm": "clean"}
    table = pd.DataFrame({"source_id": np.tile([f"p{i}" for i in range(24)], 2), "fake": np.repeat([0, 1], 24)})
    table = table.assign(image_id=lambda t: t["source_id"] + t["fake"].astype(str), **axes)
    scored = [table.assign(score=0.3 * table["fake"] + 0.7 * rng.random(48), seed=seed) for seed in (0, 1)]
    for names, over in ((table["source_id"], "24 photos"), (table["source_id"].str[:2], "10 people")):
        rows = detector_results(pd.concat([one.assign(person=names) for one in scored]), draws=40)
        told = {row["seed"]: (row["over"], row["note"]) for row in rows if row["metric"] == "auc"}
        assert told[0] == (over, "held fixed: seed, forger, purifier, B")
        assert told[None] == (f"{over}, 2 seeds", "held fixed: forger, purifier, B")
