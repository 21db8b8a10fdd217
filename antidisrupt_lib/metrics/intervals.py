"""Intervals at 95 %: a bootstrap over people, Student's t over seeds, an exact one for shares.

Photos of one person, and all that was made of them, stand and fall together, so a person is drawn with all of it. The
same people are drawn alike wherever they are measured, so that differences are paired; others are drawn on their own.
Whatever made the images (forger, purifier, the training part B) is not drawn: intervals hold for these alone.

- People: Efron's percentile bootstrap, its tails moved outwards for few units by Hesterberg's expansion (The American
  Statistician 69(4), 2015): the quantiles at Phi(-t sqrt(n / (n - 1))), t of n - 1 degrees of freedom.
- Seeds: a handful is too few to draw from (three cover 83 % instead of 95 %). The margin of their mean is
  t s / sqrt(S), t of S - 1 degrees of freedom; it joins that of the people as the root of the sum of squares (Zou &
  Donner, Statistics in Medicine 27, 2008). Three seeds carry 2.5 times their own standard deviation, two 9 times.
- Shares: a bootstrap of few units says little near 0 and 1 (of 2 in 120 edits of 6 people: [0, 0.05]; it holds the
  truth down to 82 % of the time). So they get Clopper & Pearson's interval for as many independent images as would vary
  like the draws do (Korn & Graubard, Survey Methodology 24(2), 1998), shrunk for few units, as `share_interval` says.
- Differences: where all units agree a bootstrap has no width, and what n of n units say takes its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from antidisrupt_lib.seeding import numpy_generator

Columns = pd.DataFrame | Mapping[str, np.ndarray]  # a table; a mapping gives its columns far sooner
Bounds = tuple[float, float]
Measures = Callable[[Columns, np.ndarray], dict[str, np.ndarray]]

DRAWS = 1000
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
SHARE, DIFFERENCE, POSITIVE, FREE = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)
SINGULAR = {"people": "person", "videos": "video", "photos": "photo"}
AT_ONCE = 2**21  # weights of draws that are held in memory together


class Estimate(NamedTuple):
    """A number, its interval (NaN where there is none), and why there is none."""

    value: float
    low: float
    high: float
    note: str = ""


@dataclass(frozen=True)
class Draws:
    """A number on its set (first column) and on bootstrap draws of its units, for each seed: seeds x (1 + draws).

    `units` is how many the draws are made from (of the class that has fewer), `over` what they are: "people", "videos"
    or "photos"; `seeds` names the rows.
    """

    values: np.ndarray
    units: int
    over: str
    seeds: tuple = (None,)

    @property
    def mean(self) -> np.ndarray:
        """Over seeds; undefined where it is for one of them."""
        return self.values.mean(0)

    @property
    def resampled(self) -> str:
        """In words: "38 people, 3 seeds"."""
        return f"{self.units} {self.over}" + (f", {len(self.seeds)} seeds" if len(self.seeds) > 1 else "")

    def of(self, seeds: tuple) -> "Draws":
        """The rows of these seeds, in this order."""
        return replace(self, values=self.values[[self.seeds.index(seed) for seed in seeds]], seeds=tuple(seeds))

    def minus(self, other: "Draws") -> "Draws":
        """The difference on the same draws, seed by seed, over the seeds that both have; undefined if they share none.

        Seeds are paired by name: where both know a seed, it dealt the same batches to both.
        """
        seeds = shared_seeds(self, other)
        if not seeds:
            return replace(self, values=np.full((1, self.values.shape[1]), np.nan), seeds=(None,))
        difference = self.of(seeds).values - other.of(seeds).values
        return Draws(difference, min(self.units, other.units), self.over, seeds)


def shared_seeds(*draws: Draws) -> tuple:
    return tuple(seed for seed in draws[0].seeds if all(seed in other.seeds for other in draws))


# Drawing


def unit_codes(units: pd.Series) -> tuple[np.ndarray, pd.Index]:
    """The number of each row's unit, and the units in sorted order.

    Raises:
        ValueError: a row belongs to no unit.
    """
    codes, names = pd.factorize(units, sort=True)
    if lost := int((codes < 0).sum()):
        one = SINGULAR[str(units.name)]
        raise ValueError(f"{lost} of {len(units)} rows have no {one}. Fill its column in, or leave it out for all.")
    return codes, names


@lru_cache(maxsize=8)  # the arms of a study are measured on the same people
def draw_counts(n: int, draws: int, *key: object) -> np.ndarray:
    """How often each of n units is in each of `draws` samples with replacement: draws x n, not to be written to."""
    counts = numpy_generator("bootstrap", *key).multinomial(n, np.full(n, 1 / n), size=draws)
    counts.flags.writeable = False
    return counts


def draw_units(units: pd.Series, draws: int, fake: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(codes of the rows' units, how often each unit is in each draw: draws x units).

    Units of reals only, of fakes only, and of both are drawn each among themselves, so that no draw lacks a class.
    """
    codes, names = unit_codes(units)
    labels = pd.Series(0 if fake is None else fake, units.index).groupby(codes).agg(["min", "max"])
    counts = np.zeros((draws, len(names)), int)
    for kind, members in labels.groupby(["min", "max"]).indices.items():
        counts[:, members] = draw_counts(len(members), draws, *map(int, kind), *names[members])
    return codes, counts


