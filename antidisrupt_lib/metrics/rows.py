"""Results rows of any measures of a scores table: for each seed, and over all of them, with intervals.

Intervals resample people where a table tells whose photos its images are (column `person`), else videos, else photos.
A fake of a video counts for the person whose video it is.
"""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import counted, halves, why_undefined
from antidisrupt_lib.metrics.intervals import DRAWS, POSITIVE, SHARE, Bounds, Draws, Measures, measure_draws
from antidisrupt_lib.metrics.operating import operating_measures, pair_scores, per_video, success_measures
from antidisrupt_lib.metrics.results import drawn_result

PER_VIDEO = "_per_video"
FIXED = "training data"


def units_of(scores: pd.DataFrame) -> pd.Series:
    """What a bootstrap of these scores draws, for each row; the Series' name says whether people, videos or photos."""
    for column, name in (("video_id", "videos"), ("source_id", "photos")):
        if column in scores and ("person" not in scores or (scores["person"] == scores[column]).all()):
            return scores[column].rename(name)
    return scores["person"].rename("people")


def seed_draws(scores: pd.DataFrame, measures: Measures, draws: int = DRAWS) -> dict[str, Draws]:
    """Measures by name, of each seed, on the same draws where seeds were tested on the same people."""
    units = units_of(scores)
    parts = by_seed(scores)
    drawn = [measure_draws(one.assign(half=halves(one)), measures, units.iloc[rows], draws) for one, rows in parts]
    seeds = tuple(None if "seed" not in scores else one["seed"].iloc[0] for one, _ in parts)
    found = {}
    for name in drawn[0]:
        count = min(_units_counted(name, one, units.iloc[rows]) for one, rows in parts)
        found[name] = Draws(np.stack([values[name] for values in drawn]), count, str(units.name), seeds)
    return found


def by_seed(scores: pd.DataFrame) -> list[tuple[pd.DataFrame, np.ndarray]]:
    """(the scores of a seed, their row numbers) for each seed; all scores together where there are no seeds."""
    groups = scores.groupby("seed").indices if "seed" in scores else {None: np.arange(len(scores))}
    return [(scores.iloc[rows], rows) for rows in groups.values()]


def _units_counted(name: str, scores: pd.DataFrame, units: pd.Series) -> int:
    """How many units a measure rests on: of the class that has fewer."""
    return min((units[rows].nunique() for rows in counted(name, scores)), default=0)


def measure_rows(
    scores: pd.DataFrame, sampled: dict[str, Draws], axes: dict, suffix: str = "", fixed: str = FIXED
) -> list[dict]:
    """Results rows of what `seed_draws` gave for these scores; rows without a seed hold the means over seeds."""
    parts = [one for one, _ in by_seed(scores)]
    rows = []
    for chosen in [*parts, scores] if "seed" in scores else [scores]:
        seed = None if chosen is scores else chosen["seed"].iloc[0]
        n = len(scores) // len(parts) if seed is None else len(chosen)
        for name, drawn in sampled.items():
            one = drawn if seed is None else drawn.of((seed,))
            why = (
                "" if np.isfinite(one.mean[0]) else reason(name, parts if seed is None else [chosen], one.values[:, 0])
            )
            kind = {"fixed": fixed, "why": why, "bounds": _bounds(name), "basic": name.startswith("ece")}
            rows.append(drawn_result(axes | {"seed": seed}, name + suffix, one, n, _unit(name), **kind))
    return rows


def reason(name: str, parts: list[pd.DataFrame], values: np.ndarray) -> str:
    """Why a measure is undefined: why it is so for the first of the seeds for which it is."""
    return next(why_undefined(name, one) for one, value in zip(parts, values, strict=True) if not np.isfinite(value))


def operating_results(scores: pd.DataFrame, axes: dict, draws: int = DRAWS) -> list[dict]:
    """Results rows of `operating_measures`, and where there are videos also `<measure>_per_video`.

    Args:
        axes: the results' axes but the seed.
    """
    rows = bootstrap_rows(scores, operating_measures, axes, draws)
    if "video_id" in scores:
        rows += bootstrap_rows(per_video(scores), operating_measures, axes, draws, PER_VIDEO)
    return rows


def attack_results(attacked: pd.DataFrame, clean: pd.DataFrame, axes: dict, draws: int = DRAWS) -> list[dict]:
    """Results rows of `success_measures`, as `operating_results` gives them; a video is called by its mean score.

    Raises:
        ValueError: an attacked fake has no clean score.
    """
    rows = bootstrap_rows(pair_scores(attacked, clean), success_measures, axes, draws)
    if "video_id" in attacked:
        videos = pair_scores(per_video(attacked), per_video(clean))
        rows += bootstrap_rows(videos, success_measures, axes, draws, PER_VIDEO)
    return rows


def bootstrap_rows(scores: pd.DataFrame, measures: Measures, axes: dict, draws: int, suffix: str = "") -> list[dict]:
    """Results rows of any measures of a scores table; `suffix` ends their names."""
    return measure_rows(scores, seed_draws(scores, measures, draws), axes, suffix)


def _unit(name: str) -> str:
    if name.startswith("attack_"):
        return "share of fakes"
    if name.startswith(("l2_norm", "linf")):
        return "[0, 1] units"
    kind = "squared error" if name == "brier" else "natural logarithm" if name.startswith("log_") else "share"
    return f"{kind}, classes weigh equally"


def _bounds(name: str) -> Bounds:
    return (-np.inf, 0.0) if name.startswith("log_") else POSITIVE if name.startswith("l2_norm") else SHARE
