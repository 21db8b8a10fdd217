"""Every number agrees with an independent source: NumPy, SciPy, scikit-image, scikit-learn, or pencil and paper."""

from statistics import median
from time import process_time

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from scipy.linalg import sqrtm
from scipy.spatial.distance import cosine
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.metrics import balanced_accuracy_score, recall_score, roc_auc_score

from antidisrupt_lib.metrics.arms import ARM_AXES, detector_results, find_scores
from antidisrupt_lib.metrics.comparison import (
    Comparison,
    compare,
    comparison_results,
    disruption_left,
    distribution_draws,
    measures_table,
)
from antidisrupt_lib.metrics.detection import detection_measures, drop, recovery
from antidisrupt_lib.metrics.distances import (
    d_mask,
    d_pix,
    disrupted,
    edit_mask,
    l1,
    l2,
    masked_l2,
    masked_success,
    perceptual_distance,
    psnr,
    ssim,
)
from antidisrupt_lib.metrics.frechet import choose_extractor, frechet_distance, inception_extractor
from antidisrupt_lib.metrics.intervals import POSITIVE, Draws, draw_counts, interval, mean_draws, set_draws

RNG = np.random.default_rng(5)


def pair(n: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    smooth = np.kron(RNG.random((n, 3, 8, 8)), np.ones((4, 4)))
    y0 = np.clip(smooth + 0.05 * RNG.standard_normal(smooth.shape), 0, 1)
    return torch.tensor(np.clip(y0 + 0.1 * RNG.standard_normal(y0.shape), 0, 1)).float(), torch.tensor(y0).float()


def ids(units: np.ndarray, name: str = "photos") -> pd.Series:
    return pd.Series(units.astype(str), name=name)


# Distances


def test_l1_and_l2_are_means_in_the_papers_units():
    y, y0 = pair()
    a, b = 2 * y.double().numpy() - 1, 2 * y0.double().numpy() - 1  # protocol 4.1: images in [-1, 1]
    assert np.allclose(l1(y, y0), np.abs(a - b).mean((1, 2, 3)), rtol=1e-5)
    assert np.allclose(l2(y, y0), np.square(a - b).mean((1, 2, 3)), rtol=1e-5)


def test_an_output_counts_as_disrupted_from_exactly_the_threshold():
    y0 = torch.zeros(3, 1, 4, 5)
    y = y0.clone()
    y[0, 0, 0, 0] = 0.5  # (2 * 0.5)^2 / 20 is 0.05, exactly in float32 too
    y[1, 0, 0, 0] = 0.4999
    y[2] = 1
    assert disrupted(y, y0).tolist() == [True, False, True]


def test_psnr_agrees_with_scikit_image():
    y, y0 = pair()
    expected = [peak_signal_noise_ratio(b, a, data_range=1) for a, b in zip(y.numpy(), y0.numpy(), strict=True)]
    assert np.allclose(psnr(y, y0), expected, atol=1e-4)
    assert psnr(y, y).isinf().all()


def test_ssim_agrees_with_scikit_image():
    y, y0 = pair()
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    # scikit-image leaves out the 5 border pixels, where the window is cut; torchmetrics takes them with mirrored
    # surroundings. With the mirror drawn by hand, both mean over the same windows.
    mirrored = [np.pad(x.numpy(), ((0, 0), (0, 0), (5, 5), (5, 5)), mode="reflect").astype(float) for x in (y, y0)]
    expected = [structural_similarity(a, b, channel_axis=0, **settings) for a, b in zip(*mirrored, strict=True)]
    assert np.allclose(ssim(y, y0), expected, atol=1e-4)
    assert ssim(y[:1], y0[:1]).shape == (1,) and torch.allclose(ssim(y, y), torch.ones(4))


def test_cmua_measures_only_what_the_edit_changed():
    x = torch.zeros(3, 3, 2, 2)
    y0, y = x.clone(), x + 0.125
    y0[0, :, 0, 0], y0[1, :, 0, 0] = 0.1, 0.08  # 2 * 3 * 0.1 > 0.5 > 2 * 3 * 0.08
    y0[2, 0, :, 1], y[2] = 0.5, y0[2]
    found = masked_l2(y, y0, x)
    assert found[0].item() == pytest.approx(4 * 0.025**2) and found[1].isnan() and found[2] == 0
    assert edit_mask(y0, x).sum((1, 2, 3)).tolist() == [1, 0, 2]
    success = masked_success(torch.tensor([0.05, 0.0501, torch.nan]))
    assert success[:2].tolist() == [0, 1] and success[2].isnan()


def test_dadfi_distances_are_root_sums_or_root_means():
    y, x = pair()
    mask = torch.rand(4, 1, 32, 32) > 0.5
    difference = (y - x).double().numpy()
    inside = [np.broadcast_to(m, d.shape) for m, d in zip(mask.numpy(), difference, strict=True)]
    masked = [d[m] for d, m in zip(difference, inside, strict=True)]
    assert np.allclose(d_pix(y, x), [np.linalg.norm(d) for d in difference], rtol=1e-5)
    assert np.allclose(d_pix(y, x, normalised=True), [np.sqrt((d**2).mean()) for d in difference])
    assert np.allclose(d_mask(y, x, mask), [np.linalg.norm(d) for d in masked], rtol=1e-5)
    assert np.allclose(d_mask(y, x, mask, normalised=True), [np.sqrt((d**2).mean()) for d in masked], rtol=1e-5)
    assert d_mask(y, x, mask & False, normalised=True).isnan().all()


def test_the_perceptual_distance_is_that_of_cosines():
    y, y0 = pair()

    def layers(x):
        return [x + 0.1, torch.cat([x + 0.1, x.square()], 1)[:, :, ::2]]  # no zero vector: it has no cosine

    expected = np.zeros(4)
    for a, b in zip(layers(y), layers(y0), strict=True):  # |u - v|^2 = 2 - 2 cos for unit vectors
        a, b = (t.permute(0, 2, 3, 1).flatten(1, 2).double().numpy() for t in (a, b))
        expected += [np.mean([2 * cosine(u, v) for u, v in zip(p, q, strict=True)]) for p, q in zip(a, b, strict=True)]
    assert np.allclose(perceptual_distance(layers, y, y0), expected, rtol=1e-4)
    assert perceptual_distance(layers, y, y).tolist() == [0] * 4


# Frechet distance


def by_matrix_root(a: np.ndarray, b: np.ndarray) -> float:
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    return np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s_a + s_b - 2 * sqrtm(s_a @ s_b).real)


