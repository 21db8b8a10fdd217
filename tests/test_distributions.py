"""Kernel distance, precision and recall agree with torchmetrics and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel as their_kernel
from sklearn.neighbors import NearestNeighbors
from torchmetrics.image.kid import KernelInceptionDistance

from antidisrupt_lib.metrics.distributions import (
    in_manifold,
    kernel_distance,
    kernel_interval,
    polynomial_kernel,
    precision_recall,
)

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
    value, low, high = kernel_interval(a, b)
    assert value == pytest.approx(kernel_distance(a.reshape(-1, 4), b.reshape(-1, 4)))
    assert low < value < high and abs((low + high) / 2 - value) < 0.25 * (high - low)
    assert kernel_interval(a, a)[0] < 0.05 * value


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
