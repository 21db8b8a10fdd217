"""Paired differences are those of the same photos; a claim is decided by its whole interval, or not at all."""

from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from antidisrupt_lib import claims as room
from antidisrupt_lib.claims import rows as claim_rows
from antidisrupt_lib.claims.defects import defects_table, find_defects
from antidisrupt_lib.claims.evidence import Evidence, differences, measured, minus, people
from antidisrupt_lib.claims.table import claims_table, find_claims, sources
from antidisrupt_lib.claims.verdicts import (
    FAILS,
    HOLDS,
    NOT_MEASURED,
    UNDECIDED,
    Claim,
    Condition,
    decisive,
    judge,
    judge_all,
    verdict,
    widen,
    widening,
)
from antidisrupt_lib.metrics.paired import Kept, paired_results, read_measures
from antidisrupt_lib.metrics.results import AXES, plain_result, result, write_results

OURS, PGD = "reverse_diffusion", {"faces": "drawn", "attack": "pgd"}


def measures(values: np.ndarray, first: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"image_id": [f"{first + i}" for i in range(len(values))], "l2": values})


def paired(one: pd.DataFrame, other: pd.DataFrame) -> dict:
    """The row of the difference in L2 of two purifiers' tables."""
    tables = {(*[None] * 4, name, *[None] * (len(AXES) - 5)): Kept(table, None) for name, table in
              {"ours": one, "theirs": other}.items()}  # fmt: skip
    (row,) = paired_results(tables, "ours", "purifier")
    return row


def keep(folder, axes: dict, table: pd.DataFrame):
    folder.mkdir()
    table.to_parquet(folder / "measures.parquet")
    write_results(folder / "results.csv", [plain_result(axes, "l2", 0, 1, "-")])
    return folder


# Paired differences


def test_a_paired_interval_is_that_of_the_differences_not_of_the_photos():
    rng = np.random.default_rng(0)
    photos, noise = 10 * rng.random(50), 0.1 * rng.standard_normal(50)
    row = paired(measures(photos + 0.2 + noise), measures(photos))
    assert row["value"] == pytest.approx(0.2 + noise.mean()) and row["n"] == 50
    assert 0.1 < row["low"] < row["value"] < row["high"] < 0.3


def test_only_photos_with_a_number_on_both_sides_are_paired():
    one, other = measures(np.array([1.0, np.nan, np.inf, 5, 7])), measures(np.array([0.0, 9, np.inf, 4, 3]))
    rows = paired(one, other), paired(measures(np.arange(4.0)), measures(np.ones(9), first=2))
    assert [(row["value"], row["n"]) for row in rows] == [(2, 3), (1.5, 2)]
    assert "2 photos left out" in rows[0]["note"] and "left out" not in rows[1]["note"]


def test_paired_rows_stand_on_the_axes_of_the_first(tmp_path):
    values = np.arange(6.0)
    folders = [
        keep(tmp_path / name, {"stage": "purify", "attack": attack, "purifier": purifier}, measures(values + shift))
        for name, attack, purifier, shift in (("a", "pgd", OURS, 0), ("b", "pgd", "jpeg", 2), ("c", "bim", OURS, 5))
    ]
    (row,) = paired_results(read_measures(folders), OURS, "purifier")
    assert (row["metric"], row["attack"], row["purifier"]) == ("l2_minus_jpeg", "pgd", OURS)
    assert row["value"] == -2 and row["n"] == 6
    assert np.isnan(row["low"]) and row["note"].startswith("no interval: all draws are alike")
    (row,) = paired_results(read_measures(folders), "bim", "attack")
    assert (row["metric"], row["attack"], row["value"]) == ("l2_minus_pgd", "bim", 5)
    with pytest.raises(ValueError, match="attack pgd, purifier reverse_diffusion. Give one of them"):
        read_measures([folders[0], folders[0]])
    assert read_measures([tmp_path / "without measures"]) == {}


# Verdicts

