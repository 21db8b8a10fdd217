"""What poison costs and purification brings back, at three readings of the same scores."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antidisrupt_lib.metrics.arms import ARM_AXES, detector_results, recovery_draws
from antidisrupt_lib.metrics.detection import FALSE_ALARMS, detection_measures, false_alarm_measures, halves
from antidisrupt_lib.metrics.intervals import Draws, interval

quick = settings(deadline=None, max_examples=30, derandomize=True)


def scores(gap: float, shift: float = 0.0, people: int = 40, seed: int = 0, **axes: object) -> pd.DataFrame:
    """Two photos each of `people` and a fake each; fakes score higher by `gap`, and all scores are moved by `shift`."""
    photos = [f"{i:03d}" for i in range(2 * people)]
    table = pd.DataFrame({"source_id": photos * 2, "fake": np.repeat([0, 1], 2 * people)})
    table["person"] = [name[:2] + str(int(name[2]) // 2) for name in table["source_id"]]
    rng = np.random.default_rng([seed, people])
    table["score"] = 0.3 * rng.random(len(table)) + 0.3 + gap * table["fake"] + shift
    table["image_id"] = table["source_id"] + table["fake"].astype(str)
    axes = dict.fromkeys(ARM_AXES, "") | {"faces": "f", "detector": "d", "poison_ratio": 1.0, "seed": seed} | axes
    return table.assign(**axes)


def by_hand(table: pd.DataFrame) -> dict[str, float]:
    """Each half of the people at the threshold that 5 % of the other half's reals pass at most."""
    table, called = table.assign(half=halves(table)), pd.Series(False, table.index)
    for half in (0, 1):
        reals = np.sort(table.loc[(table["half"] != half) & (table["fake"] == 0), "score"])
        allowed = int(FALSE_ALARMS * len(reals))
        called |= (table["half"] == half) & (table["score"] > reals[len(reals) - allowed - 1])
    real, fake = 1 - called[table["fake"] == 0].mean(), called[table["fake"] == 1].mean()
    return {"accuracy_at_fpr_5": (real + fake) / 2, "recall_real_at_fpr_5": real, "recall_fake_at_fpr_5": fake}


@quick
@given(gap=st.floats(0, 0.3), people=st.integers(2, 60), seed=st.integers(0, 999))
def test_false_alarms_are_counted_with_a_threshold_of_other_peoples_photos(gap, people, seed):
    table = scores(gap, people=people, seed=seed)
    assert false_alarm_measures(table) == pytest.approx(by_hand(table))
    assert false_alarm_measures(table.assign(score=table["score"].round(1))) == pytest.approx(
        by_hand(table.assign(score=table["score"].round(1)))
    )


def test_nobody_is_in_both_halves_and_the_halves_hang_on_names_alone():
    table = scores(0.1)
    dealt = table.assign(half=halves(table))
    assert (dealt.groupby("person")["half"].nunique() == 1).all()
    assert dealt.groupby("half")["person"].nunique().tolist() == [20, 20]
    shuffled = table.sample(frac=1, random_state=0)
    assert np.array_equal(halves(shuffled), dealt.loc[shuffled.index, "half"])


def test_moved_scores_cost_accuracy_at_a_half_and_nothing_at_five_percent_false_alarms():
    here, moved = (detection_measures(scores(0.25, shift)) for shift in (0.0, 0.3))
    assert moved["accuracy"] == pytest.approx(0.5) and here["accuracy"] > 0.7
    for name in ("auc", "accuracy_at_fpr_5", "recall_fake_at_fpr_5"):
        assert moved[name] == pytest.approx(here[name])


