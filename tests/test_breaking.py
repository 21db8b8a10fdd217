"""Sensitivity, sweeps over eps, and the shares of edits that they break."""

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.deepfakes.sensitivity import largest_singular_value
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.disruption.sweep import check_sweep, sweep, together
from antidisrupt_lib.metrics.breaking import (
    MEASURES,
    breaking_results,
    broken_curve,
    median_results,
    smallest_eps,
    transfer_matrix,
)
from antidisrupt_lib.metrics.distances import l2
from antidisrupt_lib.seeding import image_generators


def brighten(x, c):
    return (3 * x + c.mean(1).view(-1, 1, 1, 1)).sin() / 2 + 0.5


def test_the_largest_singular_value_is_numpys():
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(20, 3 * 4 * 4, generator=rng)
    x = torch.rand(2, 3, 4, 4, generator=rng)
    found = largest_singular_value(lambda x: x.flatten(1) @ a.T, x, image_generators(0, "v", [0, 1]), steps=200)
    np.testing.assert_allclose(found, np.linalg.svd(a.numpy(), compute_uv=False)[0], rtol=1e-3)


def test_a_forgers_sensitivity_is_the_same_alone_and_in_a_batch(forge, faces):
    x, c = faces.x(slice(0, 3)), faces.labels(ATTRIBUTES)[:3]
    batch = largest_singular_value(lambda x: forge(x, c), x, image_generators(0, "v", range(3)), steps=5)
    alone = largest_singular_value(lambda x: forge(x, c[1:2]), x[1:2], image_generators(0, "v", [1]), steps=5)
    torch.testing.assert_close(batch[1:2], alone, rtol=1e-3, atol=0)


@pytest.fixture(scope="module")
def table(faces, forge):
    forgers = {"small": forge, "wave": brighten}
    aims = forgers | {"both": together(list(forgers.values()))}
    return sweep(faces.first(4), aims, forgers, MEASURES, epsilons=(0.01, 0.05), steps=4, seed=0, batch_size=3)


def test_the_median_interval_is_that_of_a_plain_bootstrap_over_people():
    rng = np.random.default_rng(0)
    part = pd.DataFrame({"eps": rng.exponential(size=200), "person": np.repeat([f"{i}" for i in range(50)], 4)})
    (row,) = median_results(part.assign(aim="a", forger="a"), {})
    people = part["eps"].to_numpy().reshape(50, 4)
    medians = [np.median(people[rng.integers(50, size=50)]) for _ in range(2000)]
    assert row["value"] == pytest.approx(np.median(people), rel=0.05) and row["over"] == "50 people"
    np.testing.assert_allclose([row["low"], row["high"]], np.quantile(medians, [0.025, 0.975]), rtol=0.15)


def test_without_transfer_each_forger_meets_its_own_disruption_alone(table, faces, forge):
    forgers = {"small": forge, "wave": brighten}
    settings = {"epsilons": (0.01, 0.05), "steps": 4, "seed": 0, "batch_size": 3}
    alone = sweep(faces.first(4), forgers, forgers, MEASURES, transfer=False, **settings)
    own = table[table["aim"] == table["forger"]]
    order = ["forger", "eps", "image_id", "edit"]
    alone, own = (part.sort_values(order)[[*order, *MEASURES]].reset_index(drop=True) for part in (alone, own))
    pd.testing.assert_frame_equal(alone, own)


def test_a_sweep_has_a_row_per_aim_forger_eps_photo_and_edit(table):
    assert len(table) == 3 * 2 * 2 * 4 * 5
    assert not table.duplicated(["aim", "forger", "eps", "image_id", "edit"]).any()


def test_an_aimed_disruption_beats_one_aimed_elsewhere_and_more_eps_beats_less(table):
    mean = table.groupby(["aim", "forger", "eps"])["l2"].mean()
    assert mean["small", "small", 0.05] > mean["wave", "small", 0.05]
    assert (mean[:, :, 0.05] > mean[:, :, 0.01]).all()
    assert mean["both", "small", 0.05] > mean["wave", "small", 0.05]


def test_a_sweep_does_not_depend_on_the_batch_size(table, faces, forge):
    again = sweep(faces.first(4), {"small": forge}, {"small": forge}, {"l2": MEASURES["l2"]}, epsilons=(0.05,), steps=4,
                  seed=0, batch_size=1)  # fmt: skip
    same = table.query("aim == 'small' and forger == 'small' and eps == 0.05").sort_values(["image_id", "edit"])
    np.testing.assert_allclose(again.sort_values(["image_id", "edit"])["l2"], same["l2"], rtol=0.02)