ABOVE, BELOW = Claim("a", "", "", list, above=0), Claim("b", "", "", list, below=0)
SAME = Claim("s", "", "", list, above=-1, below=1)
SOME = Claim("c", "", "", list, above=0, one_is_enough=True)
GUARDED = Claim("g", "", "", list, above=0, condition=Condition("recall", 0.8))
UNDEFINED = Evidence(np.nan, np.nan, np.nan, "", "z", doubt="undefined: one class")
fast = settings(max_examples=60, deadline=None, derandomize=True)

reals = st.floats(-5, 5).map(lambda x: round(x, 3))
widths = st.floats(0.001, 3).map(lambda x: round(x, 3))
evidence = st.builds(
    lambda value, down, up, member: Evidence(value, value - down, value + up, "", member),
    reals, widths, widths, st.sampled_from("abc"),
)  # fmt: skip
several = st.lists(evidence, min_size=1, max_size=6)
some_claims = st.builds(
    lambda above, below, one, least: Claim("x", "", "", list, above, below, one_is_enough=one, least=least),
    st.just(-1.0) | st.none(), st.just(1.0), st.booleans(), st.integers(1, 4),
)  # fmt: skip


def number(value: float, low: float, high: float, member: str = "", **more: object) -> Evidence:
    return Evidence(value, low, high, "", member, **more)


GOOD, UNSURE, BAD = (1, 0.5, 2), (-3, -9, 2), (-1, -2, -0.5)


def test_a_verdict_needs_the_whole_interval_on_one_side():
    for given_, expected in ((GOOD, HOLDS), (BAD, FAILS), ((1, -0.1, 2), UNDECIDED)):
        assert verdict(number(*given_), ABOVE) == expected
        assert verdict(number(-given_[0], -given_[2], -given_[1]), BELOW) == expected
    assert verdict(number(1, 0, 2), ABOVE) == UNDECIDED  # the boundary itself is inside
    assert verdict(number(1, np.nan, np.nan), ABOVE) == UNDECIDED


@pytest.mark.parametrize(
    "given_, expected",
    [((0, -0.9, 0.9), HOLDS), ((0, -1.1, 0.5), UNDECIDED), ((0, -2, 2), UNDECIDED), ((2, 1.1, 3), FAILS),
     ((-2, -3, -1.1), FAILS)],
)  # fmt: skip
def test_as_good_as_means_within_a_margin_on_both_sides(given_, expected):
    assert verdict(number(*given_), SAME) == expected and SAME.boundary == "> -1 and < 1"


def test_all_numbers_must_hold_or_one_member_with_all_of_its_own():
    good, unsure, bad = number(*GOOD, "a"), number(*UNSURE, "b"), number(*BAD, "c")
    assert decisive([good, unsure], ABOVE) is unsure and decisive([good, unsure, bad], ABOVE) is bad
    assert decisive([bad, good, unsure], SOME) is good and decisive([bad, unsure], SOME) is unsure
    own = number(*BAD, "a")  # the same purifier before another detector
    assert decisive([good, own], SOME) is own


@fast
@given(several, some_claims)
def test_an_undefined_number_decides_nothing(numbers, claim):
    before, after = judge(numbers, claim).verdict, judge([*numbers, UNDEFINED], claim).verdict
    assert after in (before, UNDECIDED)


@fast
@given(several, some_claims, st.floats(1, 5))
def test_a_wider_interval_decides_no_more(numbers, claim, factor):
    before = judge(numbers, claim).verdict
    after = judge([widen(one, factor) for one in numbers], claim).verdict
    assert after in (before, UNDECIDED)


@fast
@given(several, some_claims)
def test_above_and_below_are_each_others_mirror(numbers, claim):
    low, high = (None if bound is None else -bound for bound in (claim.above, claim.below))
    mirrored = Claim("x", "", "", list, high, low, one_is_enough=claim.one_is_enough, least=claim.least)
    flipped = [number(-one.value, -one.high, -one.low, one.member) for one in numbers]
    here, there = judge(numbers, claim), judge(flipped, mirrored)
    assert (here.verdict, here.why, here.number.value) == (there.verdict, there.why, -there.number.value)


