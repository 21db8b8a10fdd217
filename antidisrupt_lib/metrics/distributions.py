"""Two sets of images as distributions, in the features of a named extractor: kernel distance, precision and recall.

The kernel distance is KID only in Inception's features, as the Frechet distance is FID only there. It is unbiased, so
that unlike FID it can be read at some hundred images (protocol 4.4).

Where both sets are made of the same photos (clean deepfakes, and those of the treated photos), an image lies near its
own twin whatever else the sets are like. There only images of different photos are compared.
"""

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from antidisrupt_lib.metrics.intervals import DRAWS, Draws, draw_units
from antidisrupt_lib.seeding import numpy_generator


def polynomial_kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(a.b / d + 1)^3 of each pair of rows (Binkowski et al. 2018)."""
    return (a.astype(np.float64) @ b.T.astype(np.float64) / a.shape[1] + 1) ** 3


def kernel_distance(a: np.ndarray, b: np.ndarray, subsets: int = 0, subset_size: int = 1000) -> float:
    """The unbiased squared maximum mean discrepancy of two feature tables, n x d and m x d; it can be negative.

    It is unbiased for sets of different photos; those of the same photos go to `paired_kernel_distance`.

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


def paired_kernel_distance(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """The unbiased squared maximum mean discrepancy of two feature tables of the same photos, N x T x d each.

    Of all three kinds of pairs only those of different photos count: (w'Bw - sum w^2 B_ii) / (T^2 (S^2 - sum w^2)),
    with B the kernel summed over the images of two photos and S = sum w. So it is 0 for identical sets, and a photo
    that a bootstrap holds twice is not paired with its copy. NaN if fewer than two photos count.

    Args:
        weights: how often each photo counts, k x N; once each, if None.

    Returns:
        k distances; they can be negative.
    """
    weights = np.ones((1, len(a))) if weights is None else weights
    square = np.square(weights)
    apart = a.shape[1] ** 2 * (weights.sum(1) ** 2 - square.sum(1))

    def mean(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        block = _photo_block(one, other)
        with np.errstate(invalid="ignore"):
            return (((weights @ block) * weights).sum(1) - square @ np.diag(block)) / apart

    return mean(a, a) + mean(b, b) - 2 * mean(a, b)


def kernel_draws(a: np.ndarray, b: np.ndarray, people: pd.Series, draws: int = DRAWS) -> Draws:
    """`paired_kernel_distance` of all photos, and on bootstrap draws of the people whose photos they are."""
    codes, counts = draw_units(people, draws)
    weights = np.concatenate([np.ones((1, len(a))), counts[:, codes]])
    return Draws(paired_kernel_distance(a, b, weights)[None], counts.shape[1], str(people.name))


def _photo_block(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kernel sums over the images of each pair of photos, N x N."""
    n, count, width = a.shape
    kernel = polynomial_kernel(a.reshape(-1, width), b.reshape(-1, width))
    return kernel.reshape(n, count, n, count).sum((1, 3))


def in_manifold(queries: np.ndarray, reference: np.ndarray, k: int = 3, photos: np.ndarray | None = None) -> np.ndarray:
    """Whether each query lies within the k-th neighbour's distance of some reference point (n numbers, 0 or 1).

    Args:
        photos: the photo of each row, if both tables are made of the same photos. Then a query's own photo is no
            reference for it, nor a reference point's own photo a neighbour: a twin says nothing of the rest of the set.

    Returns:
        NaN for a query that isn't finite, or for all if a reference point isn't.

    Raises:
        ValueError: the reference has no k neighbours for each of its points.
    """
    same = np.eye(len(reference), dtype=bool) if photos is None else photos[:, None] == photos[None]
    if (found := int((~same).sum(1).min())) < k:
        raise ValueError(f"{found + 1} images have no {k} neighbours each. Measure more photos.")
    between = np.where(same, np.inf, cdist(reference, reference))
    radii = np.partition(between, k - 1, axis=1)[:, k - 1]
    distances, odd = cdist(queries, reference), ~np.isfinite(queries).all(1) | ~np.isfinite(reference).all()
    inside = distances <= radii if photos is None else (distances <= radii) & ~same
    return np.where(odd, np.nan, inside.any(1))


def precision_recall(generated: np.ndarray, real: np.ndarray, k: int = 3) -> tuple[float, float]:
    """Kynkaanniemi et al. 2019: shares of generated images in the real manifold, and of real ones in the generated."""
    return float(in_manifold(generated, real, k).mean()), float(in_manifold(real, generated, k).mean())