def test_edits_that_ask_for_nothing_are_marked(table, faces):
    c = faces.labels(ATTRIBUTES)[:4]
    first = table.query("aim == 'small' and forger == 'small' and eps == 0.05 and edit == 'Black_Hair'")
    assert first["changes"].tolist() == [bool((row[:3] != torch.tensor([1.0, 0, 0])).any()) for row in c]
    assert table.query("edit == 'Male'")["changes"].all()


def test_together_distances_are_the_mean_over_forgers(faces, forge):
    x, y, c = faces.x(slice(0, 2)), faces.x(slice(2, 4)), faces.labels(ATTRIBUTES)[:2]
    joint = together([forge, brighten])
    each = torch.stack([l2(f(x, c), f(y, c)) for f in (forge, brighten)]).mean(0)
    torch.testing.assert_close(l2(joint(x, c), joint(y, c)), each)


@pytest.fixture
def edits():
    """Two edits of one forger: one breaks from 0.02 on, the other never."""
    same = {"aim": "a", "forger": "a", "image_id": "1", "person": "p", "l2_masked": np.nan}
    rows = [same | {"eps": eps, "edit": edit, "l2": value}
            for edit, values in (("Male", (0.01, 0.05, 0.2)), ("Young", (0.0, 0.0, 0.049)))
            for eps, value in zip((0.01, 0.02, 0.04), values, strict=True)]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_smallest_eps_is_the_first_that_breaks(edits):
    assert smallest_eps(edits)["eps"].tolist() == [0.02, np.inf]
    assert broken_curve(smallest_eps(edits), (0.01, 0.02, 0.04))["share"].tolist() == [0, 0.5, 0.5]
    assert transfer_matrix(edits, 0.02).loc["a", "a"] == 0.5


def test_shares_are_rows_of_the_results(edits):
    rows = breaking_results(edits, {"stage": "break", "faces": "drawn"})
    shares = {row["metric"]: row["value"] for row in rows if not row["metric"].startswith("share_disrupted_masked")}
    assert shares == {"share_disrupted_at_0.01": 0, "share_disrupted_at_0.02": 0.5, "share_disrupted_at_0.04": 0.5}
    assert {(row["forger"], row["attack"]) for row in rows} == {("a", "pgd")}
    masked = [row for row in rows if row["metric"].startswith("share_disrupted_masked")]
    assert {(row["n"], row["note"]) for row in masked} == {(0, "nothing was measured")}  # no edit changed the photo


def test_the_median_of_the_smallest_eps_may_be_infinite(edits):
    (row,) = median_results(smallest_eps(edits), {"stage": "break", "faces": "drawn"})
    assert (row["value"], row["n"]) == (0.02, 2) and np.isnan([row["low"], row["high"]]).all()  # one person
    never = edits.assign(l2=0.0)
    (row,) = median_results(smallest_eps(never), {})
    assert np.isnan(row["value"]) and row["n"] == 0 and "withstand every eps" in row["note"]


def test_every_row_says_what_was_done_to_the_photos(edits):
    rows = [breaking_results(edits.assign(aim=aim), {})[0] for aim in ("a", "b", "all", "noise")]
    assert [row["attack"] for row in rows] == ["pgd", "pgd_for_b", "pgd_for_all", "uniform_noise"]
    (row,) = median_results(smallest_eps(edits.assign(aim="noise")), {})
    assert (row["forger"], row["attack"]) == ("a", "uniform_noise")


@pytest.mark.kind("studies that can't run", "refused")
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shown_eps": 0.03}, r"matrix_eps is 0.03, and must be one of epsilons: 0.0125, 0.025"),
        ({"epsilons": [0.025, 0.0039]}, "eps 0.0039 is less than one 8-bit level"),
        ({"epsilons": [0.025, 6.0]}, "Did you mean 6/255"),
        ({"epsilons": [0.025, 0.025]}, "epsilons must differ"),
        ({"epsilons": []}, "must be one of epsilons"),
        ({"forgers": ["small", "noise"]}, "A forger can't be called 'noise'"),
    ],
)
def test_a_sweep_that_could_not_be_shown_is_refused_before_it_runs(changes, words):
    fine = {"forgers": ["small"], "epsilons": [0.0125, 0.025], "steps": 4, "shown_eps": 0.025}
    check_sweep(**fine)
    with pytest.raises(ValueError, match=words):
        check_sweep(**fine | changes)