@fast
@given(several, some_claims, st.randoms())
def test_the_order_of_the_rows_changes_no_verdict(numbers, claim, random):
    shuffled = random.sample(numbers, len(numbers))
    assert judge(shuffled, claim).verdict == judge(numbers, claim).verdict


@fast
@given(several, several, some_claims)
def test_over_all_forgers_a_claim_holds_only_if_it_does_for_each(one, other, claim):
    said = judge_all({"a": one, "b": other}, claim).verdict
    each = {judge(one, claim).verdict, judge(other, claim).verdict}
    assert said != HOLDS or each == {HOLDS}
    assert said != FAILS or FAILS in each


def test_a_forger_without_the_rows_leaves_the_claim_open_over_all():
    said = judge_all({"a": [number(*GOOD)], "b": []}, ABOVE)
    assert (said.verdict, said.why) == (UNDECIDED, "b: no such rows")
    assert judge_all({"a": [], "b": []}, ABOVE).verdict == NOT_MEASURED


@pytest.mark.parametrize("m", [1, 2, 7, 20])
def test_the_best_of_many_is_judged_by_bonferronis_level(m):
    sd = 0.4
    found = widen(number(1, *norm.interval(0.95, 1, sd)), widening(m))
    assert [norm.cdf(found.low, 1, sd), norm.sf(found.high, 1, sd)] == pytest.approx([0.025 / m] * 2)


def test_an_interval_that_decides_alone_may_not_among_ten():
    just = number(1, 0.05, 2, "a")
    assert judge([just], SOME).verdict == HOLDS
    many = judge([just, *(number(*UNSURE, f"{i}") for i in range(9))], SOME)
    assert many.verdict == UNDECIDED and many.of == 10 and many.number.low < 0


@pytest.mark.parametrize("count, expected", [(2, "only 2 of 6 measured"), (5, "only 5 of 6 measured"), (6, "")])
def test_some_is_refuted_only_by_its_whole_family(count, expected):
    claim = Claim("f", "", "", list, above=0, one_is_enough=True, family=tuple("abcdef"))
    said = judge([number(*BAD, name) for name in "abcdef"[:count]], claim)
    assert (said.verdict, said.why) == (FAILS if count == 6 else UNDECIDED, expected)
    assert judge([number(*GOOD, "a"), number(*BAD, "b")], claim).verdict == HOLDS


@pytest.mark.parametrize("given_, expected", [(GOOD, UNDECIDED), (BAD, FAILS)])
def test_every_is_confirmed_only_by_as_many_as_it_says(given_, expected):
    claim = Claim("e", "", "", list, above=0, least=3)
    assert judge([number(*given_, name) for name in "aab"], claim).verdict == expected
    assert judge([number(*GOOD, name) for name in "abc"], claim).verdict == HOLDS


@pytest.mark.parametrize(
    "beside, refutes, expected",
    [((0.95, 0.9, 1), True, HOLDS), ((0.1, 0, 0.2), True, FAILS), ((0.8, 0.6, 1), True, UNDECIDED),
     (None, True, UNDECIDED), ((0.95, 0.9, 1), False, HOLDS), ((0.1, 0, 0.2), False, UNDECIDED)],
)  # fmt: skip
def test_a_detector_that_calls_all_fake_satisfies_no_claim(beside, refutes, expected):
    claim = Claim("g", "", "", list, above=0, condition=Condition("recall", 0.8, refutes))
    said = judge([number(*GOOD, beside=beside and number(*beside))], claim)
    assert said.verdict == expected and (expected != UNDECIDED or "recall" in said.why)


# Rows


def made(
    value: float, low: float, high: float, over: str = "50 people", note: str = "", n: int = 250
) -> list[Evidence]:
    row = result({"stage": "disrupt", "attack": "pgd"}, "share", value, low, high, 250, "-", over=over, note=note)
    return measured(pd.DataFrame([row]))