def test_drop_and_recovery_are_given_for_each_reading_side_by_side():
    arms = [scores(0.29, arm="clean", poison_ratio=0.0, seed=seed) for seed in (0, 1, 2)]
    arms += [scores(0.05, arm="poisoned", attack="pgd", seed=seed) for seed in (0, 1, 2)]
    arms += [scores(0.15, arm="purified", attack="pgd", purifier="jpeg", seed=seed) for seed in (0, 1, 2)]
    rows = {(row["arm"], row["metric"]): row for row in detector_results(pd.concat(arms)) if row["seed"] is None}
    for measure, ending in (("accuracy", ""), ("auc", "_auc"), ("accuracy_at_fpr_5", "_at_fpr_5")):
        clean, poisoned, purified = (rows[arm, measure]["value"] for arm in ("clean", "poisoned", "purified"))
        drop, back = rows["poisoned", f"drop{ending}"], rows["purified", f"recovery{ending}"]
        assert drop["value"] == pytest.approx(clean - poisoned) and drop["low"] > 0
        assert back["value"] == pytest.approx((purified - poisoned) / (clean - poisoned))
        assert back["low"] < back["value"] < back["high"] and back["over"] == "40 people, 3 seeds"
        assert rows["purified", f"{measure}_minus_poisoned"]["value"] == pytest.approx(purified - poisoned)


def test_the_recovery_of_means_has_the_delta_methods_scatter():
    rng = np.random.default_rng(0)
    values = [level + 0.02 * rng.standard_normal((3, 1)) + np.zeros((3, 101)) for level in (0.95, 0.7, 0.9)]
    arms = [Draws(v, 40, "people", (0, 1, 2)) for v in values]
    drawn = recovery_draws(*arms)
    c, p, r = (v[:, 0] for v in values)
    ratio = (r.mean() - p.mean()) / (c.mean() - p.mean())
    assert drawn.mean[0] == pytest.approx(ratio)
    leave_one_out = [(np.delete(r - p, i).mean()) / np.delete(c - p, i).mean() for i in range(3)]
    jackknife = np.sqrt(2 / 3 * np.square(leave_one_out - np.mean(leave_one_out)).sum())
    assert drawn.values[:, 0].std(ddof=1) / np.sqrt(3) == pytest.approx(jackknife, rel=0.15)


def test_arms_of_other_seeds_are_compared_on_those_that_both_have():
    arms = [scores(0.29, arm="clean", poison_ratio=0.0, seed=seed) for seed in (0, 1, 2)]
    arms += [scores(0.05, arm="poisoned", attack="pgd", seed=seed) for seed in (2, 1)]
    arms += [scores(0.05, arm="poisoned", attack="bim", seed=7)]
    rows = pd.DataFrame(detector_results(pd.concat(arms), draws=40))
    both = rows[rows["seed"].isna()].set_index(["attack", "metric"])
    auc = {gap: np.mean([detection_measures(scores(gap, seed=seed))["auc"] for seed in (1, 2)]) for gap in (0.29, 0.05)}
    expected = auc[0.29] - auc[0.05]
    assert both.loc[("pgd", "drop_auc"), "value"] == pytest.approx(expected)
    assert both.loc[("pgd", "drop_auc"), "note"].endswith("the 2 seeds that both have")
    assert np.isnan(both.loc[("bim", "drop"), "value"]) and both.loc[("bim", "drop"), "note"] == "no seed in common"


def test_differences_on_the_same_draws_are_narrower_than_their_parts():
    arms = [scores(0.2, arm="purified", attack="pgd", purifier=name) for name in ("reverse_diffusion", "jpeg")]
    arms[1]["score"] += 0.01 * np.random.default_rng(9).standard_normal(len(arms[1]))
    rows = {row["metric"]: row for row in detector_results(pd.concat(arms)) if row["purifier"] == "reverse_diffusion"}
    difference, whole = rows["auc_minus_jpeg"], rows["auc"]
    assert difference["high"] - difference["low"] < 0.4 * (whole["high"] - whole["low"])
    assert interval(Draws(np.zeros((1, 9)), 5, "people")).note == "no interval: all draws are alike"
