"""Rows of attacked and defended detectors: the publications' tables and the figures hold their numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib import tables
from antidisrupt_lib.metrics.operating import Reliability
from antidisrupt_lib.metrics.results import plain_result, read_results, result, write_results
from antidisrupt_lib.metrics.robustness import attack_at, eps_of
from antidisrupt_lib.plots import robustness


def row(metric: str, value: float, **axes: object) -> dict:
    axes = {"stage": "robust", "detector": "resnet18", "arm": "none"} | axes
    return result(axes, metric, value, value - 0.05, value + 0.05, 100, "share")


@pytest.fixture
def results(tmp_path) -> pd.DataFrame:
    rows = [row("accuracy", 0.9), row("accuracy", 0.1, seed=0), row("accuracy", 0.8, arm="adversarial")]
    rows += [row("attack_success", 0.1), row("attack_success", 0.9, attack="pgd")]
    rows += [row("attack_success", 0.3, attack="pgd", arm="adversarial"), row("recall_fake", 0.25, attack="fgsm")]
    rows += [row("attack_success", eps / 5, attack=attack_at("pgd", eps / 255)) for eps in (0.5, 4, 2)]
    rows += [row("recall_fake", value, attack="fgsm", arm=f"lipschitz_{value}") for value in (0.3, 0.5)]
    for purifier, value in (("none", 0.2), ("jpeg", 0.6)):
        rows.append(row("recall_fake_at_0.25", value, attack="pgd", purifier=purifier))
    axes = {"stage": "robust", "detector": "resnet18", "arm": "none", "attack": "pgd", "purifier": "jpeg"}
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
    assert attacked.loc[("FGSM, white box", "resnet18")].tolist() == ["7.5", "25.0 [20.0, 30.0]"]
    assert attacked.loc[("CW-L2, black box", "vgg16")].tolist() == ["26.6", "–"]


def test_regularisation_is_shown_as_mean_and_best_of_its_strengths(results):
    table = cells(tables.regularisation_table(results), "attack", "detector")
    ours = table.loc[("FGSM, white box", "resnet18")]
    assert ours.tolist() == ["7.5", "25.0 [20.0, 30.0]", "12.5", "40.0", "26.5", "50.0"]
    assert table.index.get_level_values("detector").unique().tolist() == ["resnet18"]


def test_input_defences_are_shown_where_they_were_tried(results):
    table = cells(tables.input_defence_table(results), "attack", "purifier")
    assert table["recall fake at 0.25"].tolist() == ["20.0 [15.0, 25.0]", "60.0 [55.0, 65.0]", "–", "–"]
    assert table["seconds per image"]["PGD, white box", "jpeg"] == "0.002"
    prior = table.loc[("perturbed and unperturbed", "deep_image_prior")]
    assert prior["recall fake at 0.25, published"] == "97.8" and "1800" in prior["seconds per image, published"]


def test_defences_have_their_clean_accuracy_and_each_attacks_success(results):
    table = cells(tables.defence_table(results), "detector", "arm")
    assert table["attack success pgd"]["resnet18", "adversarial"] == "30.0 [25.0, 35.0]"
    assert table["accuracy, published"]["xception", "none"] == "97.683"
    assert table["attack success pgd, published"]["xception", "adversarial+lipschitz"] == "at most 10 (claimed)"
    assert "attack success first fake pgd, published" not in table  # nobody published it


def test_tables_without_rows_of_ours_show_dashes(results):
    for table, caption in tables.published_tables(results.iloc[:0]).values():
        ours = [name for name in table if f"{name}, published" in table]
        assert len(table) and (table[ours] == "–").all(axis=None) and caption.endswith("Dashes: not known.")


def test_a_point_of_a_curve_is_named_by_its_budget():
    assert attack_at("pgd", 2 / 255) == "pgd_2_255" and attack_at("pgd", 0.5 / 255) == "pgd_0.5_255"
    assert eps_of("pgd_0.5_255", "pgd") == 0.5 and eps_of("", "pgd") == 0 and np.isnan(eps_of("pgd", "pgd"))


def test_the_curve_runs_through_the_rows_by_budget(results):
    line = robustness.eps_curve(results, "pgd").axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 0.5, 2, 4] and line.get_ydata() == pytest.approx([0.1, 0.1, 0.4, 0.8])
    plt.close("all")


def test_the_trade_off_places_each_defence(results):
    ax = robustness.robustness_trade_off(results, "pgd").axes[0]
    points = {bars.get_label(): bars.lines[0].get_xydata()[0].tolist() for bars in ax.containers}
    assert points == {"none": [0.9, 0.9], "adversarial": [0.8, 0.3]}
    plt.close("all")


def test_the_reliability_diagram_draws_each_bin():
    bins = Reliability(np.array([0.2, 0.9]), np.array([0.1, 1.0]), np.array([0.5, 0.5]))
    ax = robustness.reliability_diagram({"none": bins}).axes[0]
    assert ax.lines[1].get_xydata().tolist() == [[0.2, 0.1], [0.9, 1.0]] and "ECE 0.100" in ax.texts[0].get_text()
    plt.close("all")
