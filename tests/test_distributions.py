"""Kernel distance, precision and recall agree with torchmetrics and scikit-learn."""

from itertools import permutations, product

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import polynomial_kernel as their_kernel
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.kid import KernelInceptionDistance

from antidisrupt_lib.metrics.distributions import (
    in_manifold,
    kernel_distance,
    kernel_draws,
    paired_kernel_distance,
    polynomial_kernel,
    precision_recall,
)
from antidisrupt_lib.metrics.intervals import interval

RNG = np.random.default_rng(11)


def tables(n: int, m: int, d: int = 6, shift: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    return RNG.standard_normal((n, d)), RNG.standard_normal((m, d)) + shift


def test_the_kernel_distance_is_the_mean_over_different_images():
    a, b = tables(7, 9)
    settings = {"degree": 3, "gamma": 1 / 6, "coef0": 1}
    assert np.allclose(polynomial_kernel(a, b), their_kernel(a, b, **settings))
    within = [np.mean([k[i, j] for i in range(len(k)) for j in range(len(k)) if i != j])
              for k in (their_kernel(a, **settings), their_kernel(b, **settings))]  # fmt: skip
    assert kernel_distance(a, b) == pytest.approx(sum(within) - 2 * their_kernel(a, b, **settings).mean())


def test_the_kernel_distance_agrees_with_torchmetrics():
    class Features(torch.nn.Module):
        num_features = 6

        def forward(self, x):
            return x.double().flatten(1)

    a, b = tables(40, 40)
    kid = KernelInceptionDistance(Features(), subsets=2, subset_size=40)
    for table, real in ((a, True), (b, False)):
        kid.update(torch.tensor(table).reshape(40, 6, 1, 1), real=real)
    assert kernel_distance(a, b) == pytest.approx(kid.compute()[0].item(), rel=1e-5)


def test_subsets_scatter_around_the_whole_and_must_fit():
    a, b = tables(300, 300)
    assert kernel_distance(a, b, subsets=50, subset_size=100) == pytest.approx(kernel_distance(a, b), rel=0.2)
    with pytest.raises(ValueError, match="Subsets of 301 images can't be drawn from 300 and 300"):
        kernel_distance(a, b, subsets=1, subset_size=301)


def test_two_samples_of_one_distribution_have_a_kernel_distance_around_zero():
    values = [kernel_distance(*tables(30, 30, shift=0)) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200) and min(values) < 0


def test_the_kernel_interval_holds_the_distance_and_is_not_biased_by_repeated_photos():
    a, b = RNG.standard_normal((60, 1, 4)), RNG.standard_normal((60, 1, 4)) + 0.7
    a, b = (t + 0.1 * RNG.standard_normal((60, 5, 4)) for t in (a, b))
    value, low, high, _ = interval(kernel_draws(a, b, photos(60)))
    assert value == pytest.approx(paired_kernel_distance(a, b)[0], rel=1e-12)
    assert low < value < high and abs((low + high) / 2 - value) < 0.25 * (high - low)


def photos(n: int) -> pd.Series:
    return pd.Series([f"{i}" for i in range(n)], name="photos")


def by_pairs(a: np.ndarray, b: np.ndarray, weights: np.ndarray) -> float:
    """The mean kernel over all images of pairs of different photos, photo by photo."""
    total = count = 0.0
    for i, j in permutations(range(len(a)), 2):
        for p, q in product(a[i], b[j]):
            total += weights[i] * weights[j] * (p @ q / len(p) + 1) ** 3
            count += weights[i] * weights[j]
    return total / count


@settings(deadline=None, max_examples=15, derandomize=True)
@given(n=st.integers(2, 6), count=st.integers(1, 3), seed=st.integers(0, 10**6))
def test_the_paired_kernel_distance_counts_pairs_of_different_photos_alone(n, count, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n, count, 4))
    weights = rng.integers(0, 3, n) + np.eye(n)[0] + np.eye(n)[-1]
    expected = by_pairs(a, a, weights) + by_pairs(b, b, weights) - 2 * by_pairs(a, b, weights)
    assert paired_kernel_distance(a, b, weights[None])[0] == pytest.approx(expected, abs=1e-9)
    assert paired_kernel_distance(a, a, weights[None])[0] == 0


def test_the_paired_kernel_distance_of_twins_is_that_of_their_distributions():
    def twins(shift: float, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
        a = RNG.standard_normal((n, 1, 4)).repeat(2, 1)
        return a, a + shift + 0.05 * RNG.standard_normal((n, 2, 4))

    found = np.array([[paired_kernel_distance(*twins(shift))[0] for _ in range(150)] for shift in (0, 0.5)])
    errors = found.std(1) / np.sqrt(150)
    far = np.mean([kernel_distance(*tables(200, 200, 4, 0.5)) for _ in range(20)])  # of sets that share no photo
    assert abs(found[0].mean()) < 4 * errors[0] + 0.01 and found[1].mean() == pytest.approx(far, rel=0.1)
    assert kernel_distance(*(t.reshape(-1, 4) for t in twins(0))) < -2 * abs(found[0].mean())  # what twins make of it


def test_a_twin_is_no_proof_that_an_image_lies_among_the_others():
    clean = RNG.standard_normal((60, 1, 2)).repeat(2, 1).reshape(-1, 2)
    of = np.repeat(np.arange(60), 2)
    lost = clean + [50, 0]
    lost[:2] = clean[:2]  # one photo's deepfakes are as they were, all others far away
    assert in_manifold(lost, clean, photos=of)[2:].sum() == 0 and in_manifold(clean, clean, photos=of).mean() > 0.9
    alone = np.array([[1000.0, 0], [1000, 0], *RNG.standard_normal((10, 2))])
    twins = np.repeat(np.arange(6), 2)
    assert in_manifold(alone, alone).all()  # an image is its own twin's neighbour
    assert in_manifold(alone, alone, photos=twins)[:2].tolist() == [0, 0]


def test_precision_and_recall_agree_with_brute_force():
    real, generated = tables(60, 50, d=3, shift=1)

    def share(queries: np.ndarray, reference: np.ndarray) -> float:
        radii = NearestNeighbors(n_neighbors=4).fit(reference).kneighbors(reference)[0][:, 3]  # the first is itself
        return np.mean(
            [any(np.linalg.norm(q - r) <= d for r, d in zip(reference, radii, strict=True)) for q in queries]
        )

    found = precision_recall(generated, real)
    assert found == pytest.approx((share(generated, real), share(real, generated))) and 0 < min(found) < 1


def test_a_set_lies_in_its_own_manifold_and_a_narrow_one_in_a_wide_one():
    wide, narrow = RNG.standard_normal((200, 2)), 0.05 * RNG.standard_normal((200, 2))
    assert in_manifold(wide, wide).all() and not in_manifold(wide + 50, wide).any()
    precision, recall = precision_recall(generated=narrow, real=wide)
    assert precision > 0.9 and recall < 0.2  # a generator that makes one good picture
    with pytest.raises(ValueError, match="3 images have no 3 neighbours"):
        in_manifold(wide, wide[:3])
