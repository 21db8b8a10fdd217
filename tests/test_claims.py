"""Paired differences are those of the same photos; a claim is decided by its whole interval, or not at all."""

import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib.metrics.claims import CLAIMS, Claim, Evidence, claims_table, decisive, differences, verdict
from antidisrupt_lib.metrics.defects import DEFECTS, defects_table
from antidisrupt_lib.metrics.paired import paired_difference, paired_results, read_measures
from antidisrupt_lib.metrics.results import AXES, plain_result, result, write_results

OURS, PGD = "reverse_diffusion", {"faces": "drawn", "attack": "pgd"}


def measures(values: np.ndarray, first: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"image_id": [f"{first + i}" for i in range(len(values))], "l2": values})


def keep(folder, axes: dict, table: pd.DataFrame):
    folder.mkdir()
    table.to_parquet(folder / "measures.parquet")
    write_results(folder / "results.csv", [plain_result(axes, "l2", 0, 1, "-")])
    return folder


# Paired differences


def test_a_paired_interval_is_that_of_the_differences_not_of_the_photos():
    rng = np.random.default_rng(0)
    photos, noise = 10 * rng.random(50), 0.1 * rng.standard_normal(50)
    difference, low, high, n = paired_difference(measures(photos + 0.2 + noise), measures(photos), "l2")
    assert difference == pytest.approx(0.2 + noise.mean()) and 0.1 < low < difference < high < 0.3 and n == 50


def test_only_photos_with_a_number_on_both_sides_are_paired():
    one, other = measures(np.array([1.0, np.nan, np.inf, 5, 7])), measures(np.array([0.0, 9, np.inf, 4, 3]))
    assert paired_difference(one, other, "l2")[0::3] == (2, 3)
    assert paired_difference(measures(np.arange(4.0)), measures(np.ones(9), first=2), "l2")[0::3] == (1.5, 2)
    assert paired_difference(one, measures(np.ones(3), first=99), "l2")[3] == 0


def test_paired_rows_stand_on_the_axes_of_the_first(tmp_path):
    values = np.arange(6.0)
    folders = [
        keep(tmp_path / name, {"stage": "purify", "attack": attack, "purifier": purifier}, measures(values + shift))
        for name, attack, purifier, shift in (("a", "pgd", OURS, 0), ("b", "pgd", "jpeg", 2), ("c", "bim", OURS, 5))
    ]
    (row,) = paired_results(read_measures(folders), OURS, "purifier")
    assert (row["metric"], row["attack"], row["purifier"]) == ("l2_minus_jpeg", "pgd", OURS)
    assert row["value"] == row["low"] == row["high"] == -2 and row["n"] == 6
    (row,) = paired_results(read_measures(folders), "bim", "attack")
    assert (row["metric"], row["attack"], row["value"]) == ("l2_minus_pgd", "bim", 5)
    with pytest.raises(ValueError, match="attack pgd, purifier reverse_diffusion. Give one of them"):
        read_measures([folders[0], folders[0]])
    assert read_measures([tmp_path / "without measures"]) == {}


# Verdicts


def number(value: float, low: float, high: float) -> Evidence:
    return Evidence(value, low, high, "")


def test_a_verdict_needs_the_whole_interval_on_one_side():
    above, below = Claim("a", "", "", list, above=0), Claim("b", "", "", list, below=0)
    for given, expected in (((1, 0.5, 2), "holds"), ((-1, -2, -0.5), "does not hold"), ((1, -0.1, 2), "undecided")):
        assert verdict(number(*given), above) == expected
        assert verdict(number(-given[0], -given[2], -given[1]), below) == expected
    assert verdict(number(1, 0, 2), above) == "undecided"  # the boundary itself is inside
    assert verdict(number(1, np.nan, np.nan), above) == "undecided"


def test_all_numbers_must_hold_or_one_is_enough():
    good, unsure, bad = number(1, 0.5, 2), number(-3, -9, 2), number(-1, -2, -0.5)
    every, some = Claim("a", "", "", list, above=0), Claim("b", "", "", list, above=0, one_is_enough=True)
    assert decisive([good, unsure], every) is unsure and decisive([good, unsure, bad], every) is bad
    assert decisive([bad, good, unsure], some) is good and decisive([bad, unsure], some) is unsure