@pytest.mark.kind("undefined numbers", "undecided or not measured, with the reason")
@pytest.mark.parametrize(
    "row, why",
    [
        ((np.nan, np.nan, np.nan, "", "no fakes"), "not measured: undefined: no fakes"),
        ((np.inf, np.nan, np.nan), "not measured: undefined: not a finite number"),
        ((-np.inf, -np.inf, 1.0), "not measured: undefined: not a finite number"),
        ((1.0, np.nan, np.nan), "undecided: it has no interval"),
        ((1.0, 0.5, np.inf), "undecided: it has no interval"),
        ((1.0, 1.0, 1.0), "undecided: its interval has no width"),
        ((0.138, 0.01, 0.124), "undecided: its interval doesn't hold its value"),
        ((1.0, 0.9, 1.1, "9 people"), "undecided: 9 people, fewer than 10"),
        ((1.0, 0.9, 1.1, "2 photos, 40 seeds"), "undecided: 2 photos, fewer than 10"),
        ((1.0, 0.9, 1.1, "people, seeds"), "undecided: how many people it stands for isn't told"),
        ((1.0, 0.9, 1.1, "12 seeds"), "undecided: how many"),
        ((1.0, 0.9, 1.1, ""), "undecided: how many people it stands for isn't told"),
    ],
)
def test_such_a_row_decides_no_claim(row, why):
    found = claims_table(pd.DataFrame(), claims=[Claim("x", "", "", lambda *_: made(*row), above=0)])
    assert found["verdict"][0].startswith(why)


@pytest.mark.kind("undefined numbers", "undecided, with the reason")
@pytest.mark.parametrize("row", [(1.0, 1.0, 1.0), (1.0, 0.9, 1.1, "3 people"), (np.nan, np.nan, np.nan)])
def test_a_difference_decides_no_more_than_its_parts(row):
    (good,), (poor,) = made(5, 4.5, 5.5), made(*row)
    for found in (minus(good, poor), minus(poor, good)):
        assert found.doubt == poor.doubt and verdict(found, ABOVE) == UNDECIDED


@pytest.mark.kind("undefined numbers", "left out of the table")
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_defect_of_an_undefined_number_has_no_row(value):
    axes = {"stage": "disrupt", "faces": "drawn"}
    rows = [
        result(axes | {"attack": name}, "share_disrupted", v, v, v, 9, "-")
        for name, v in (("pgd", 1), ("pgd_grey", value))
    ]
    assert defects_table(pd.DataFrame(rows)).empty


def test_a_row_says_what_was_resampled_and_what_was_held_fixed():
    text = "Of {attack}."
    claim = Claim(
        "x", "", text, lambda *_: made(1, 0.5, 2, "38 people, 3 seeds", "at eps 0.05"), above=0, held="forger"
    )
    row = claims_table(pd.DataFrame(), "bim", claims=[claim]).iloc[0]
    assert (row["claim"], row["over"], row["held"]) == ("Of BIM.", "38 people, 3 seeds", "forger; at eps 0.05")
    assert people(row["over"]) == 38 and people("3 seeds, 12 videos") == 12 and people("photos") == 0


# The claims


def full_results() -> pd.DataFrame:
    rows = []

    def add(axes: dict, metric: str, value: float, n: int = 50) -> None:
        rows.append(result(PGD | axes, metric, value, value - 0.01, value + 0.01, n, "-", "50 people"))

    for attack, l2 in (("pgd", 0.5), ("pgd_grey", 0.3), ("pgd_black", 0.2), ("pgd_white", 0.2), ("pgd_identity", 0.1)):
        add({"stage": "disrupt", "attack": attack}, "l2", l2)
    add({"stage": "disrupt"}, "share_disrupted", 0.9)
    shares = {OURS: 0.1, "diffpure": 0.3, "diffpure_10": 0.2, "one_step": 0.11, "jpeg": 0.7}
    for name, share in (shares | {"autoencoder_1": 0.2, "autoencoder_2": 0.25}).items():
        axes = {"stage": "purify", "purifier": name}
        for metric in ("share_disrupted", "l2", "frechet_x"):
            add(axes, metric, share)
        rows.append(plain_result(PGD | axes, "seconds_per_image", share**3, 50, "s"))
    for name in (OURS, "diffpure_10", "ddim", "one_step", "jpeg", "median_blur", "bit_depth"):
        add({"stage": "purify", "attack": f"pgd_knows_{name}", "purifier": name}, "share_disrupted", 0.8)
    for detector in ("xception", "regnet", "vgg16"):
        axes = {"stage": "detect", "detector": detector, "poison_ratio": 1.0}
        for end in ("", "_at_fpr_5", "_auc"):
            add(axes | {"arm": "poisoned"}, f"drop{end}", 0.3)
            add(axes | {"arm": "poisoned", "poison_ratio": 0.1}, f"drop{end}", 0.0)
            add(axes | {"arm": "purified", "purifier": OURS}, f"recovery{end}", 0.9)
        for other, gain in (("poisoned", 0.2), ("diffpure", 0.2), ("diffpure_10", 0.005)):
            add(axes | {"arm": "purified", "purifier": OURS}, f"accuracy_minus_{other}", gain)
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return full_results()


