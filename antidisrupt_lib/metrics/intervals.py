"""Bootstrap intervals (Efron's percentile method, 95 %), which resample photos, not images.

The five fakes of a photo stand and fall together, so a photo is drawn with all that was made of it. Comparisons are
paired: every arm is measured on the same drawn photos. Seeds are drawn too, where there are several.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from antidisrupt_lib.seeding import numpy_generator

DRAWS = 1000
LEVEL = 0.95


def draw_counts(n: int, draws: int, *key: object) -> np.ndarray:
    """How often each of n photos is in each of `draws` samples with replacement: draws x n."""
    return numpy_generator("bootstrap", *key).multinomial(n, np.full(n, 1 / n), size=draws)


def percentile_interval(samples: np.ndarray) -> tuple[float, float]:
    """The central 95 % of a bootstrap's values; undefined ones (0/0) are left out."""
    samples = samples[np.isfinite(samples)]
    if not len(samples):
        return float("nan"), float("nan")
    low, high = np.quantile(samples, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def mean_interval(values: np.ndarray, photos: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) of per-image values; `photos` tells which photo each belongs to."""
    table = pd.DataFrame({"value": np.asarray(values, float), "photo": photos})
    sums = table.groupby("photo", sort=False)["value"].agg(["sum", "count"]).to_numpy(float)
    counts = draw_counts(len(sums), DRAWS)
    drawn = counts @ sums
    return float(np.mean(values)), *percentile_interval(drawn[:, 0] / drawn[:, 1])


def set_interval(statistic: Callable[[np.ndarray], float], n: int, draws: int = 100) -> tuple[float, float, float]:
    """(value, low, high) of a statistic of a whole set; `statistic(index)` measures the photos of `index`.

    The interval is basic (2 value - percentiles): a distance between distributions grows when photos repeat, and the
    percentile interval would lie above the value.
    """
    value = statistic(np.arange(n))
    rng = numpy_generator("bootstrap-set", n)
    low, high = percentile_interval(np.array([statistic(rng.integers(n, size=n)) for _ in range(draws)]))
    return value, max(0.0, 2 * value - high), 2 * value - low
