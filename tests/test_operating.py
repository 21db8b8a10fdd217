"""Every measure of a detector agrees with scikit-learn, SciPy, or a count by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, recall_score, roc_auc_score, roc_curve
from sklearn.utils.class_weight import compute_sample_weight

from antidisrupt_lib.metrics.intervals import draw_units
from antidisrupt_lib.metrics.operating import (
    operating_measures,
    pair_scores,
    per_video,
    reliability,
    success_measures,
)
from antidisrupt_lib.metrics.rows import attack_results, operating_results

RNG = np.random.default_rng(7)


def scores(n: int = 300, share: float = 0.8, digits: int = 2) -> pd.DataFrame:
    fake = (RNG.random(n) < share).astype(int)
    score = np.round(np.clip(0.3 * fake + 0.7 * RNG.random(n), 0, 1), digits)
    ids = [f"{i:04d}" for i in range(n)]
    return pd.DataFrame({"image_id": ids, "source_id": [name[:3] for name in ids], "fake": fake, "score": score})


def video_scores(videos: int = 20, frames: int = 5) -> pd.DataFrame:
    table = scores(videos * frames)
    fake = np.repeat(np.arange(videos) % 2, frames)
    names = np.repeat([f"v{i:02d}" for i in range(videos)], frames)
    return table.assign(fake=fake, score=0.2 * fake + 0.7 * RNG.random(len(table)), video_id=names)


def test_measures_along_the_roc_curve_agree_with_scikit_learn_and_scipy():
    table = scores()
    y, score = table["fake"], table["score"]
    weights = compute_sample_weight("balanced", y)
    fpr, tpr, _ = roc_curve(y, score)
    found = operating_measures(table)
    assert found["eer"] == pytest.approx(brentq(lambda x: 1 - x - interp1d(fpr, tpr)(x), 0, 1))
    assert found["auc"] == pytest.approx(roc_auc_score(y, score))
    assert found["average_precision"] == pytest.approx(average_precision_score(y, score, sample_weight=weights))
    assert found["brier"] == pytest.approx(brier_score_loss(y, score, sample_weight=weights))
    for threshold, suffix in ((0.5, ""), (0.25, "_at_0.25")):
        called = (score >= threshold).astype(int)
        assert found[f"recall_fake{suffix}"] == pytest.approx(recall_score(y, called))
        assert found[f"recall_real{suffix}"] == pytest.approx(recall_score(1 - y, 1 - called))


def test_log_weighted_precision_is_that_of_counts_by_hand():
    table = scores(share=0.5)
    real, fake = (table.loc[table["fake"] == label, "score"].to_numpy() for label in (0, 1))
    found = operating_measures(table)
    for recall in (0.1, 0.5, 0.9):
        threshold = max(t for t in fake if (fake >= t).mean() >= recall)
        tp, fp = (fake >= threshold).mean(), (real >= threshold).mean()
        assert found[f"log_weighted_precision_at_{recall}"] == pytest.approx(np.log(tp / (tp + 100 * fp)))


def test_weights_count_a_row_as_often_as_they_say():
    table = scores().assign(half=np.arange(300) % 2)
    counts = RNG.integers(0, 4, len(table))
    repeated = table.loc[table.index.repeat(counts)]
    assert operating_measures(table, counts.astype(float)) == pytest.approx(operating_measures(repeated))


@pytest.mark.parametrize(("equal_mass", "strategy"), [(False, "uniform"), (True, "quantile")])
def test_the_reliability_of_balanced_scores_agrees_with_scikit_learn(equal_mass, strategy):
    table = scores(400, digits=9).assign(fake=np.arange(400) % 2)
    found = reliability(table, equal_mass=equal_mass)
    share, score = calibration_curve(table["fake"], table["score"], n_bins=10, strategy=strategy)
    assert np.allclose(found.share_fake, share) and np.allclose(found.score, score)
    assert found.weight.sum() == pytest.approx(1)
    if equal_mass:
        assert np.allclose(found.weight, 0.1)


def test_the_calibration_error_is_that_of_a_count_by_hand():
    table = scores()
    halves = table["fake"].map(0.5 / table["fake"].value_counts())  # each class has half of the weight
    expected = 0
    for low in np.arange(10) / 10:
        inside = (table["score"] > low) & (table["score"] <= low + 0.1) if low else table["score"] <= 0.1
        expected += abs((halves * (table["score"] - table["fake"]))[inside].sum())
    assert reliability(table).error == pytest.approx(expected)


def test_honest_scores_have_almost_no_calibration_error():
    score = RNG.random(20_000)
    table = pd.DataFrame({"score": score, "fake": (RNG.random(20_000) < score).astype(int)})
    measures = operating_measures(table)
    assert measures["ece"] < 0.02 and measures["ece_equal_mass"] < 0.02
    assert operating_measures(table.assign(score=score**3))["ece"] > 0.1


def test_a_perfect_detector_and_one_that_knows_nothing():
    table = scores(100)
    perfect = operating_measures(table.assign(score=table["fake"].astype(float)))
    assert [perfect[name] for name in ("auc", "average_precision", "eer", "ece", "brier")] == pytest.approx(
        [1, 1, 0, 0, 0]
    )
    blind = operating_measures(table.assign(score=0.5))
    assert [blind[name] for name in ("auc", "average_precision", "eer", "brier")] == pytest.approx(
        [0.5, 0.5, 0.5, 0.25]
    )


def test_attack_success_is_a_count_of_fakes_called_real():
    clean = pd.DataFrame({"image_id": [*"abcd", "r"], "fake": [1, 1, 1, 1, 0], "score": [0.9, 0.8, 0.5, 0.1, 0.1]})
    attacked = clean.assign(score=[0.4, 0.6, 0.3, 0.2, 0.0])
    found = success_measures(pair_scores(attacked, clean))  # a, c and d are called real; d was before
    assert found == pytest.approx({"attack_success": 3 / 4, "attack_success_first_fake": 2 / 3})
    assert found["attack_success"] == pytest.approx(1 - operating_measures(attacked)["recall_fake"])
    missed = success_measures(pair_scores(attacked, clean.assign(score=0.1)))
    assert np.isnan(missed["attack_success_first_fake"])
    with pytest.raises(ValueError, match=r"1 attacked fakes have no clean score, e\.g\. b\. Score them first"):
        pair_scores(attacked, clean.drop(index=1))


def test_a_video_has_the_mean_score_of_its_frames():
    table = video_scores(4, 3)
    videos = per_video(table)
    assert videos["image_id"].tolist() == ["v00", "v01", "v02", "v03"] and videos["fake"].tolist() == [0, 1, 0, 1]
    assert np.allclose(videos["score"], table["score"].to_numpy().reshape(4, 3).mean(1))
    with pytest.raises(ValueError, match="Video v00 has real and fake frames"):
        per_video(table.assign(fake=[1, 0] * 6))
    with pytest.raises(ValueError, match="no column video_id"):
        per_video(scores())


def test_no_draw_lacks_a_class_and_each_is_as_large_as_the_set():
    table = video_scores(8)
    _, counts = draw_units(table["video_id"], 50, table["fake"].to_numpy())
    assert counts.shape == (50, 8) and (counts[:, ::2].sum(1) == 4).all() and (counts[:, 1::2].sum(1) == 4).all()


def test_results_have_rows_of_each_seed_of_their_mean_and_of_videos():
    table = pd.concat([video_scores().assign(seed=seed) for seed in (0, 1)])
    rows = pd.DataFrame(operating_results(table, {"stage": "robust", "arm": "plain"}, draws=60))
    auc = rows[rows["metric"] == "auc"].set_index("seed")
    by_hand = [roc_auc_score(one["fake"], one["score"]) for _, one in table.groupby("seed")]
    assert auc["value"].tolist() == pytest.approx([*by_hand, np.mean(by_hand)]) and set(auc["n"]) == {100}
    videos = rows[rows["metric"] == "auc_per_video"]
    assert set(videos["n"]) == {20} and (videos["value"] > auc["value"].to_numpy()).all()
    assert (auc["low"] < auc["value"]).all() and (auc["value"] < auc["high"]).all()
    bounded = rows.dropna(subset="low")
    assert (bounded["low"] <= bounded["value"]).all() and (bounded["value"] <= bounded["high"]).all()
    assert (rows["stage"] == "robust").all() and "20 videos, 2 seeds" not in set(bounded["over"]) == {
        "10 videos",
        "10 videos, 2 seeds",
    }


def test_intervals_resample_videos_not_their_frames():
    table = video_scores().assign(
        score=lambda t: t["video_id"].map(dict(zip(t["video_id"].unique(), RNG.random(20), strict=True)))
    )
    width = {}
    for name, one in (
        ("videos", table),
        ("frames", table.drop(columns="video_id").assign(source_id=table["image_id"])),
    ):
        row = next(row for row in operating_results(one, {}, draws=100) if row["metric"] == "accuracy")
        width[name] = row["high"] - row["low"]
    assert width["videos"] > 1.5 * width["frames"]


def test_rows_that_belong_to_no_video_are_refused():
    table = video_scores()
    with pytest.raises(ValueError, match="5 of 100 rows have no video. Fill its column in"):
        operating_results(table.assign(video_id=table["video_id"].where(table["video_id"] != "v03")), {}, draws=2)


def test_attack_results_of_frames_and_of_videos():
    clean = video_scores()
    attacked = clean.assign(score=np.where(clean["fake"] == 1, clean["score"] - 0.2, clean["score"]))
    rows = {row["metric"]: row for row in attack_results(attacked, clean, {"attack": "pgd"}, draws=60)}
    fakes = attacked[attacked["fake"] == 1]
    assert rows["attack_success"]["value"] == pytest.approx((fakes["score"] < 0.5).mean())
    means = fakes.groupby("video_id")["score"].mean()
    assert rows["attack_success_per_video"]["value"] == pytest.approx((means < 0.5).mean())
    assert rows["attack_success_per_video"]["n"] == 10 and rows["attack_success"]["n"] == 50
    assert set(rows) >= {"attack_success_first_fake", "attack_success_first_fake_per_video"}
