"""A number that is not defined is NaN with n = 0 and the reason in results, tables and figures, and decides nothing."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from antidisrupt_lib import tables
from antidisrupt_lib.metrics.arms import ARM_AXES, detector_results, world_results
from antidisrupt_lib.metrics.comparison import compare, comparison_results, disruption_left, distribution_draws
from antidisrupt_lib.metrics.detection import MEASURES, detection_measures, explained_measures, labels
from antidisrupt_lib.metrics.leak import leak_results, worth_table
from antidisrupt_lib.metrics.operating import operating_measures, per_video, reliability
from antidisrupt_lib.metrics.results import mean_result, pick, plain_result, read_results, result, write_results
from antidisrupt_lib.metrics.robustness import robustness_results
from antidisrupt_lib.metrics.rows import attack_results, operating_results
from antidisrupt_lib.plots import charts, robustness

quick = settings(deadline=None, max_examples=40, derandomize=True)
kind = pytest.mark.kind("undefined numbers", "undefined, with the reason")
BAD = [np.nan, np.inf, -np.inf]


def scores(photos: int = 8, bad: float | None = None, **axes: object) -> pd.DataFrame:
    """Eight photos of four people with a fake each, well told apart; the last score can be made `bad`."""
    here, names = np.arange(photos) / photos, [f"p{i}" for i in range(photos)]
    table = pd.DataFrame({"source_id": names * 2, "fake": np.repeat([0, 1], photos)})
    table["person"] = [f"{int(name[1:]) // 2}" for name in table["source_id"]]
    table["score"] = [*(0.45 * here), *(0.3 + 0.7 * here)]
    table["image_id"] = table["source_id"] + table["fake"].astype(str)
    if bad is not None:
        table.loc[len(table) - 1, "score"] = bad
    axes = dict.fromkeys(ARM_AXES, "") | {"faces": "f", "detector": "d", "poison_ratio": 1.0, "seed": 0} | axes
    return table.assign(**axes)


def undefined(row: dict, reason: str) -> bool:
    nothing = np.isnan([row["value"], row["low"], row["high"]]).all() and row["n"] == 0 and row["over"] == ""
    return bool(nothing) and reason in row["note"]


# Scores and labels


@kind
@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("everywhere", [True, False])
def test_scores_that_are_not_finite_have_no_measure(bad, everywhere):
    table = scores(bad=bad).assign(**({"score": bad} if everywhere else {}))
    for measured in (detection_measures(table), operating_measures(table)):
        assert np.isnan(list(measured.values())).all()
    assert np.isnan(reliability(table).error)
    rows = operating_results(table, {}, draws=20)
    assert all(undefined(row, f"{16 if everywhere else 1} of 16 scores are not finite") for row in rows)


@kind
@pytest.mark.parametrize(
    ("fake", "there", "absent"), [(0, "recall_real", "no fake"), (1, "recall_fake", "no real photo")]
)
def test_one_class_alone_has_its_own_recall_and_nothing_else(fake, there, absent):
    table = pick(scores(), fake=fake)
    found = detection_measures(table)
    assert found[there] == np.mean((table["score"] >= 0.5) == fake)
    assert np.isnan([found[name] for name in MEASURES if name not in (there, f"{there}_at_fpr_5")]).all()
    for row in operating_results(table, {}, draws=20):
        assert there in row["metric"] or undefined(row, f"{absent} among the images")


@kind
def test_the_reproduced_test_set_of_fakes_alone():
    table = pd.DataFrame({"fake": 1, "score": [0.2, 0.6, 0.9]})
    for measured in (detection_measures(table), operating_measures(table)):
        assert measured["recall_fake"] == pytest.approx(2 / 3)
        assert np.isnan([measured[name] for name in ("recall_real", "accuracy", "auc")]).all()


@pytest.mark.kind("undefined numbers", "read as 0 and 1")
@pytest.mark.parametrize("form", [bool, float, np.int8, "boolean", "Int64", object])
def test_labels_may_be_bools_or_floats(form):
    table = scores()
    assert detection_measures(table.assign(fake=table["fake"].astype(form))) == pytest.approx(detection_measures(table))
    assert labels(table["fake"].astype(form)).tolist() == table["fake"].tolist()


@pytest.mark.kind("undefined numbers", "refused")
@pytest.mark.parametrize(("odd", "said"), [(-1, "-1"), (2, "2"), (0.5, "0.5"), (np.nan, "nan"), ("1", "1")])
def test_other_labels_are_refused_with_their_row(odd, said):
    table = scores()
    fake = table["fake"].astype(object)
    fake[3] = odd
    with pytest.raises(ValueError, match=rf"Row 3 of the scores has the label {said}. Labels are 0 \(real\) and 1"):
        detection_measures(table.assign(fake=fake))


@quick
@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1).map(lambda x: round(x, 2))), min_size=1, max_size=20))
def test_a_measure_is_defined_exactly_where_its_classes_are_and_then_agrees_with_scikit_learn(rows):
    fake, score = (np.array(column) for column in zip(*rows, strict=True))
    found = operating_measures(pd.DataFrame({"fake": fake, "score": score}))
    classes = {"recall_real": (~fake).any(), "recall_fake": fake.any()}
    both = all(classes.values())
    for name, value in found.items():
        here = "fpr_5" not in name and next((there for of, there in classes.items() if name.startswith(of)), both)
        assert np.isfinite(value) == here, name
    if both:
        assert found["auc"] == pytest.approx(roc_auc_score(fake, score))


@kind
def test_constant_scores_are_measured_and_tell_nothing():
    table = scores().assign(score=0.5)
    found = {row["metric"]: row for row in operating_results(table, {}, draws=50)}
    assert found["auc"]["value"] == found["accuracy"]["value"] == found["accuracy_at_fpr_5"]["value"] == 0.5
    assert found["auc"]["low"] < 0.3 and found["auc"]["high"] > 0.7


@kind
def test_one_persons_photos_have_no_interval_and_no_threshold_of_others():
    found = {row["metric"]: row for row in operating_results(scores().assign(person="a"), {}, draws=20)}
    assert found["auc"]["note"].startswith("no interval: one person alone") and np.isnan(found["auc"]["low"])
    assert undefined(found["accuracy_at_fpr_5"], "no threshold of other people")


@kind
def test_a_video_with_an_undefined_frame_is_undefined():
    table = scores(bad=np.nan).assign(video_id=lambda t: t["source_id"] + t["fake"].astype(str).radd("-"))
    videos = per_video(pd.concat([table, table.assign(score=0.5)]))
    assert videos["score"].isna().sum() == 1
    rows = {row["metric"]: row for row in operating_results(table.drop(columns="seed"), {}, draws=20)}
    assert undefined(rows["auc_per_video"], "1 of 16 scores are not finite")


@kind
@pytest.mark.parametrize("bad", BAD)
def test_attacks_on_scores_that_are_not_finite_have_no_success(bad):
    clean = scores()
    attacked = pick(clean, fake=1).assign(attack="pgd_2_255", l2_norm=1.0, linf=0.01)
    broken = attacked.assign(score=np.where(np.arange(8) == 2, bad, 0.1))
    assert all(undefined(row, "1 of 8 scores are not finite") for row in attack_results(broken, clean, {}, draws=20))
    never = attack_results(attacked, clean.assign(score=0.1), {}, draws=20)
    assert undefined(never[1], "no fake was called fake before")
    rows = robustness_results(pd.concat([clean.assign(attack=""), attacked.assign(score=0.9)]), draws=20)
    assert any(undefined(row, "no attack succeeded") for row in rows if row["metric"] == "l2_norm_of_successes")


@kind
def test_a_notebooks_table_of_measures_says_why():
    assert explained_measures(scores())["note"] == ""
    assert explained_measures(scores(bad=np.nan))["note"] == "1 of 16 scores are not finite"
    alone = explained_measures(scores().assign(person="a"))
    assert alone["note"].startswith("no threshold of other people") and alone["auc"] > 0.5


# Arms, worlds, splits


@kind
def test_an_arm_with_undefined_scores_has_no_drop_and_no_recovery():
    arms = [scores(arm="clean"), scores(arm="poisoned", attack="pgd", bad=np.nan),
            scores(arm="purified", attack="pgd", purifier="jpeg")]  # fmt: skip
    rows = {(row["arm"], row["metric"]): row for row in detector_results(pd.concat(arms), draws=20)}
    assert undefined(rows["poisoned", "auc"], "1 of 16 scores are not finite")
    assert undefined(rows["poisoned", "drop_auc"], "undefined on one side")
    assert undefined(rows["purified", "recovery"], "the drop has no interval")
    assert undefined(rows["purified", "accuracy_minus_poisoned"], "undefined on one side")


@kind
def test_one_undefined_seed_is_not_left_out_of_the_mean():
    table = pd.concat([scores(), scores(bad=np.nan, seed=1)])
    rows = {row["seed"]: row for row in detector_results(table, draws=20) if row["metric"] == "accuracy"}
    assert np.isfinite(rows[0]["value"]) and undefined(rows[1], "1 of 16") and undefined(rows[None], "1 of 16")


@kind
def test_where_nothing_was_lost_there_is_nothing_to_recover():
    arms = [scores(24, arm="clean"), scores(24, arm="poisoned", attack="pgd")]
    arms.append(scores(24, arm="purified", attack="pgd", purifier="jpeg"))
    rows = [row for row in detector_results(pd.concat(arms), draws=50) if row["metric"].startswith("recovery")]
    assert len(rows) == 3 and all(undefined(row, "the drop's interval contains 0") for row in rows)


@kind
def test_worlds_and_splits_say_why_too():
    (auc,) = [row for row in world_results(scores(bad=np.nan, world="w"), draws=20)
              if row["metric"] == "auc_in_w" and row["seed"] is None]  # fmt: skip
    assert undefined(auc, "1 of 16")
    crops = scores().assign(video_id=lambda t: t["image_id"])
    both = pd.concat([crops.assign(arm="by_identity"), crops.assign(arm="as_published", score=np.nan)])
    rows = pd.DataFrame(leak_results(both, {}, "by_identity", draws=20))
    assert "– (undefined in one of the splits)" in worth_table(rows)["auc"].tolist()


# Images and their features


def batches(x: torch.Tensor):
    return [(slice(i, i + 4), x[i : i + 4]) for i in range(0, len(x), 4)]


def compared(y: torch.Tensor, y0: torch.Tensor, people: pd.Series) -> dict[str, dict]:
    found = compare(batches(y0), batches(y), lambda x, rows: x[None], lambda x: x.mean((2, 3)))
    drawn = distribution_draws(found, people, "colour")
    return {row["metric"]: row for row in comparison_results(found, {}, people, "colour", drawn)}


@kind
@pytest.mark.parametrize("bad", BAD)
def test_images_that_are_not_finite_have_no_distance(faces, bad):
    broken = faces.x()
    broken[5, 1, 3, 3] = bad
    rows = compared(broken, faces.x(), faces.people)
    for name in ("l1", "l2", "share_disrupted" if np.isnan(bad) else "l_inf", "psnr", "frechet_colour"):
        assert undefined(rows[name], ""), name
    for name in ("kernel_distance_colour", "frechet_colour_as_published", "manifold_precision_colour"):
        assert undefined(rows[name], ""), name
    left = disruption_left(batches(faces.x()), batches(broken), lambda x, rows: x[None])
    assert not np.isfinite(left["l2"])


@kind
def test_untouched_photos_have_no_psnr_and_the_row_says_why(faces):
    x = faces.x()
    touched = x.clone()
    touched[3:] = 0.9 * touched[3:]
    rows = compared(touched, x, faces.people)
    assert undefined(rows["psnr"], "infinite for 3 of 12") and np.isfinite(rows["ssim"]["value"])


@kind
def test_one_photo_has_no_distribution_and_no_interval(faces):
    one = faces.rows([0])
    rows = compared(0.9 * one.x(), one.x(), one.people)
    assert rows["l2"]["note"].startswith("no interval: one person alone") and rows["l2"]["n"] == 1
    for name in ("frechet_colour", "kernel_distance_colour", "manifold_precision_colour", "manifold_recall_colour"):
        assert undefined(
            rows[name], "one photo has no distribution" if "manifold" not in name else "1 photos have no 3"
        )


# Rows, tables and figures


@kind
@pytest.mark.parametrize("value", BAD)
def test_no_row_holds_a_value_that_is_not_finite(value):
    assert undefined(result({}, "l2", value, 0, 1, n=5, unit="-", over="people"), "not a finite number")
    assert undefined(mean_result({}, "l2", [0.1, value], ["a", "b"], "-"), "for 1 of 2")
    assert undefined(plain_result({}, "l2", value, 5, "-", "because"), "because")
    assert undefined(mean_result({}, "l2", [], [], "-"), "nothing was measured")


@kind
def test_the_reason_survives_the_disk_and_a_defined_row_wins(tmp_path):
    axes = {"stage": "purify", "attack": "pgd"}
    write_results(
        tmp_path / "a.csv", [plain_result(axes, "l2", np.nan, 0, "-", "why"), plain_result(axes, "l1", 1, 3, "-")]
    )
    found = read_results([tmp_path / "a.csv"])
    assert (
        found["note"].tolist() == ["why", ""] and found["over"].tolist() == ["", ""] and found["n"].tolist() == [0, 3]
    )
    write_results(tmp_path / "b.csv", [plain_result(axes, "l2", 0.5, 9, "-")])
    assert set(read_results([tmp_path / "a.csv", tmp_path / "b.csv"])["value"]) == {0.5, 1}
    found.drop(columns=["over", "note"]).to_csv(tmp_path / "old.csv", index=False)
    assert read_results([tmp_path / "old.csv"])["note"].tolist() == ["", ""]


@pytest.fixture
def broken_arms() -> pd.DataFrame:
    arms = [scores(arm="clean", seed=seed) for seed in (0, 1)]
    arms += [scores(arm="poisoned", attack="pgd", bad=np.nan, seed=seed) for seed in (0, 1)]
    return pd.DataFrame(detector_results(pd.concat(arms), draws=20))


@kind
def test_tables_show_a_dash_and_the_reason(broken_arms):
    table = tables.arm_table(broken_arms).set_index("arm")
    assert table.loc["poisoned", "auc"] == "– (1 of 16 scores are not finite)"
    assert table.loc["clean", "accuracy"].startswith("0.812 [")


@kind
def test_points_without_a_value_say_why(broken_arms):
    (ax,) = charts.arm_points(broken_arms, "accuracy", "Accuracy").axes
    assert [text.get_text() for text in ax.texts] == ["0.812", "– (1 of 16 scores are not finite)"]
    assert np.isfinite([text.get_position() for text in ax.texts]).all()


@kind
def test_figures_of_undefined_scores_say_so(tmp_path):
    table = scores(bad=np.nan)
    panel = charts.score_histograms({"clean": table, "fakes alone": pick(scores(), fake=1)}).axes
    assert panel[0].get_title() == "clean\n1 scores are not finite" and panel[1].get_title() == "fakes alone"
    (diagram,) = robustness.reliability_diagram({"untouched": reliability(table)}).axes
    assert diagram.get_title() == "untouched: ECE –"
    axes = {"stage": "robust", "detector": "d", "arm": "none"}
    rows = [plain_result(axes | {"attack": name}, "attack_success", value, 8, "share", "why")
            for name, value in (("pgd_1_255", 0.5), ("pgd_2_255", np.nan))]  # fmt: skip
    write_results(tmp_path / "r.csv", rows)
    figure = robustness.eps_curve(read_results([tmp_path / "r.csv"]), "pgd")
    assert figure.axes[0].lines[0].get_label() == "undefended – (why)"
