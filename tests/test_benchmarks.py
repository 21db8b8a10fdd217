"""A race is fair: contenders take turns at the same task, and what is compared is as good."""

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.benchmarks import incumbents
from antidisrupt_lib.benchmarks.race import peak_mib, race, ratios
from antidisrupt_lib.benchmarks.tasks import detector_attack, disruption, frechet
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.disruption.attacks import EPS
from antidisrupt_lib.plots.speed import growth
from antidisrupt_lib.weights import ZOO


@pytest.fixture(scope="module")
def photos():
    return torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)), torch.eye(5)[:3]


def test_contenders_take_turns_and_a_warm_up_counts_for_nothing():
    order = []
    contenders = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    runs = race(contenders, float, repeats=2)
    assert order == list("ababab") and runs["quality"].tolist() == [3, 4, 5, 6]
    assert (runs["cpu_s"] >= 0).all() and (runs["peak_mib"] > 1).all() and peak_mib() > 1


def test_ratios_are_of_medians_against_ours():
    rows = [("ours", 1, 5), ("ours", 2, 5), ("ours", 9, 5), ("theirs", 4, 6), ("theirs", 7, 6), ("theirs", 6, 6)]
    runs = pd.DataFrame(rows, columns=["contender", "cpu_s", "quality"]).assign(task="t", n=1, peak_mib=0.0)
    table = ratios(runs, ["task", "n"]).set_index("contender")
    assert table.loc["theirs", ["times_ours", "quality", "quality_ours"]].tolist() == [3, 6, 5]


def test_all_disruptions_stay_in_the_ball_and_half_precision_breaks_as_much(photos):
    x, c = torch.nn.functional.interpolate(photos[0][:2], size=32), photos[1][:2]
    contenders, broken = disruption(load_generator(ZOO / "attention.safetensors"), x, c, steps=2)
    found = {name: run() for name, run in contenders.items()}
    assert all((x_adv - x).abs().max() <= EPS + 1e-6 for x_adv in found.values())
    assert broken(found["ours_bf16"]) > 0.8 * broken(found["ours"])
    assert broken(found["incumbent"]) > broken(found["ours"]) / 2  # two steps from another random start


def test_every_peer_that_is_installed_attacks_the_detector_as_well(photos):
    detector = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 1)).eval()
    contenders, margin = detector_attack(detector, photos[0], steps=6)
    found = {name: margin(run()) for name, run in contenders.items()}
    assert "foolbox" in found and found == pytest.approx(dict.fromkeys(found, found["ours"]), rel=0.02)


def test_all_frechet_distances_are_equal():
    draw = np.random.default_rng(0)
    contenders, _ = frechet(draw.standard_normal((60, 8)), draw.standard_normal((50, 8)) + 1)
    distances = [run() for run in contenders.values()]
    assert distances == pytest.approx([distances[0]] * 3, rel=1e-6)
    a, b = draw.standard_normal((2, 40, 3))
    assert incumbents.frechet_distance(a, a + [1, 0, 0]) == pytest.approx(1) and incumbents.frechet_distance(a, b) > 0


def test_a_fitted_line_tells_the_power():
    runs = pd.DataFrame({"task": "t", "contender": "ours", "n": [2, 4, 8], "cpu_s": [4.0, 16.0, 64.0]})
    assert "power 2.00" in growth(runs, "n").axes[0].get_legend().get_texts()[0].get_text()
