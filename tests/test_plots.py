"""Every figure and table is drawn from the results alone, and is saved with its caption."""

from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from antidisrupt_lib import tables
from antidisrupt_lib.metrics.results import pick, plain_result, read_results, result, write_results
from antidisrupt_lib.plots import charts, forgers, maps, pictures, style

PURIFIERS = ("reverse_diffusion", "diffpure_10")


@pytest.mark.parametrize("path", sorted(Path(style.__file__).parent.glob("*.py")), ids=lambda path: path.stem)
def test_whatever_draws_brings_the_one_style_along(path):
    """A notebook that opens the room lazily may load no other module of it."""
    code = path.read_text(encoding="utf-8")
    assert path.stem == "style" or "pyplot" not in code or "from antidisrupt_lib.plots.style import" in code


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> pd.DataFrame:
    known = {"faces": "drawn", "forger": "stargan"}
    rows = [result({"stage": "forge"} | known, "edit_accuracy", 0.9, 0.85, 0.95, 50, "share")]
    for purifier in (None, *PURIFIERS):
        axes = {"stage": "purify" if purifier else "disrupt", "attack": "pgd", "purifier": purifier} | known
        values = {"share_disrupted": 0.125 if purifier else 0.8, "l2": 0.3, "psnr": 30}
        rows += [result(axes, name, value, value * 0.9, value * 1.1, 50, "-") for name, value in values.items()]
        rows += [plain_result(axes, name, 10, 50, "-") for name in ("network_calls", "seconds_per_image")]
    arms = (("clean", None, None, 0.0), ("poisoned", "pgd", None, 1.0), ("purified", "pgd", PURIFIERS[0], 1.0))
    for arm, attack, purifier, ratio in arms:
        axes = known | {"stage": "detect", "attack": attack, "purifier": purifier, "arm": arm}
        axes |= {"detector": "xception", "poison_ratio": ratio}
        for seed in ({"seed": 0}, {"seed": 1}, {}):
            rows.append(result(axes | seed, "accuracy", 0.75, 0.7, 0.8, 50, "-"))
    path = tmp_path_factory.mktemp("results") / "results.csv"
    write_results(path, rows)
    return read_results([path])


@pytest.fixture
def of_two(results) -> pd.DataFrame:
    """The same numbers of two forgers."""
    return pd.concat([results, results.assign(forger="attention")], ignore_index=True)


@pytest.fixture
def example_folders(tmp_path) -> list:
    names = ["photo", "disrupted", "purified", "fake", "broken", "recovered"]
    for purifier in PURIFIERS:
        (tmp_path / purifier).mkdir()
        np.savez(tmp_path / purifier / "examples.npz", **{n: np.random.rand(6, 3, 8, 8).astype("f") for n in names})
        row = plain_result({"stage": "purify", "forger": "stargan", "purifier": purifier}, "l2", 0, 1, "-")
        write_results(tmp_path / purifier / "results.csv", [row])
    return [tmp_path / purifier for purifier in PURIFIERS]


def check(figure: Figure, tmp_path, panels: int) -> None:
    assert isinstance(figure, Figure) and len(figure.axes) == panels
    style.save_figure(figure, tmp_path / "out", "f", "What it shows.")
    with Image.open(tmp_path / "out" / "figures" / "f.png") as image:
        assert image.format == "PNG" and min(image.size) > 80
    assert (tmp_path / "out" / "figures" / "f.txt").read_text() == "What it shows."
    assert not plt.get_fignums()  # no figure stays open


def test_figures_of_the_results(results, tmp_path):
    metrics = {"share_disrupted": "disrupted", "l2": "L2", "psnr": "PSNR"}
    check(charts.purifier_points(results, metrics, "pgd"), tmp_path, 3)
    check(charts.arm_points(results, "accuracy", "Accuracy"), tmp_path, 1)
    check(maps.heat_map(results), tmp_path, 1)
    check(maps.trade_off(results, "pgd"), tmp_path, 6)
    check(maps.poison_curve(results, "pgd"), tmp_path, 1)