@pytest.mark.parametrize(("n", "m", "d"), [(200, 150, 8), (200, 6, 8), (6, 200, 8), (12, 9, 30)])
def test_frechet_distance_agrees_with_the_matrix_root(n, m, d):
    mix = RNG.standard_normal((d, d))
    a, b = RNG.standard_normal((n, d)), RNG.standard_normal((m, d)) @ mix + 0.5
    assert frechet_distance(a, b) == pytest.approx(by_matrix_root(a, b), rel=2e-3)  # sqrtm of a singular matrix
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a.astype(np.float32), b.astype(np.float32)) == pytest.approx(
        frechet_distance(a, b), rel=1e-4
    )


@pytest.mark.parametrize("decay", [1e-2, 1e-9])  # the second leaves eigenvalues that rounding would spoil
def test_frechet_distance_is_exact_to_a_millionth(decay):
    draw, scale = np.random.default_rng(0), np.geomspace(1, decay, 60)
    a, b = draw.standard_normal((400, 60)) * scale, draw.standard_normal((300, 60)) * scale[::-1]
    roots = [np.linalg.qr(table - table.mean(0), mode="r") / np.sqrt(len(table) - 1) for table in (a, b)]
    between = np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + sum(np.square(root).sum() for root in roots) - 2 * between
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_more_images_than_features_is_faster_than_by_the_matrix_root():
    draw = np.random.default_rng(0)
    a, b = draw.standard_normal((900, 512)), draw.standard_normal((900, 512)) * 1.1

    def seconds(distance) -> float:
        start = process_time()
        distance(a, b)
        return process_time() - start

    ratios = [seconds(by_matrix_root) / seconds(frechet_distance) for _ in range(3)]
    assert median(ratios) > 2  # 5 at 1,024 features (docs/benchmark.md)


def test_frechet_distance_of_a_shift_is_its_square():
    a = RNG.standard_normal((50, 4))
    assert frechet_distance(a, a + [3, 0, 4, 0]) == pytest.approx(25)


def test_missing_inception_weights_are_named_and_nothing_is_downloaded(tmp_path):
    with pytest.raises(FileNotFoundError, match="no Inception weights at .*pt.pth. Download weights-inception-2015"):
        inception_extractor(tmp_path / "pt.pth")
    assert choose_extractor("", len) == ("attribute_classifier", len)


