"""A detector is judged on the side it was not trained on; the difference of two such judgements is a leak's worth."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.detection.detectors import Detector, detect_with
from antidisrupt_lib.detection.train import DetectorConfig, PlainSet, judge_split, score_table
from antidisrupt_lib.faces.faceset import FaceSet, join
from antidisrupt_lib.metrics.leak import LEAK, leak_results, worth_table
from antidisrupt_lib.metrics.operating import operating_measures, per_video
from antidisrupt_lib.plots.charts import split_points

RNG = np.random.default_rng(3)
METRICS = {"accuracy": "accuracy", "auc_per_video": "AUC per video"}


@pytest.fixture
def crops(make_faces) -> FaceSet:
    """Four crops each of six videos, of which the odd ones are fake."""
    faces, video = make_faces(count=24), np.arange(24) // 4
    return replace(faces, table=faces.table.assign(fake=video % 2, video_id=[f"v{i}" for i in video]))


def scores(split: str, skill: float, videos: int = 24, seeds: tuple = (0, 1, 2)) -> pd.DataFrame:
    """Scores of four crops each of `videos` videos; the more skill, the further apart real and fake."""
    fake, names = np.repeat(np.arange(videos) % 2, 4), np.repeat([f"v{i:02d}" for i in range(videos)], 4)
    one = pd.DataFrame({"image_id": np.arange(4 * videos), "source_id": names, "video_id": names, "fake": fake})
    noise = [RNG.random(len(one)) for _ in seeds]
    tables = [one.assign(score=skill * fake + (1 - skill) * n, seed=s) for s, n in zip(seeds, noise, strict=True)]
    return pd.concat(tables).assign(arm=split)


@pytest.fixture(scope="module")
def both() -> pd.DataFrame:
    return pd.concat([scores("by_identity", 0.1), scores("as_published", 0.45, videos=30)])


@pytest.fixture(scope="module")
def results(both) -> pd.DataFrame:
    return pd.DataFrame(leak_results(both, {"faces": "drawn_videos", "detector": "tiny"}, "by_identity", draws=80))


def test_scores_of_crops_name_their_video_and_those_of_photos_do_not(crops, make_faces):
    detect = detect_with(Detector("mobilenetv3_small_050"))
    real, fake = (crops.rows(np.flatnonzero(crops.table["fake"] == label)) for label in (0, 1))
    table = score_table(detect, real, fake)
    expected = [*real.table["video_id"], *fake.table["video_id"]]
    assert table["video_id"].tolist() == table["source_id"].tolist() == expected and len(per_video(table)) == 6
    photos = make_faces()
    assert "video_id" not in score_table(detect, photos, make_faces(count=24, fakes_of=photos))


def test_a_detector_sees_the_training_side_only_and_is_judged_on_the_other(crops, tmp_path, monkeypatch):
    seen, draw = [], PlainSet.x
    monkeypatch.setattr(PlainSet, "x", lambda data, *args: seen.append(draw(data, *args)) or seen[-1])
    side = np.where(np.arange(24) < 16, "train", np.where(np.arange(24) < 22, "test", ""))
    config = DetectorConfig("mobilenetv3_small_050", steps=3, batch_size=16)
    judged = judge_split(crops, side, config, checkpoint=tmp_path / "c")
    assert judged["image_id"].tolist() == crops.image_ids[16:22] and judged["fake"].tolist() == [0] * 4 + [1] * 2
    trained_on, allowed = ({image.numpy().tobytes() for image in x} for x in (torch.cat(seen), crops.x(slice(16))))
    assert trained_on <= allowed and len(trained_on) > 8


def test_joined_faces_keep_their_rows(crops):
    parts = [crops.rows(range(10)), crops.rows(range(10, 24))]
    whole = join(parts)
    assert np.array_equal(whole.images, crops.images) and whole.table.equals(crops.table) and whole.axes == crops.axes


def test_crops_of_two_sizes_are_refused(crops, make_faces):
    with pytest.raises(ValueError, match="real faces have 32 pixels a side and the fakes 16. Cut both alike"):
        PlainSet(crops, make_faces(size=16))


def test_the_worth_of_a_leak_is_the_difference_of_the_means_over_seeds(both, results):
    worth = results[results["metric"].str.contains("_minus_by_identity")].set_index("metric")
    assert set(worth["arm"]) == {"as_published"} and set(results["stage"]) == {LEAK}
    for suffix, of in (("", lambda table: table), ("_per_video", per_video)):
        means = {
            split: np.mean([operating_measures(of(one))["accuracy"] for _, one in table.groupby("seed")])
            for split, table in both.groupby("arm")
        }
        row = worth.loc[f"accuracy{suffix}_minus_by_identity"]
        assert row["value"] == pytest.approx(means["as_published"] - means["by_identity"])
        assert row["low"] < row["value"] < row["high"] and row["n"] == (30 if suffix else 120)
    assert worth.loc["accuracy_minus_by_identity", "low"] > 0.1  # detectors this far apart can be told apart


def test_splits_that_cannot_be_compared_are_refused(both):
    with pytest.raises(ValueError, match="no scores of the split by_video, only of by_identity, as_published"):
        leak_results(both, {}, "by_video")
    fewer = both[(both["arm"] == "by_identity") | (both["seed"] == 0)]
    with pytest.raises(ValueError, match=r"as_published was trained with the seeds \{0\}, by_identity with \{0, 1, 2"):
        leak_results(fewer, {}, "by_identity")


def test_the_table_and_the_picture_hold_the_measured_numbers(results):
    table = worth_table(results).set_index("split")
    assert table.index.tolist() == ["by_identity", "as_published", "as_published minus by_identity"]
    assert table.columns.tolist() == ["accuracy", "auc", "accuracy_per_video", "auc_per_video"]
    means = results[results["seed"].isna()].set_index(["arm", "metric"])
    row = means.loc[("as_published", "auc_minus_by_identity")]
    assert table.loc["as_published minus by_identity", "auc"] == f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"
    panels = split_points(results, METRICS).axes
    assert [ax.get_title() for ax in panels] == ["accuracy", "AUC per video"]
    for ax, metric in zip(panels, METRICS, strict=True):
        shown = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
        assert shown == [means.loc[(split, metric), "value"] for split in ("by_identity", "as_published")]