def test_every_point_has_its_label_where_forgers_met_different_arms(of_two):
    fewer = of_two[(of_two["forger"] == "stargan") | (of_two["arm"] != "poisoned")]
    one, other = charts.arm_points(fewer, "accuracy", "Accuracy").axes
    assert [label for label, _ in points(one)][:2] == ["clean", "poisoned by PGD"]
    assert len(points(one)) == 3 and len(other.texts) == 2


def test_figures_of_two_forgers_show_each_by_itself(of_two, tmp_path):
    check(charts.purifier_points(of_two, {"share_disrupted": "disrupted", "l2": "L2"}, "pgd"), tmp_path, 4)
    check(charts.arm_points(of_two, "accuracy", "Accuracy"), tmp_path, 2)
    assert tables.purifier_table(of_two, "pgd")["forger"].tolist() == ["stargan"] * 3 + ["attention"] * 3
    assert len(tables.arm_table(of_two)) == 6 and len(tables.attack_table(of_two)) == 2
    assert tables.headline(of_two, "pgd").count("accuracy of") == 2


def points(ax) -> list[tuple[str, str]]:
    """What a panel of points says, from the top down: (label, value)."""
    labels = {tick: label.get_text() for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)}
    return [(labels[text.xy[1]], text.get_text()) for text in sorted(ax.texts, key=lambda text: -text.xy[1])]


THREE = [("no purifier", "0.8"), ("reverse diffusion", "0.125"), ("DiffPure, t = 10", "0.125")]


def test_points_show_the_numbers_of_the_table_in_words(results):
    metrics = {"share_disrupted": "disrupted", "never": "never measured"}
    shown, lost = charts.purifier_points(results, metrics, "pgd").axes
    assert points(shown) == THREE and {text.get_text() for text in lost.texts} == {"– (not measured)"}
    (ax,) = charts.arm_points(results, "accuracy", "Accuracy").axes  # a point per arm, not per seed
    arms = ["clean", "poisoned by PGD", "PGD, purified by reverse diffusion"]
    assert points(ax) == [(arm, "0.75") for arm in arms]
    marks = [line for line in ax.lines if line.get_marker() == "o"]
    assert [line.get_color() for line in marks] == [*style.ARMS.values()]
    assert [line.get_xdata().tolist() for line in marks] == [[0.75]] * 3
    np.testing.assert_allclose(ax.collections[0].get_segments()[0][:, 0], [0.7, 0.8])


def test_the_heat_map_holds_the_value_of_each_pair_and_of_one_attack_is_a_row_of_points(results):
    assert points(maps.heat_map(results).axes[0]) == THREE
    bim = pick(results, stage=["disrupt", "purify"], attack="pgd").assign(attack="bim", value=0.5)
    ax = maps.heat_map(pd.concat([results, bim])).axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.80", "0.50", "0.12", "0.50", "0.12", "0.50"]
    assert [label.get_text() for label in ax.get_yticklabels()] == [name for name, _ in THREE]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["PGD", "BIM"]


def test_the_front_is_what_no_other_point_equals_or_beats():
    cost, loss = np.array([3, 1, 2, 1, 4, 2.5]), np.array([1, 5, 3, 6, 2, 3])
    brute = [i for i in range(6) if not any(
        (cost[j] <= cost[i] and loss[j] <= loss[i]) and (cost[j], loss[j]) != (cost[i], loss[i]) for j in range(6)
    )]  # fmt: skip
    assert sorted(maps.pareto_front(cost, loss)) == brute == [0, 1, 2]
    assert maps.pareto_front(np.array([]), np.array([])).size == 0