# Intervals


def test_every_bootstrap_sample_is_as_large_as_the_set():
    counts = draw_counts(30, 100)
    assert counts.shape == (100, 30) and (counts.sum(1) == 30).all() and len(np.unique(counts, axis=0)) == 100
    assert np.array_equal(counts, draw_counts(30, 100)) and not np.array_equal(counts, draw_counts(30, 100, "other"))


def test_the_interval_of_a_mean_agrees_with_scipy():
    values = RNG.gamma(2, size=80)
    mean, low, high, _ = interval(mean_draws(values, ids(np.arange(80))))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=0).confidence_interval
    assert mean == pytest.approx(values.mean())
    assert [low, high] == pytest.approx(list(theirs), abs=0.06 * (high - low))


def test_95_percent_intervals_hold_the_truth_about_95_percent_of_the_time():
    def share_held(photos: np.ndarray, studies: int) -> float:
        held = 0
        for _ in range(studies):  # five fakes a photo that stand and fall together; the truth is 0
            values = np.repeat(RNG.standard_normal(50), 5) + 0.3 * RNG.standard_normal(250)
            _, low, high, _ = interval(mean_draws(values, ids(photos)))
            held += low <= 0 <= high
        return held / studies

    assert 0.89 <= share_held(np.repeat(np.arange(50), 5), 200) <= 0.985
    assert share_held(np.arange(250), 40) < 0.8  # what one would get by taking images for independent


def test_undefined_draws_are_left_out_of_an_interval_unless_they_are_many():
    samples = np.append(np.linspace(0, 1, 101), [np.nan, np.inf])
    found = interval(Draws(np.append(0.5, samples)[None], 10**6, "people"))
    assert found[:3] == pytest.approx((0.5, 0.025, 0.975), abs=1e-4)
    found = interval(Draws(np.append(0.5, [*samples, *[np.nan] * 9])[None], 50, "people"))
    assert (
        found.value == 0.5 and np.isnan(found.low) and found.note == "no interval: undefined in over 5 % of the draws"
    )


def test_the_interval_of_a_distance_is_not_biased_by_repeated_photos():
    a, b = RNG.standard_normal((40, 6)), RNG.standard_normal((40, 6)) + 1
    drawn = set_draws(lambda weights: frechet_distance(a, b, weights), ids(np.arange(40)), 100)
    value, low, high, _ = interval(drawn, POSITIVE, basic=True)
    assert value == pytest.approx(frechet_distance(a, b)) and 0 <= low < value < high


# Comparison


def batches(x: torch.Tensor, size: int = 4):
    return [(slice(i, i + size), x[i : i + size]) for i in range(0, len(x), size)]


def results_of(found: Comparison, people: pd.Series) -> list[dict]:
    drawn = distribution_draws(found, people, "colour")
    return comparison_results(found, {"stage": "purify"}, people, "colour", drawn)


def test_a_comparison_of_known_images_gives_known_numbers(faces):
    clean = 0.8 * faces.x()
    shift = torch.where(torch.arange(12) < 6, 0.1, 0.125)[:, None, None, None]
    seen = []

    def two_copies(x, rows):
        seen.append(rows)
        return torch.stack([x, 1 - x])

    found = compare(batches(clean), batches(clean + shift), two_copies, lambda x: x.mean((2, 3)))
    assert seen == [part for part, _ in batches(clean) for _ in range(2)]
    assert found.fakes["l1"].shape == (12, 2) and found.features.shape == (12, 2, 3)
    assert np.allclose(found.fakes["l1"][:6], 0.2, atol=1e-5) and np.allclose(found.fakes["l2"][6:], 0.0625, atol=1e-5)
    assert found.fakes["share_disrupted"].tolist() == [[0] * 2] * 6 + [[1] * 2] * 6
    assert np.allclose(found.photos["psnr"][:6], 20, atol=1e-3)
    left = disruption_left(batches(clean), batches(clean + shift), two_copies)
    assert left == pytest.approx({"share_disrupted": 0.5, "l2": found.fakes["l2"].mean()})
    rows = {row["metric"]: row for row in results_of(found, faces.people)}
    assert list(rows) == [
        "l1", "l2", "share_disrupted", "l2_masked", "share_disrupted_masked", "l_inf", "l_inf_as_published", "d_pix",
        "d_mask", "psnr", "ssim", "empty_masks", "share_disrupted_as_published", "frechet_colour_as_published",
        "frechet_colour", "kernel_distance_colour",
        "manifold_precision_colour", "manifold_recall_colour",
    ]  # fmt: skip
    assert rows["share_disrupted"]["value"] == 0.5 and rows["share_disrupted"]["n"] == 24
    assert rows["l1"]["value"] == pytest.approx(0.225, abs=1e-5) and rows["psnr"]["n"] == 12
    assert 0 <= rows["share_disrupted"]["low"] < 0.5 < rows["share_disrupted"]["high"] <= 1
    assert rows["share_disrupted"]["over"] == "4 people"
    assert rows["share_disrupted"]["note"] == "held fixed: forger"
    assert rows["l_inf"]["value"] == pytest.approx(0.225, abs=1e-5) == rows["l_inf_as_published"]["value"]
    assert rows["share_disrupted_as_published"]["value"] == 1  # one batch, whose mean 0.051 hides the six below 0.05
    assert rows["empty_masks"]["value"] == 12 and rows["l2_masked"]["n"] == 12  # the first "edit" is the photo itself


