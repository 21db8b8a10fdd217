"""A defended forger is held against the vanilla forger's clean output."""

import pandas as pd
import pytest
import torch

from antidisrupt_lib.metrics.reference import against_vanilla_results, defence_label


def test_the_label_joins_the_forgers_defence_and_the_purifier():
    assert defence_label("", "reverse_diffusion") == "reverse_diffusion"
    assert defence_label("adversarial_gd", "none") == "adversarial_gd"
    assert defence_label("adversarial_gd", "gaussian_blur") == "adversarial_gd+gaussian_blur"
    assert defence_label("", "none") == "none"


def test_the_rows_are_distances_to_the_vanilla_clean_output():
    clean, treated = torch.full((4, 3, 2, 2), 0.5), torch.full((4, 3, 2, 2), 0.6)
    treated[3] = 0.5

    def vanilla(x, rows):
        return torch.stack([x, x])

    def own(x, rows):
        return torch.stack([x + 0.1, x])  # one edit is 0.1 off even on clean photos

    def batches(x):
        return [(slice(0, 3), x[:3]), (slice(3, 4), x[3:])]

    axes, photos = {"stage": "purify", "purifier": "adversarial_g"}, pd.Series(list("abcd"), name="photos")
    rows = against_vanilla_results(batches(clean), batches(treated), own, vanilla, axes, photos)
    value = {row["metric"]: row["value"] for row in rows}
    # distances in [-1, 1] units: 0.4^2 and 0.2^2 for the three treated photos, 0.2^2 and 0 for the other
    assert value["l2_vanilla"] == pytest.approx((3 * (0.16 + 0.04) + 0.04) / 8, rel=1e-5)
    assert value["share_disrupted_vanilla"] == pytest.approx(3 / 8)
    assert value["l2_vanilla_clean"] == pytest.approx(0.02, rel=1e-5)
    assert all(row["n"] == 8 and row["purifier"] == "adversarial_g" for row in rows)
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows[:2])
    assert rows[2]["note"].startswith("no interval: all draws are alike")  # the forgers differ alike on every photo
