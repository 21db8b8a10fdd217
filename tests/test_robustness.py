"""Rows of attacked and defended detectors: the publications' tables and the figures hold their numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib import tables
from antidisrupt_lib.claims.gandhi_jain import FGSM
from antidisrupt_lib.claims.table import claims_table
from antidisrupt_lib.metrics.operating import Reliability
from antidisrupt_lib.metrics.results import plain_result, read_results, result, write_results
from antidisrupt_lib.metrics.robustness import (
    eps_of,
    is_white_box,
    reliabilities,
    robustness_results,
)
from antidisrupt_lib.plots import robustness


def row(metric: str, value: float, **axes: object) -> dict:
    axes = {"stage": "robust", "detector": "resnet18", "arm": "none"} | axes
    return result(axes, metric, value, value - 0.05, value + 0.05, 100, "share", "20 people, 3 seeds")


@pytest.fixture
def results(tmp_path) -> pd.DataFrame:
    rows = [row("accuracy", 0.9), row("accuracy", 0.1, seed=0), row("accuracy", 0.8, arm="adversarial")]
    rows += [row("attack_success", 0.1), row("attack_success", 0.9, attack="pgd_2_255")]
    rows += [
        row("attack_success", 0.3, attack="pgd_2_255", arm="adversarial"),
        row("recall_fake", 0.25, attack="fgsm_5.1_255"),
    ]
    rows += [row("attack_success", eps / 5, attack=f"pgd_{eps}_255") for eps in (0.5, 4)]
    rows += [row("recall_fake", value, attack="fgsm_5.1_255", arm=f"lipschitz_{value}") for value in (0.3, 0.5)]
    for purifier, value in (("none", 0.2), ("jpeg", 0.6)):
        rows.append(row("recall_fake_at_0.25", value, attack="pgd_2_255", purifier=purifier))
    axes = {"stage": "robust", "detector": "resnet18", "arm": "none", "attack": "pgd_2_255", "purifier": "jpeg"}
    rows.append(plain_result(axes, "seconds_per_image", 0.002, 10, "s"))
    write_results(tmp_path / "results.csv", rows)
    return read_results([tmp_path / "results.csv"])


def cells(table: pd.DataFrame, *index: str) -> pd.DataFrame:
    return table.set_index(list(index))


def test_published_numbers_stand_beside_ours(results):
    clean = cells(tables.clean_table(results), "detector")
    assert clean["accuracy, published"].to_dict() == {"vgg16": "99.7", "resnet18": "93.2"}
    assert clean["accuracy"].to_dict() == {"vgg16": "–", "resnet18": "90.0 [85.0, 95.0]"}
    attacked = cells(tables.attacked_table(results), "attack", "detector")
    assert attacked.loc[("FGSM 5.1/255", "resnet18")].tolist() == ["7.5", "25.0 [20.0, 30.0]"]
    assert attacked.loc[("C&W, from resnet18", "vgg16")].tolist() == ["26.6", "–"]


def test_regularisation_is_shown_as_mean_and_best_of_its_strengths(results):
    table = cells(tables.regularisation_table(results), "attack", "detector")
    ours = table.loc[("FGSM 5.1/255", "resnet18")]
    assert ours.tolist() == ["7.5", "25.0 [20.0, 30.0]", "12.5", "40.0", "26.5", "50.0"]
    assert table.index.get_level_values("detector").unique().tolist() == ["resnet18"]


def test_input_defences_are_shown_where_they_were_tried(results):
    table = cells(tables.input_defence_table(results), "attack", "purifier")
    assert table["recall fake at 0.25"].tolist() == ["–", "–", "20.0 [15.0, 25.0]", "60.0 [55.0, 65.0]"]
    assert table["seconds per image"]["PGD 2/255", "jpeg"] == "0.002"
    prior = table.loc[("attacked and untouched", "deep_image_prior")]
    assert prior["recall fake at 0.25, published"] == "97.8" and "1800" in prior["seconds per image, published"]


def test_defences_have_their_clean_accuracy_and_each_attacks_success(results):
    table = cells(tables.defence_table(results), "detector", "arm")
    assert table["attack success of PGD 2/255"]["resnet18", "adversarial"] == "30.0 [25.0, 35.0]"
    assert table["accuracy, published"]["xception", "none"] == "97.683"
    theirs = table["attack success of FGSM 1/255, published"]["xception", "adversarial_as_published+lipschitz"]
    assert theirs == "at most 10 (claimed)" and "attack success of PGD 4/255, published" not in table


def test_tables_without_rows_of_ours_show_dashes(results):
    for table, caption in tables.published_tables(results.iloc[:0]).values():
        ours = [name for name in table if f"{name}, published" in table]
        assert len(table) and (table[ours] == "–").all(axis=None) and caption.endswith("Dashes: not known.")


def test_attacks_are_known_by_their_names():
    named = "pgd_2_255_through_jpeg_75+one_step_from_resnet10t"
    white = [name for name in ("", "cw_l2", "pgd_2_255", "pgd_2_255_mixed", named) if is_white_box(name)]
    assert white == ["cw_l2", "pgd_2_255"]
    assert eps_of("pgd_0.5_255", "pgd") == 0.5 and eps_of("", "pgd") == 0 and np.isnan(eps_of("pgd", "pgd"))


def attacked_scores() -> pd.DataFrame:
    """Two photos and their fakes, a detector of two seeds, one attack, with and without JPEG before the detector."""
    kinds = [("", 0, [0.1, 0.6]), ("", 1, [0.9, 0.4]), ("pgd_2_255", 1, [0.3, 0.2])]
    tables = [
        pd.DataFrame({"image_id": [f"{fake}a", f"{fake}b"], "source_id": ["a", "b"], "fake": fake, "score": score})
        .assign(attack=attack, purifier=purifier, seed=seed, faces="drawn", detector="resnet18", arm="none")
        .assign(l2_norm=[1.0, 3.0] if attack and not purifier else np.nan, linf=2 / 255)
        for attack, fake, score in kinds for purifier in ("", "jpeg") for seed in (0, 1)
    ]  # fmt: skip
    return pd.concat(tables)


def test_the_results_count_what_was_called_real_and_how_far_it_went():
    rows = pd.DataFrame(robustness_results(attacked_scores(), draws=20)).fillna({"attack": "", "purifier": ""})
    pooled = rows[rows["seed"].isna()].set_index(["attack", "purifier", "metric"])["value"]
    assert pooled["pgd_2_255", "", "attack_success"] == 1 and pooled["pgd_2_255", "", "recall_fake_at_0.25"] == 0.5
    assert pooled["pgd_2_255", "jpeg", "attack_success_first_fake"] == 1
    assert pooled["pgd_2_255", "", "l2_norm"] == 2 and ("pgd_2_255", "jpeg", "l2_norm") not in pooled
    assert pooled["", "", "accuracy"] == 0.5 and pooled["pgd_2_255_mixed", "jpeg", "recall_fake"] == 0.25
    assert sorted(rows["seed"].dropna().unique()) == [0, 1] and set(rows["stage"]) == {"robust"}


def test_the_calibration_is_that_of_photos_and_fakes_untouched_and_attacked():
    found = robustness.reliability_diagram(reliabilities(attacked_scores(), "pgd_2_255")).axes
    assert [ax.get_title().partition(":")[0] for ax in found] == ["untouched", "PGD 2/255"]
    assert found[0].lines[1].get_xydata().tolist() == [[0.1, 0], [0.4, 1], [0.6, 0], [0.9, 1]]


def test_a_prior_cut_short_is_extrapolated_to_its_published_schedule(results):
    costs = {"deep_image_prior_as_published_100": (3.0, 100), "one_step": (0.009, 1), "jpeg": (0.002, 0)}
    rows = [
        plain_result({"stage": "robust", "purifier": name}, metric, value, 1, "s")
        for name, found in costs.items()
        for metric, value in zip(("seconds_per_image", "network_calls"), found, strict=True)
    ]
    table = tables.input_defence_times(pd.concat([results, pd.DataFrame(rows)]), "pgd_2_255")
    table = cells(table, "input defence")
    assert table["seconds, whole schedule"].tolist() == ["180", "0.009", "0.002"]
    assert table["times faster than published"].tolist() == ["1", "2e+04", "9e+04"]
    assert table.iloc[:, -1].tolist() == ["–", "–", "60.0 [55.0, 65.0]"]


def success(value: float, recall_real: float, **axes: object) -> list[dict]:
    return [row("attack_success", value, **axes), row("recall_real", recall_real, **axes)]


PRIOR = "deep_image_prior_as_published"


def test_published_claims_meet_our_rows(results):
    more = [row("recall_fake", 0.95), *(row("attack_success", 0.99, attack=name) for name in ("pgd_2_255", "cw_l2"))]
    for name in (FGSM, "cw_l2"):
        for arm, value in (("none", 0.3), ("lipschitz", 0.6)):
            axes = {"attack": f"{name}_from_vgg16", "arm": arm}
            more += [row("recall_fake", value, **axes), row("recall_real", 0.95, **axes)]
    for name in ("pgd_2_255", "fgsm_1_255"):
        more += success(0.5, 0.95, attack=name, arm="adversarial+lipschitz")
        more += success(0.02, 0.1, attack=name, arm="adversarial_as_published+lipschitz")
    more += success(0.02, 0.95, attack="pgd_2_255", purifier="jpeg")
    more += success(0.9, 0.95, attack="pgd_2_255_through_jpeg", purifier="jpeg")
    prior = row("recall_fake_at_0.25", 1.0, attack="pgd_2_255_mixed", purifier=PRIOR)
    more += [prior | {"over": "3 people, 3 seeds"}]
    table = claims_table(pd.DataFrame(more), "pgd_2_255", "detectors").set_index("id")
    held = {"lipschitz_black_box": "holds", "adversarial_holds": "does not hold", "undefended_falls": "holds",
            "as_published_holds": "does not hold",  # it calls all fake
            "as_published_alone_holds": "not measured: no such rows",
            "purifier_defends": "holds", "purifier_survives": "undecided: only 1 of 6 measured",
            "prior_restores": "undecided: 3 people, fewer than 10"}  # fmt: skip
    assert {name: table.loc[name, "verdict"] for name in held} == held
    assert table.loc["lipschitz_black_box", "value"] == pytest.approx(0.3)
    assert table.loc["as_published_holds", "beside"].startswith("recall of photos 0.1 [")


@pytest.mark.parametrize("recall_real, expected", [(0.95, "holds"), (0.0, "does not hold"), (None, "undecided")])
def test_an_input_defence_that_calls_all_fake_defends_nothing(recall_real, expected):
    guards = ("jpeg", "median_blur", "autoencoder_1", "one_step", "reverse_diffusion", "deep_image_prior_shallow")
    rows = [one for name in guards for one in success(0.0, recall_real or 0.0, attack="pgd_2_255", purifier=name)]
    rows = [one for one in rows if recall_real is not None or one["metric"] != "recall_real"]
    found = claims_table(pd.DataFrame(rows), "pgd_2_255", "detectors").set_index("id")
    assert found.loc["purifier_defends", "verdict"].partition(":")[0] == expected


def test_the_curve_runs_through_the_rows_by_budget(results):
    line = robustness.eps_curve(results, "pgd").axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 0.5, 2, 4] and line.get_ydata() == pytest.approx([0.1, 0.1, 0.9, 0.8])
    plt.close("all")


def test_the_trade_off_places_each_defence(results):
    ax = robustness.robustness_trade_off(results, "pgd_2_255").axes[0]
    points = {bars.get_label(): bars.lines[0].get_xydata()[0].tolist() for bars in ax.containers}
    assert points == {"undefended": [0.9, 0.9], "adversarial": [0.8, 0.3]}
    plt.close("all")


def test_the_reliability_diagram_draws_each_bin():
    bins = Reliability(np.array([0.2, 0.9]), np.array([0.1, 1.0]), np.array([0.5, 0.5]))
    ax = robustness.reliability_diagram({"none": bins}).axes[0]
    assert ax.lines[1].get_xydata().tolist() == [[0.2, 0.1], [0.9, 1.0]] and "ECE 0.100" in ax.get_title()
    plt.close("all")