def measure_draws(table: pd.DataFrame, measures: Measures, units: pd.Series, draws: int) -> dict[str, np.ndarray]:
    """Each measure's value, then its values on bootstrap draws: arrays of 1 + draws.

    Args:
        measures: f(columns, weights) -> arrays by name, one number for each row of the weights, k x len(table), which
            tell how often each image counts.
        units: the unit of each row of the table.
    """
    codes, counts = draw_units(units, draws, table["fake"].to_numpy() if "fake" in table else None)
    columns = {name: column.to_numpy() for name, column in table.items()}
    found = [measures(columns, np.ones((1, len(table))))]
    step = max(1, AT_ONCE // len(table))
    for start in range(0, draws, step):
        found.append(measures(columns, counts[start : start + step][:, codes].astype(float)))
    return {name: np.concatenate([part[name] for part in found]) for name in found[0]}


# Intervals


def interval(drawn: Draws, bounds: Bounds = FREE, basic: bool = False) -> Estimate:
    """The number over all seeds with its interval, which always contains it.

    Args:
        bounds: between which the number lies by its nature.
        basic: 2 value - percentiles, for a statistic such as a distance, which grows when units repeat: its percentile
            interval would lie above its value. Where the growth is larger than the spread, so that the basic interval
            lies below the value, it is stretched to the value.
    """
    value, samples = drawn.mean[0], drawn.mean[1:]
    if not np.isfinite(value):
        return Estimate(np.nan, np.nan, np.nan)
    if drawn.units < 2:
        return Estimate(value, np.nan, np.nan, f"no interval: one {SINGULAR[drawn.over]} alone")
    defined = samples[np.isfinite(samples)]
    if len(defined) < LEVEL * len(samples):
        return Estimate(value, np.nan, np.nan, "no interval: undefined in over 5 % of the draws")
    if bounds == SHARE and not basic:
        low, high = share_interval(value, defined, drawn.units)
    elif np.ptp(defined) <= 1e-12 * max(1.0, abs(value)):
        low, high = agreeing_interval(value, drawn.units, bounds)
    else:
        low, high = percentile_interval(defined, drawn.units)
    if not np.isfinite([low, high]).all():
        return Estimate(value, np.nan, np.nan, "no interval: all draws are alike")
    low, high = (2 * value - high, 2 * value - low) if basic else (low, high)
    return _with_seeds(value, min(low, value), max(high, value), drawn.values[:, 0], bounds)


def _with_seeds(value: float, low: float, high: float, seeds: np.ndarray, bounds: Bounds) -> Estimate:
    if len(seeds) > 1:
        margin = stats.t.ppf(1 - TAIL, len(seeds) - 1) * seeds.std(ddof=1) / np.sqrt(len(seeds))
        low, high = value - np.hypot(value - low, margin), value + np.hypot(high - value, margin)
    low, high = np.clip([low, high], *bounds)
    return Estimate(float(value), float(min(low, value)), float(max(high, value)))


def percentile_interval(samples: np.ndarray, units: int) -> tuple[float, float]:
    """The central 95 % of a bootstrap's values, widened for few units as the head of this file says."""
    tail = stats.norm.sf(stats.t.ppf(1 - TAIL, units - 1) * np.sqrt(units / (units - 1)))
    low, high = np.quantile(samples, [tail, 1 - tail])
    return float(low), float(high)


def share_interval(share: float, samples: np.ndarray, units: int) -> tuple[float, float]:
    """Clopper & Pearson's interval for an effective number of images n, which need not be whole.

    1 / n is the bootstrap's variance over share (1 - share), as Korn & Graubard have it. But few units know their own
    variance badly: it is averaged with that of units whose images all agree, 1 / units, which weighs like one unit.
    Where n is larger than the number of units, Student's t of units - 1 degrees of freedom makes it smaller again. For
    one image a unit, and where the share is 0 or 1, n is the number of units, and the interval exact.
    """
    share = min(max(share, 0.0), 1.0)
    alone = share * (1 - share)  # variance of a single image
    relative = samples.var() / alone if alone > 1e-12 else 1 / units
    n = 1 / ((1 - 1 / units) * relative + 1 / units**2)
    if n > units:
        n *= (stats.t.ppf(TAIL, n - 1) / stats.t.ppf(TAIL, units - 1)) ** 2
    low = stats.beta.ppf(TAIL, share * n, n - share * n + 1) if share > 0 else 0.0
    high = stats.beta.ppf(1 - TAIL, share * n + 1, n - share * n) if share < 1 else 1.0
    return float(low), float(high)


def agreeing_interval(value: float, units: int, bounds: Bounds) -> tuple[float, float]:
    """What n units that all agree say of the rest: at most 1 - 0.025^(1/n) of all units differ, as far as bounds allow.

    Infinite where there are no bounds.
    """
    agree = TAIL ** (1 / units)
    low, high = (agree * value + (1 - agree) * bound for bound in bounds)
    return float(low), float(high)


def mean_draws(values: np.ndarray, units: pd.Series) -> Draws:
    """The mean of per-image values; `units` tells which person (video, photo) each belongs to, its name which it is."""
    codes, counts = draw_units(units, DRAWS)
    values = np.asarray(values, float)
    sums, sizes = (np.bincount(codes, weights) for weights in (values, np.ones(len(values))))
    drawn = np.append(values.mean(), (counts @ sums) / (counts @ sizes))
    return Draws(drawn[None], counts.shape[1], str(units.name))


def set_draws(statistic: Callable[[np.ndarray], float], units: pd.Series, draws: int) -> Draws:
    """A statistic of a whole set, on it and on bootstrap draws; `statistic(weights)` counts each row so often."""
    codes, counts = draw_units(units, draws)
    values = [statistic(weights.astype(float)) for weights in (np.ones(len(codes)), *counts[:, codes])]
    return Draws(np.array([values]), counts.shape[1], str(units.name))