def full_results() -> pd.DataFrame:
    rows = []

    def add(axes: dict, metric: str, value: float, n: int = 50) -> None:
        rows.append(result(PGD | axes, metric, value, value - 0.01, value + 0.01, n, "-"))

    for attack, l2 in (("pgd", 0.5), ("pgd_grey", 0.3), ("pgd_black", 0.2)):
        add({"stage": "disrupt", "attack": attack}, "l2", l2)
    add({"stage": "disrupt"}, "share_disrupted", 0.9)
    for name, share in ((OURS, 0.1), ("diffpure", 0.3), ("diffpure_10", 0.2), ("one_step", 0.11), ("jpeg", 0.7)):
        axes = {"stage": "purify", "purifier": name}
        for metric in ("share_disrupted", "l2", "frechet_x"):
            add(axes, metric, share)
        rows.append(plain_result(PGD | axes, "seconds_per_image", share**3, 50, "s"))
    add({"stage": "purify", "attack": f"pgd_knows_{OURS}", "purifier": OURS}, "share_disrupted", 0.8)
    for detector in ("xception", "regnet"):
        axes = {"stage": "detect", "detector": detector, "poison_ratio": 1.0}
        add(axes | {"arm": "poisoned"}, "drop", 0.3)
        add(axes | {"arm": "poisoned", "poison_ratio": 0.1}, "drop", 0.0)
        for other in ("poisoned", "diffpure_10"):
            add(axes | {"arm": "purified", "purifier": OURS}, f"accuracy_minus_{other}", 0.2)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return full_results()


def test_a_full_study_decides_every_claim(results):
    table = claims_table(results).set_index("id")
    fails = {"jpeg_as_good", "survives_adaptive", "any_survives_adaptive"}
    assert table["verdict"].to_dict() == {c.id: "does not hold" if c.id in fails else "holds" for c in CLAIMS}
    assert table.loc["poison_harms", "rows"] == "drop (detect, pgd, poisoned, xception, 1.0); weakest of 2"
    assert table.loc["better_at_equal_cost", ["value", "low", "high"]].tolist() == pytest.approx([-0.1, -0.12, -0.08])
    assert table.loc["faster", ["low", "value", "high"]].tolist() == pytest.approx([1 / 54, 1 / 27, 2 / 27])


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_without_its_rows_a_claim_is_never_decided(results, claim):
    used = claims_table(results).set_index("id").loc[claim.id, "rows"]
    stage = used.split("(")[1].split(",")[0]
    found = claims_table(results[results["stage"] != stage]).set_index("id")
    assert found.loc[claim.id, "verdict"] == "not measured" and np.isnan(found.loc[claim.id, "value"])
    other = claims_table(results, attack="bim").set_index("id")
    assert (other["verdict"] == "not measured").all()


def test_one_detector_is_not_several(results):
    one = claims_table(results[results["detector"].isna() | (results["detector"] == "xception")]).set_index("id")
    assert one.loc["better_detectors", "verdict"] == "not measured" and one.loc["poison_harms", "verdict"] == "holds"


def test_a_paired_difference_goes_before_two_rows_and_unequal_sets_are_not_compared(results):
    one = {"stage": "purify", "attack": "pgd", "purifier": OURS}
    paired = pd.DataFrame([result(PGD | one, "l2_minus_diffpure", -0.3, -0.31, -0.29, 50, "-")])
    found = differences(pd.concat([results, paired]), "l2", one, r"diffpure(_\d+)?")
    assert [number.value for number in found] == pytest.approx([-0.3, -0.1])  # diffpure paired, diffpure_10 not
    fewer = results.assign(n=results["n"].where(results["purifier"] != "diffpure_10", 12))
    assert [n.value for n in differences(fewer, "frechet_x", one, r"diffpure(_\d+)?")] == pytest.approx([-0.2])


def test_a_defect_has_a_row_if_both_of_its_numbers_were_measured():
    axes = {"stage": "disrupt", "faces": "drawn"}
    table = pd.DataFrame([
        result(axes | {"attack": attack}, metric, value, value, value, 9, "-")
        for attack, metric, value in (("pgd", "share_disrupted", 0.9), ("pgd_grey", "share_disrupted", 0.6),
                                      ("pgd", "l_inf", 1.5), ("pgd", "l_inf_as_published", 0.1))
    ])  # fmt: skip
    found = defects_table(table).set_index("metric")
    assert found["section"].to_dict() == {"share_disrupted": "1.5", "l_inf": "1.7"}
    assert found.loc["share_disrupted", ["as_published", "corrected"]].tolist() == [0.6, 0.9]
    assert found["difference"].round(6).tolist() == [-0.3, -1.4]


def test_every_defect_names_metrics_and_axes_that_exist():
    for defect in DEFECTS:
        assert {*defect.published, *defect.corrected} <= set(AXES)
        assert defect.published != defect.corrected or defect.published_metric not in ("", defect.metric)
