"""Bootstrap intervals (Efron's percentile method, 95 %), which resample photos, not images.

The five fakes of a photo stand and fall together, so a photo is drawn with all that was made of it. Comparisons are
paired: every arm is measured on the same drawn photos. Seeds are drawn too, where there are several.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from antidisrupt_lib.seeding import numpy_generator

Columns = pd.DataFrame | Mapping[str, np.ndarray]  # a table; a mapping gives its columns far sooner

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


def basic_interval(value: float, samples: np.ndarray) -> tuple[float, float]:
    """2 value - percentiles, not below 0: for a statistic such as a distance, which grows when units repeat.

    The percentile interval of such a statistic would lie above its value.
    """
    low, high = percentile_interval(samples)
    return max(0.0, 2 * value - high), 2 * value - low


def mean_interval(values: np.ndarray, photos: np.ndarray) -> tuple[float, float, float]:
    """(mean, low, high) of per-image values; `photos` tells which photo each belongs to."""
    table = pd.DataFrame({"value": np.asarray(values, float), "photo": photos})
    sums = table.groupby("photo", sort=False)["value"].agg(["sum", "count"]).to_numpy(float)
    counts = draw_counts(len(sums), DRAWS)
    drawn = counts @ sums
    return float(np.mean(values)), *percentile_interval(drawn[:, 0] / drawn[:, 1])


def set_interval(statistic: Callable[[np.ndarray], float], n: int, draws: int = 100) -> tuple[float, float, float]:
    """(value, low, high) of a statistic of a whole set; `statistic(index)` measures the photos of `index`.

    The interval is basic: a distance between distributions grows when photos repeat.
    """
    value = statistic(np.arange(n))
    rng = numpy_generator("bootstrap-set", n)
    return value, *basic_interval(value, np.array([statistic(rng.integers(n, size=n)) for _ in range(draws)]))


def measure_draws(
    table: pd.DataFrame, measures: Callable[[Columns, np.ndarray], dict[str, float]], counts: np.ndarray, unit: str
) -> dict[str, np.ndarray]:
    """Each measure's value, then its values on bootstrap draws: arrays of 1 + draws.

    Args:
        measures: f(columns, weights) -> numbers by name; the weights tell how often each row counts.
        counts: draws x units, how often each unit is in each draw, the units in sorted order.
        unit: the column that tells which unit a row belongs to.

    Raises:
        ValueError: a row belongs to no unit.
    """
    codes = table[unit].astype("category").cat.codes.to_numpy()
    if (lost := int((codes < 0).sum())) > 0:
        raise ValueError(f"{lost} of {len(table)} rows have no {unit}. Fill the column in, or leave it out for all.")
    columns = {name: column.to_numpy() for name, column in table.items()}
    values = [measures(columns, weights) for weights in (np.ones(len(table)), *counts[:, codes].astype(float))]
    return {name: np.array([value[name] for value in values]) for name in values[0]}


def over_seeds(seeds: Mapping[object, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Means over seeds of what `measure_draws` gives for each; in each draw the seeds are drawn too."""
    first = next(iter(seeds.values()))
    draws = len(next(iter(first.values()))) - 1
    drawn = numpy_generator("bootstrap-seeds").integers(len(seeds), size=(len(seeds), draws))
    means = {}
    for name in first:
        values = np.stack([measures[name] for measures in seeds.values()])
        means[name] = np.append(values[:, 0].mean(), np.take_along_axis(values[:, 1:], drawn, 0).mean(0))
    return means