PHOTOS = find_claims("photos")
VERDICTS = {
    "jpeg_as_good": FAILS, "survives_adaptive": FAILS, "any_survives_adaptive": FAILS,
    "better_detectors": "undecided: its interval holds the boundary",
}  # fmt: skip


def test_a_full_study_decides_every_claim(results):
    table = claims_table(results).set_index("id")
    assert table["verdict"].to_dict() == {claim.id: VERDICTS.get(claim.id, HOLDS) for claim in PHOTOS}
    rows = "drop (detect, pgd, poisoned, xception, 1.0); weakest of 3; intervals 1.22 times as wide"
    assert table.loc["poison_harms", "rows"] == rows
    assert table.loc["better_at_equal_cost", ["value", "low", "high"]].tolist() == pytest.approx([-0.1, -0.12, -0.08])
    assert "unpaired" in table.loc["better_at_equal_cost", "held"]
    assert table.loc["faster", ["low", "value", "high"]].tolist() == pytest.approx([1 / 54, 1 / 27, 2 / 27])


@pytest.mark.parametrize("claim", PHOTOS, ids=lambda claim: claim.id)
def test_without_its_rows_a_claim_is_never_decided(results, claim):
    used = claims_table(results).set_index("id").loc[claim.id, "rows"]
    stage = used.split("(")[1].split(",")[0]
    found = claims_table(results[results["stage"] != stage]).set_index("id")
    assert found.loc[claim.id, "verdict"] == "not measured: no such rows" and np.isnan(found.loc[claim.id, "value"])
    other = claims_table(results, attack="bim").set_index("id")
    assert other["verdict"].str.startswith(NOT_MEASURED).all()


@pytest.mark.kind("undefined numbers", "undecided or not measured, with the reason")
@pytest.mark.parametrize("claim", PHOTOS, ids=lambda claim: claim.id)
def test_a_study_of_undefined_numbers_decides_nothing(results, claim):
    empty = results.assign(value=np.nan, low=np.nan, high=np.nan, n=0, note="one class")
    said = claims_table(empty, claims=[claim])["verdict"][0]
    assert said in ("not measured: undefined: one class", "undecided: undefined: one class")


def test_one_detector_is_not_several(results):
    one = claims_table(results[results["detector"].isna() | (results["detector"] == "xception")]).set_index("id")
    assert one.loc["poison_harms", "verdict"] == "undecided: only 1 of 3 measured"


def test_a_share_of_poison_is_not_all_of_it(results):
    some = claims_table(results[results["poison_ratio"].isna() | (results["poison_ratio"] < 1)]).set_index("id")
    assert some.loc["poison_harms", "verdict"].startswith(NOT_MEASURED)