def test_only_figures_that_the_results_can_fill_are_offered(results):
    assert maps.possible_figures(results) == {}
    poison, purified = (pick(results, **rows) for rows in ({"arm": "poisoned"}, {"stage": "purify"}))
    other = purified["purifier"].dropna().unique()[0]
    others = [
        purified[purified["purifier"] == other].assign(purifier=name) for name in ("gaussian_blur", "jpeg_75", "ddim_5")
    ]
    more = pd.concat([results, poison.assign(poison_ratio=0.5), *others, purified.assign(attack="bim")])
    found = maps.possible_figures(pd.concat([more, pick(results, stage="forge").assign(forger="attention")]))
    assert list(found) == ["heat_map_stargan", "trade_off_pgd_stargan", "poison_ratio_pgd_stargan"]
    line = found["poison_ratio_pgd_stargan"][0]().axes[0].lines[1]
    assert line.get_xdata().tolist() == [0.5, 1] and line.get_ydata().tolist() == [0.75, 0.75]
    plt.close("all")


def test_ages_of_a_forger_are_joined_in_their_order(tmp_path):
    rows = []
    for name, x in {"stargan_2000": 3.0, "stargan_500": 2.0, "stargan_v2": 5.0, "attention": 4.0}.items():
        here = {"stage": "break", "forger": name}
        rows.append(result(here, "sensitivity", x, x - 1, x + 1, 9, "-"))
        rows.append(result(here | {"attack": "pgd"}, "share_disrupted_masked_at_0.025", x / 10, 0.1, 0.9, 9, "share"))
    write_results(tmp_path / "results.csv", rows)
    table = read_results([tmp_path / "results.csv"])
    assert forgers.ages_of(table) == {"stargan": {500: "stargan_500", 2000: "stargan_2000"}}
    figure = forgers.age_curves(table, 0.025)
    lines = [ax.lines[0] for ax in figure.axes]
    assert [line.get_xdata().tolist() for line in lines] == [[500, 2000]] * 2
    assert [line.get_ydata().tolist() for line in lines] == [[2, 3], [0.2, 0.3]]
    check(figure, tmp_path, 2)
    check(forgers.sensitivity_against_breaking(table, 0.025), tmp_path, 1)


def test_figures_of_trainings_and_scores(tmp_path):
    history = pd.DataFrame({"step": range(20), "g_adv": np.random.rand(20), "d_adv": [np.nan, 1.0] * 10})
    check(charts.losses(history, "StarGAN"), tmp_path, 2)
    table = pd.DataFrame({"fake": [0, 0, 1, 1], "score": [0.1, 0.2, 0.8, 1.0]})
    check(charts.score_histograms({"clean": table, "poisoned": table}), tmp_path, 2)


def test_strips_of_faces(example_folders, tmp_path):
    x = torch.rand(3, 3, 8, 8)
    check(pictures.strips({"photo": x, "twice": list(2 * x)}, ["a", "b", "c"], "Faces"), tmp_path, 6)
    check(pictures.chain_strip(example_folders, 4), tmp_path, 24)
    check(pictures.purifier_strip(example_folders), tmp_path, 8)
    check(pictures.difference_strip(example_folders), tmp_path, 24)


def test_tables_hold_values_with_their_intervals(results, tmp_path):
    table = tables.purifier_table(results, "pgd").set_index("purifier")
    assert table.index.tolist() == ["none", *PURIFIERS]
    assert table.loc["none", "share_disrupted"] == "0.8 [0.72, 0.88]" and table.loc["none", "network_calls"] == "10"
    arms = tables.arm_table(results)
    assert arms["arm"].tolist() == ["clean", "poisoned", "purified"] and set(arms["accuracy"]) == {"0.75 [0.7, 0.8]"}
    style.save_table(arms, tmp_path, "arms", "The arms.")
    assert pd.read_csv(tmp_path / "tables" / "arms.csv")["arm"].tolist() == arms["arm"].tolist()
    assert (tmp_path / "tables" / "arms.txt").read_text() == "The arms."


