"""An interval holds its value, has a width wherever something is unknown, and the truth 95 % of the time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from antidisrupt_lib.metrics.intervals import (
    DIFFERENCE,
    FREE,
    SHARE,
    Draws,
    draw_units,
    interval,
    mean_draws,
    measure_draws,
)
from antidisrupt_lib.metrics.operating import operating_measures

quick = settings(deadline=None, max_examples=30, derandomize=True)
SHARES = st.floats(0, 1).map(lambda x: round(x, 3))


def people(names: list | np.ndarray) -> pd.Series:
    return pd.Series([str(name) for name in names], name="people")


@pytest.mark.kind("undefined numbers", "an exact interval over people")
@pytest.mark.parametrize(("right", "n"), [(12, 12), (0, 60), (0, 2), (5, 5), (38, 38)])
def test_where_all_units_agree_the_interval_is_clopper_and_pearsons(right, n):
    found = interval(mean_draws(np.repeat(right / n, n), people(range(n))), SHARE)
    exact = binomtest(right, n).proportion_ci(0.95, "exact")
    assert found[:3] == pytest.approx((right / n, exact.low, exact.high))


def test_images_of_one_person_that_agree_count_once():
    alike = interval(mean_draws(np.ones(60), people(np.repeat(range(12), 5))), SHARE)
    assert alike.low == pytest.approx(binomtest(12, 12).proportion_ci().low)


@quick
@given(value=st.sampled_from([0.0, 0.25, 1.0]), n=st.integers(2, 40), bounds=st.sampled_from([SHARE, DIFFERENCE]))
def test_units_that_agree_leave_what_their_bounds_allow(value, n, bounds):
    found = interval(Draws(np.full((1, 50), value), n, "people"), bounds)
    assert bounds[0] <= found.low <= value <= found.high <= bounds[1] and found.high - found.low > 1.6 / n


@quick
@given(right=st.integers(0, 20), n=st.integers(2, 20))
def test_of_independent_images_the_interval_is_nearly_clopper_and_pearsons(right, n):
    right = min(right, n)
    found = interval(mean_draws((np.arange(n) < right).astype(float), people(range(n))), SHARE)
    exact = binomtest(right, n).proportion_ci(0.95, "exact")  # the draws' variance is known to 5 %
    assert found[:3] == pytest.approx((right / n, exact.low, exact.high), abs=0.02)


def test_a_few_edits_of_few_people_leave_an_interval_between_those_of_none_and_of_independent_ones():
    whole = people(np.repeat(range(6), 20))
    few = interval(mean_draws(np.isin(np.arange(120), [3, 8]).astype(float), whole), SHARE)
    none, independent = (binomtest(*of).proportion_ci(0.95, "exact").high for of in ((0, 6), (2, 120)))
    assert independent < few.high < none and few.low < 1e-3
    assert interval(mean_draws(np.zeros(120), whole), SHARE).high == pytest.approx(none)


@pytest.mark.parametrize(
    ("share", "alike", "n", "images"),
    [(0.01, 0.3, 6, 20), (0.05, 0.3, 6, 20), (0.2, 0.7, 6, 20), (0.5, 0.0, 6, 5), (0.05, 0.3, 12, 20),
     (0.95, 0.1, 38, 4), (0.99, 0.3, 38, 20), (0.5, 0.3, 38, 20)],
)  # fmt: skip
def test_intervals_of_shares_hold_the_truth_at_least_93_percent_of_the_time(share, alike, n, images):
    rng = np.random.default_rng(5)
    _, counts = draw_units(people(range(n)), 200)
    chance = share
    if alike:  # the correlation of two images of a person
        chance = rng.beta(*((1 - alike) / alike * np.array([share, 1 - share])), size=(400, n))
    each = rng.binomial(images, chance, size=(400, n)) / images
    values = np.concatenate([each.mean(1, keepdims=True), each @ counts.T / n], 1)
    found = [interval(Draws(one[None], n, "people"), SHARE) for one in values]
    assert np.mean([one.low <= share <= one.high for one in found]) >= 0.93  # a bootstrap: 0.82 to 0.95


@pytest.mark.kind("undefined numbers", "a value without an interval, with the reason")
@pytest.mark.parametrize(
    ("values", "units", "why"),
    [([0.3, 0.5], "aa", "no interval: one person alone"), ([2.0, 2, 2], "abc", "no interval: all draws are alike")],
)
def test_what_tells_nothing_of_other_people_has_no_interval(values, units, why):
    found = interval(mean_draws(np.array(values), people([*units])))
    assert found.value == np.mean(values) and np.isnan([found.low, found.high]).all() and found.note == why


@quick
@given(
    seeds=st.integers(1, 4), units=st.integers(2, 30), basic=st.booleans(), bounds=st.sampled_from([SHARE, FREE]),
    shift=st.floats(-1, 1), seed=st.integers(0, 10**6),
)  # fmt: skip
def test_every_interval_holds_its_value_and_keeps_to_its_bounds(seeds, units, basic, bounds, shift, seed):
    values = np.random.default_rng(seed).random((seeds, 100))
    values[:, 1:] += shift  # as if the statistic grew on the draws
    found = interval(Draws(values, units, "people", tuple(range(seeds))), bounds, basic)
    assert bounds[0] <= found.low <= found.value <= found.high <= bounds[1]


@quick
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), SHARES), min_size=4, max_size=30))
def test_all_measures_of_a_detector_lie_in_their_intervals(rows):
    owners, fake, score = (list(column) for column in zip(*rows, strict=True))
    table = pd.DataFrame({"fake": [0, 1, *map(int, fake)], "score": [0.2, 0.7, *score], "person": [0, 1, *owners]})
    found = measure_draws(table, operating_measures, people(table["person"]), 40)
    for name, values in found.items():
        estimate = interval(Draws(values[None], 3, "people"), basic=name.startswith("ece"))
        assert np.isnan(estimate.low) or estimate.low <= estimate.value <= estimate.high, name


def test_a_calibration_error_lies_in_its_interval_however_few_the_images():
    rng = np.random.default_rng(1)
    for _ in range(20):  # honest scores: the bootstrap's errors all lie far above the true one, which is 0
        score = rng.random(60)
        table = pd.DataFrame({"score": score, "fake": (rng.random(60) < score).astype(int)})
        values = measure_draws(table, operating_measures, people(range(60)), 100)["ece"]
        found = interval(Draws(values[None], 60, "people"), SHARE, basic=True)
        assert found.low <= found.value <= found.high


def coverage(seed_spread: float, person_spread: float, seeds: int, studies: int = 400) -> float:
    """How often the interval of a mean over seeds and people holds the truth, 0."""
    rng, held = np.random.default_rng(4), 0
    _, counts = draw_units(people(range(38)), 200)
    for _ in range(studies):
        each = person_spread * rng.standard_normal(38) + seed_spread * rng.standard_normal((seeds, 1))
        each = each + 0.3 * person_spread * rng.standard_normal((seeds, 38))
        values = np.concatenate([each.mean(1, keepdims=True), each @ counts.T / 38], 1)
        found = interval(Draws(values, 38, "people", tuple(range(seeds))))
        held += found.low <= 0 <= found.high
    return held / studies


@pytest.mark.parametrize(
    ("seed_spread", "person_spread", "seeds"), [(1, 0.5, 3), (1, 0.05, 3), (1, 1, 2), (0.02, 1, 3)]
)
def test_intervals_over_seeds_and_people_hold_the_truth_about_95_percent_of_the_time(seed_spread, person_spread, seeds):
    assert 0.92 <= coverage(seed_spread, person_spread, seeds) <= 0.99


def test_intervals_over_eight_people_hold_the_truth_about_95_percent_of_the_time():
    rng, names = np.random.default_rng(2), people(range(8))
    held = [(found := interval(mean_draws(rng.standard_normal(8), names))).low <= 0 <= found.high for _ in range(400)]
    assert 0.92 <= np.mean(held) <= 0.98  # Efron's percentiles alone cover 0.88


def test_the_same_people_are_drawn_alike_wherever_they_are_measured_and_others_on_their_own():
    drawn = {name: draw_units(people(names), 50) for name, names in
             {"a": [3, 1, 2, 1], "b": [2, 3, 1], "c": [4, 5, 6]}.items()}  # fmt: skip
    codes, counts = drawn["a"]
    assert codes.tolist() == [2, 0, 1, 0] and np.array_equal(counts, drawn["b"][1])
    assert not np.array_equal(counts, drawn["c"][1])


def test_seeds_are_paired_by_name_not_by_position():
    clean = Draws(np.array([[0.9, 0.8], [0.7, 0.6]]), 9, "people", (0, 7))
    arm = Draws(np.array([[0.5, 0.5], [0.3, 0.1], [0.2, 0.2]]), 9, "people", (7, 0, 3))
    assert np.allclose(clean.minus(arm).values, [[0.6, 0.7], [0.2, 0.1]]) and clean.minus(arm).seeds == (0, 7)
    strangers = Draws(arm.values, 9, "people", (4, 5, 6))
    assert np.isnan(clean.minus(strangers).mean).all()


def test_rows_without_a_person_are_refused():
    with pytest.raises(ValueError, match="1 of 3 rows have no person. Fill its column in"):
        mean_draws(np.ones(3), pd.Series(["a", None, "b"], name="people"))