def test_a_paired_difference_goes_before_two_rows_and_unequal_sets_are_not_compared(results):
    one = {"stage": "purify", "attack": "pgd", "purifier": OURS}
    paired = pd.DataFrame([result(PGD | one, "l2_minus_diffpure", -0.3, -0.31, -0.29, 50, "-", "50 people")])
    found = differences(pd.concat([results, paired]), "l2", one, claim_rows.DIFFPURE)
    assert [(number.value, number.member) for number in found] == [(-0.3, "diffpure"), (-0.1, "diffpure_10")]
    assert not found[0].held and "unpaired" in found[1].held
    theirs = results["purifier"] == "diffpure_10"
    fewer = results.assign(n=results["n"].mask(theirs, 12))
    assert [n.value for n in differences(fewer, "frechet_x", one, claim_rows.DIFFPURE)] == pytest.approx([-0.2])
    none = results.assign(n=results["n"].mask(theirs, 0), value=results["value"].mask(theirs), note="no photo")
    assert [n.doubt for n in differences(none, "l2", one, claim_rows.DIFFPURE)] == ["", "undefined: no photo"]


@pytest.mark.kind("undefined numbers", "not measured, with the reason")
@pytest.mark.parametrize("purifier", [OURS, "diffpure"])
@pytest.mark.parametrize("seconds", [0.0, -1.0, np.nan, np.inf])
def test_a_time_that_is_none_is_compared_with_nothing(results, purifier, seconds):
    its = (results["metric"] == "seconds_per_image") & (results["purifier"] == purifier)
    table = claims_table(results.assign(value=results["value"].mask(its, seconds))).set_index("id")
    assert table.loc["faster", "verdict"] == "not measured: undefined: no time"


@pytest.mark.kind("undefined numbers", "undecided, with the reason")
def test_an_undefined_paired_difference_is_not_made_up_for_by_two_rows(results):
    one = {"stage": "purify", "attack": "pgd", "purifier": OURS}
    row = result(PGD | one, "l2_minus_diffpure", np.nan, np.nan, np.nan, 0, "-", note="no photo in both")
    table = claims_table(pd.concat([results, pd.DataFrame([row])])).set_index("id")
    assert table.loc["comparable_l2", "verdict"] == "undecided: undefined: no photo in both"


def test_a_verdict_is_given_by_an_axis_and_over_all_of_it(results):
    other = results.assign(faces="real", value=results["value"].where(results["metric"] != "drop", 0.0))
    other = other.assign(low=other["low"].where(other["metric"] != "drop", -0.01))
    other = other.assign(high=other["high"].where(other["metric"] != "drop", 0.01))
    table = claims_table(pd.concat([results, other]), by="faces").set_index(["id", "faces"])["verdict"]
    assert table["poison_harms"].to_dict() == {"drawn": HOLDS, "real": FAILS, "all": FAILS}
    assert table["disruption_works"].to_dict() == {"drawn": HOLDS, "real": HOLDS, "all": HOLDS}
    with pytest.raises(ValueError, match="no axis 'forgers'"):
        claims_table(results, by="forgers")


def test_rows_of_different_faces_are_never_subtracted(results):
    other = results.assign(faces="real", value=results["value"] + 9, low=results["low"] + 9, high=results["high"] + 9)
    both = claims_table(pd.concat([results, other])).set_index("id")
    assert both.loc["comparable_l2", "value"] == pytest.approx(-0.1) and both.loc["comparable_l2", "verdict"] == HOLDS


def test_a_new_papers_file_is_found_by_its_name(monkeypatch, tmp_path, results):
    (tmp_path / "tomorrow.py").write_text("from antidisrupt_lib.claims.ruiz import CLAIMS\n")
    monkeypatch.setattr(room, "__path__", [*room.__path__, str(tmp_path)])
    assert isinstance(sources()["tomorrow"], ModuleType) and find_claims("tomorrow") == find_claims("ruiz")
    assert len(claims_table(results, about="tomorrow")) == 2
    with pytest.raises(ValueError, match="no claims 'moma'.*photos, dadfi, gandhi_jain, .*tomorrow"):
        find_claims("moma")


def test_claims_have_names_of_their_own():
    ids = [claim.id for module in sources().values() for claim in module.CLAIMS]
    assert len(ids) == len(set(ids)) and {claim.about for claim in PHOTOS} == {"photos"}


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
    for defect in find_defects():
        assert {*defect.published, *defect.corrected} <= set(AXES)
        assert defect.published != defect.corrected or defect.published_metric not in ("", defect.metric)