def test_the_leaderboard_has_a_row_for_all_that_was_measured_together(results):
    board = tables.leaderboard(results).set_index(["disruptor", "purifier"])
    assert board.index.tolist() == [("", ""), ("pgd", ""), ("pgd", "diffpure_10"), ("pgd", "reverse_diffusion")]
    disrupted = board["share_disrupted"].tolist()
    assert disrupted == ["–", "80.0% [72.0%, 88.0%]", *["12.5% [11.2%, 13.8%]"] * 2]
    assert board["accuracy"].tolist() == ["75.0% [70.0%, 80.0%]"] * 2 + ["–", "75.0% [70.0%, 80.0%]"]
    assert board["detector"].tolist() == ["xception"] * 2 + ["–", "xception"]  # what no detector was trained on
    assert board.loc[("pgd", ""), "psnr"] == "30.0 [27.0, 33.0]" and (board["recovery"] == "–").all()


def test_the_headline_says_what_was_measured(results):
    text = tables.headline(results, "pgd")
    disrupted, left, accuracy = text.splitlines()
    assert disrupted.startswith("**80.0% [72.0%, 88.0%]** StarGAN: share of the edits that PGD breaks.")
    assert "They take in 90.0% [85.0%, 95.0%]" in disrupted
    assert left.startswith("**12.5% [11.2%, 13.8%]** StarGAN: share still broken after the best purifier")
    assert accuracy.startswith("**75% → 75% → 75%** StarGAN: accuracy of xception, clean 75.0% [70.0%, 80.0%]; ")


def test_the_headline_stays_three_numbers_in_a_large_study(results):
    more = pick(results, arm="purified").assign(purifier="jpeg_30")
    others = pick(results, attack="pgd").assign(attack="bim")
    defended = pick(results, stage="purify").assign(purifier="adversarial_gd", value=1.0)
    text = tables.headline(pd.concat([results, more, others, defended], ignore_index=True), "pgd")
    assert text.splitlines()[2] == tables.headline(results, "pgd").splitlines()[2]
    assert "adversarially" not in text


def test_training_curves_show_each_reading_and_leave_a_gap_where_nothing_was_lost(tmp_path):
    rows, arms = [], ({"arm": "clean"}, {"arm": "poisoned", "attack": "pgd"},
                      {"arm": "purified", "attack": "pgd", "purifier": "jpeg"})  # fmt: skip
    for steps, arm, forger in product((10, 100), arms, ("one", "other")):
        axes = {"stage": "train", "forger": forger, "detector": "d", "poison_ratio": 1.0, "steps": steps} | arm
        for ending, measure in (("", "accuracy"), ("_at_fpr_5", "accuracy_at_fpr_5"), ("_auc", "auc")):
            lost = np.nan if steps == 10 else 0.9
            measured = {measure: 0.7, f"drop{ending}": 0.1, f"recovery{ending}": lost}
            for name, value in measured.items():
                if not (arm["arm"] == "clean" and name != measure or arm["arm"] == "poisoned" and "recovery" in name):
                    rows.append(result(axes, name, value, value - 0.1, value + 0.1, 50, "share"))
    write_results(tmp_path / "results.csv", rows)
    results = read_results([tmp_path / "results.csv"])
    figures = maps.possible_figures(results)
    assert list(figures) == ["training_pgd_d_one", "training_pgd_d_other"]
    figure = figures["training_pgd_d_one"][0]()
    assert [len(ax.lines) for ax in figure.axes] == [3] * 3 + [3] * 3 + [2] * 3
    assert [line.get_xdata().tolist() for line in figure.axes[0].lines] == [[10, 100]] * 3
    recovery = figure.axes[6].lines[0].get_ydata()
    assert np.isnan(recovery[0]) and recovery[1] == 0.9
    (_, upright) = figure.axes[6].collections[-1].get_segments()  # a point between gaps shows its interval too
    np.testing.assert_allclose(upright, [[100, 0.8], [100, 1.0]])
    check(figure, tmp_path, 9)
