"""Two sets of images as distributions, in the features of a named extractor: kernel distance, precision and recall.

The kernel distance is KID only in Inception's features, as the Frechet distance is FID only there. It is unbiased, so
that unlike FID it can be read at some hundred images (protocol 4.4).
"""

import numpy as np
from scipy.spatial.distance import cdist

from antidisrupt_lib.metrics.intervals import DRAWS, draw_counts, percentile_interval
from antidisrupt_lib.seeding import numpy_generator


def polynomial_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a.b / d + 1)^3 of each pair of rows (Binkowski et al. 2018)."""
    return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3


def kernel_distance(a: np.ndarray, b: np.ndarray, subsets: int = 0, subset_size: int = 1000) -> float:
    """The unbiased squared maximum mean discrepancy of two feature tables, n x d and m x d; it can be negative.

    Args:
        subsets: 0 takes all rows at once; else the mean over so many random subsets of both tables, as FID packages
            report KID.

    Raises:
        ValueError: a subset is larger than a table.
    """
    if not subsets:
        return _unbiased_mmd(a, b)
    if subset_size > min(len(a), len(b)):
        raise ValueError(f"Subsets of {subset_size} images can't be drawn from {len(a)} and {len(b)} images.")
    rng = numpy_generator("kernel-subsets")
    drawn = [[table[rng.choice(len(table), subset_size, replace=False)] for table in (a, b)] for _ in range(subsets)]
    return float(np.mean([_unbiased_mmd(*pair) for pair in drawn]))


def _unbiased_mmd(a: np.ndarray, b: np.ndarray) -> float:
    within = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (polynomial_kernel(t, t) for t in (a, b))]
    return float(sum(within) - 2 * polynomial_kernel(a, b).mean())


def kernel_interval(a: np.ndarray, b: np.ndarray) -> tuple[float, float, float]:
    """(kernel distance, low, high) of two feature tables of the same photos, N x T x d each, bootstrapped over photos.

    A photo that a sample holds twice is not paired with itself: the distance would be biased by its own kernel.
    """
    count = a.shape[1]
    blocks = [_photo_blocks(a, a, diagonal=False), _photo_blocks(b, b, diagonal=False), _photo_blocks(a, b)]
    pairs = [count * (count - 1), count * (count - 1), count**2]

    def distance(weights: np.ndarray) -> np.ndarray:
        apart = weights.sum(1) ** 2 - np.square(weights).sum(1)  # pairs of two different photos
        twice = np.square(weights) - weights  # pairs of a photo with its own copy
        means = [
            (((weights @ block) * weights).sum(1) - twice @ np.diag(block)) / (count**2 * apart + own * len(a))
            for block, own in zip(blocks, pairs, strict=True)
        ]
        return means[0] + means[1] - 2 * means[2]

    value = distance(np.ones((1, len(a))))[0]
    return float(value), *percentile_interval(distance(draw_counts(len(a), DRAWS).astype(float)))


def _photo_blocks(a: np.ndarray, b: np.ndarray, diagonal: bool = True) -> np.ndarray:
    """Kernel sums over the images of each pair of photos, N x N; an image with itself only if `diagonal`."""
    n, count, width = a.shape
    kernel = polynomial_kernel(a.reshape(-1, width), b.reshape(-1, width))
    if not diagonal:
        np.fill_diagonal(kernel, 0)
    return kernel.reshape(n, count, n, count).sum((1, 3))


def in_manifold(queries: np.ndarray, reference: np.ndarray, k: int = 3) -> np.ndarray:
    """Whether each query lies within the k-th neighbour's distance of some reference point (n booleans).

    Raises:
        ValueError: the reference has no k neighbours for each of its points.
    """
    if len(reference) <= k:
        raise ValueError(f"{len(reference)} images have no {k} neighbours each. Measure more photos.")
    radii = np.partition(cdist(reference, reference), k, axis=1)[:, k]  # at 0: the point itself
    return (cdist(queries, reference) <= radii).any(1)


def precision_recall(generated: np.ndarray, real: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Kynkaanniemi et al. 2019: shares of generated images in the real manifold, and of real ones in the generated."""
    return float(in_manifold(generated, real, k).mean()), float(in_manifold(real, generated, k).mean())
