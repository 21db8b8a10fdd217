"""Two treatments of the same photos are compared on the same draws of the same people, their distances too."""

import numpy as np
import pandas as pd
import pytest

from antidisrupt_lib.metrics.comparison import Comparison, distribution_draws, draws_table
from antidisrupt_lib.metrics.frechet import frechet_distance
from antidisrupt_lib.metrics.intervals import interval
from antidisrupt_lib.metrics.paired import paired_results, read_measures
from antidisrupt_lib.metrics.results import plain_result, write_results

RNG = np.random.default_rng(8)
CLEAN = RNG.standard_normal((40, 5, 6))
NOISE = RNG.standard_normal((40, 1, 6))


def keep(folder, purifier: str, noise: float, photos: int = 40, **measures: np.ndarray):
    """A purifier's folder: what it leaves of the features, and its measures."""
    found = Comparison({}, {}, CLEAN[:photos] + noise * NOISE[:photos], CLEAN[:photos])
    owners = np.arange(photos) // 2
    people = pd.Series([f"{i}" for i in owners], name="people")
    folder.mkdir()
    draws_table(distribution_draws(found, people, "colour")).to_parquet(folder / "draws.parquet")
    table = pd.DataFrame({"image_id": [f"{i:02d}" for i in range(photos)], "person": people} | measures)
    table.to_parquet(folder / "measures.parquet")
    axes = {"stage": "purify", "attack": "pgd", "purifier": purifier}
    write_results(folder / "results.csv", [plain_result(axes, "l2", 0, 1, "-")])
    return folder


def rows_of(folders) -> dict[str, dict]:
    return {row["metric"]: row for row in paired_results(read_measures(folders), "ours", "purifier")}


@pytest.fixture
def rows(tmp_path) -> dict[str, dict]:
    shares = {"share_disrupted": np.zeros(40), "psnr": np.append(np.inf, RNG.random(39))}
    return rows_of([keep(tmp_path / "a", "ours", 0.5, **shares), keep(tmp_path / "b", "jpeg", 0.6, **shares)])


def test_a_frechet_difference_is_that_of_the_distances_with_a_narrow_interval(rows):
    flat = [(CLEAN + noise * NOISE).reshape(-1, 6) for noise in (0.0, 0.5, 0.6)]
    row = rows["frechet_colour_minus_jpeg"]
    assert row["value"] == pytest.approx(frechet_distance(flat[1], flat[0]) - frechet_distance(flat[2], flat[0]))
    people = pd.Series([f"{i // 2}" for i in range(40)], name="people")
    alone = interval(
        distribution_draws(Comparison({}, {}, CLEAN + 0.5 * NOISE, CLEAN), people, "colour")["frechet_colour"]
    )
    assert row["low"] < row["value"] < row["high"] < 0
    assert row["high"] - row["low"] < 0.7 * (alone.high - alone.low)
    assert (row["over"], row["n"], row["note"]) == ("20 people", 40, "held fixed: forger, purifier")
    assert rows["kernel_distance_colour_minus_jpeg"]["n"] == 40


def test_shares_that_agree_for_all_people_still_have_a_width(rows):
    row = rows["share_disrupted_minus_jpeg"]
    width = 1 - 0.025 ** (1 / 20)  # of 20 people none differs
    assert (row["value"], row["low"], row["high"]) == pytest.approx((0, -width, width))
    assert row["unit"] == "difference of shares over the same photos"


@pytest.mark.kind("undefined numbers", "left out, and counted")
def test_photos_without_a_number_are_left_out_and_counted(rows):
    assert rows["psnr_minus_jpeg"]["n"] == 39
    assert "1 photos left out: undefined or infinite" in rows["psnr_minus_jpeg"]["note"]


@pytest.mark.kind("undefined numbers", "undefined, with the reason")
def test_a_difference_that_no_photo_has_is_undefined(tmp_path):
    folders = [keep(tmp_path / name, name, 0.5, psnr=np.full(40, np.inf)) for name in ("ours", "jpeg")]
    row = rows_of(folders)["psnr_minus_jpeg"]
    assert np.isnan(row["value"]) and row["n"] == 0 and row["note"] == "40 photos left out: undefined or infinite"


def test_distances_over_other_photos_are_not_compared(tmp_path):
    l2 = RNG.random(40)
    folders = [keep(tmp_path / "a", "ours", 0.5, l2=l2), keep(tmp_path / "b", "few", 0.6, photos=12, l2=l2[:12])]
    assert set(rows_of(folders)) == {"l2_minus_few"}