class Judge:
    """A stand-in for the attribute classifier, which sees light and red faces."""

    def __call__(self, x):
        return torch.stack([x.mean((1, 2, 3)) - 0.5, x[:, 0].mean((1, 2)) - 0.5], 1)

    def layers(self, x):
        return [x, 1 - x]


def test_a_classifier_tells_which_attributes_a_treatment_keeps():
    x = torch.full((8, 3, 8, 8), 0.4)
    treated = x.clone()
    treated[:4, 0] = 0.52  # red enough to be called red, not to be called light
    outputs, extractor = (lambda x, rows: x[None]), (lambda x: x.mean((2, 3)))
    found = compare(batches(x), batches(treated), outputs, extractor, classifier=Judge())
    assert found.photos["attributes_kept"].tolist() == [0.5] * 4 + [1] * 4
    table = measures_table(found, [f"{i}" for i in range(8)], ids(np.arange(8) // 2))
    assert table["image_id"].tolist() == [f"{i}" for i in range(8)] and len(table.columns) == 15
    assert table["person"].tolist() == [*"00112233"]
    assert np.allclose(table["l2"], found.fakes["l2"].mean(1)) and table["l2_masked"].isna().all()
    assert (table["perceptual_attribute_classifier"][:4] > 0).all()


def test_untouched_photos_have_no_distance_and_no_psnr(faces):
    found = compare(batches(faces.x()), batches(faces.x()), lambda x, rows: x[None], lambda x: x.mean((2, 3)))
    named = {row["metric"]: row for row in results_of(found, faces.people)}
    rows = {name: row["value"] for name, row in named.items()}
    assert np.isnan(rows["psnr"]) and named["psnr"]["n"] == 0 and named["psnr"]["note"] == "infinite for 12 of 12"
    assert np.isnan(rows["l2_masked"]) and rows["ssim"] == pytest.approx(1)
    assert rows["l1"] == rows["l2"] == rows["share_disrupted"] == 0 and rows["frechet_colour"] == pytest.approx(
        0, abs=1e-9
    )
    assert rows["kernel_distance_colour"] == 0 and rows["manifold_precision_colour"] == rows["manifold_recall_colour"]


# Detection


def scores(right_real: float, right_fake: float, photos: int = 20, **axes) -> pd.DataFrame:
    """A test set with one fake a photo, of which the given shares are called right."""
    here = np.arange(photos) / photos
    real, fake = np.where(here < right_real, 0.2, 0.8), np.where(here < right_fake, 0.8, 0.2)
    ids = [f"{i}" for i in range(photos)]
    table = pd.DataFrame({"source_id": ids * 2, "fake": [0] * photos + [1] * photos, "score": [*real, *fake]})
    table["image_id"] = table["source_id"] + "-" + table["fake"].astype(str)
    axes = dict.fromkeys(ARM_AXES, "") | {"faces": "f", "detector": "d", "poison_ratio": 1.0, "seed": 0} | axes
    return table.assign(**axes)


def test_detection_measures_agree_with_scikit_learn():
    fake = RNG.random(300) < 0.8
    table = pd.DataFrame({"fake": fake.astype(int), "score": np.round(0.3 * fake + 0.7 * RNG.random(300), 2)})
    called = table["score"] >= 0.5
    expected = {
        "accuracy": balanced_accuracy_score(fake, called), "auc": roc_auc_score(fake, table["score"]),
        "recall_real": recall_score(~fake, ~called), "recall_fake": recall_score(fake, called),
    }  # fmt: skip
    found = detection_measures(table)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert detection_measures(table, threshold=0.25)["recall_fake"] == pytest.approx(
        recall_score(fake, table["score"] >= 0.25)
    )


def test_weights_count_a_row_as_often_as_they_say():
    table = scores(0.5, 0.8).assign(half=np.arange(40) % 2)
    counts = RNG.integers(0, 4, len(table))
    repeated = table.loc[table.index.repeat(counts)]
    assert detection_measures(table, counts.astype(float)) == pytest.approx(detection_measures(repeated))


def test_drop_and_recovery_are_their_fractions():
    clean, poisoned, purified = np.array([0.9, 0.9, 0.9]), np.array([0.5, 0.5, 0.9]), np.array([0.7, 0.9, 0.9])
    assert drop(clean, poisoned) == pytest.approx([0.4, 0.4, 0])
    assert recovery(clean, poisoned, purified) == pytest.approx([0.5, 1, np.nan], nan_ok=True)  # 0/0 is undefined


def test_the_results_of_the_arms_are_those_of_pencil_and_paper():
    arms = [
        scores(1.0, 1.0, arm="clean", poison_ratio=0.0), scores(1.0, 0.9, arm="clean", poison_ratio=0.0, seed=1),
        scores(0.5, 0.5, arm="poisoned", attack="pgd"),
        scores(0.9, 0.6, arm="purified", attack="pgd", purifier="ours"),
    ]  # fmt: skip
    table = pd.DataFrame(detector_results(pd.concat(arms), draws=60))
    mean = table[table["seed"].isna()].set_index(["arm", "metric"])
    assert mean["value"]["clean", "accuracy"] == pytest.approx(0.975)  # (1 + 0.95) / 2
    assert mean["value"]["poisoned", "drop"] == pytest.approx(0.5)  # of seed 0, which both have
    assert mean["value"]["purified", "recovery"] == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    assert "the 1 seeds that both have" in mean["note"]["poisoned", "drop"]
    assert ("clean", "drop") not in mean.index and ("poisoned", "recovery") not in mean.index
    assert mean["value"]["purified", "accuracy_minus_poisoned"] == pytest.approx(0.25)
    assert (table["stage"] == "detect").all() and pd.isna(mean["attack"]["clean", "auc"])
    by_seed = table[(table["arm"] == "clean") & (table["metric"] == "accuracy")].dropna(subset="seed")
    assert by_seed["value"].tolist() == pytest.approx([1, 0.95])
    inside = table.dropna(subset="low")
    assert (inside["low"] <= inside["value"] + 1e-9).all() and (inside["value"] <= inside["high"] + 1e-9).all()


def test_detectors_of_two_purifiers_are_compared_on_the_same_draws():
    axes = {"arm": "purified", "attack": "pgd"}
    arms = [scores(0.9, 0.6, purifier="reverse_diffusion", **axes), scores(0.85, 0.6, purifier="jpeg", **axes)]
    table = pd.DataFrame(detector_results(pd.concat(arms), draws=60))
    found = table[table["metric"].str.contains("_minus_")]
    assert found["metric"].tolist() == [f"{name}_minus_jpeg" for name in ("accuracy", "auc", "accuracy_at_fpr_5")]
    assert set(found["purifier"]) == {"reverse_diffusion"}
    accuracy = found.iloc[0]
    assert accuracy["value"] == pytest.approx(0.025) and accuracy["low"] >= 0  # never worse in any draw


def test_scores_of_all_stages_are_found_once(tmp_path):
    for stage, arm in (("x", "clean"), ("y", "clean"), ("y", "poisoned")):
        (tmp_path / stage / arm).mkdir(parents=True)
        scores(1, 1, arm=arm).drop(columns="purifier").to_parquet(tmp_path / stage / arm / "scores.parquet")
    found = find_scores([tmp_path / "x", tmp_path / "y"])
    assert len(found) == 80 and (found["purifier"] == "").all()
    with pytest.raises(FileNotFoundError, match="Run notebooks/07_train_detectors.ipynb first"):
        find_scores([tmp_path / "x", tmp_path / "07_train_detectors"])
