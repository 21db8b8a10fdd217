"""A detector at all its thresholds, on images and on videos, calm and attacked (protocol 4.5 and 4.6).

A scores table has a row per test image: `image_id`, `source_id` (the photo it is or was made of), `fake` (0 or 1),
`score` (P(fake)), and where there are any `video_id` and `seed`. Reals and fakes weigh equally in every measure, so
that none hangs on how many fakes a test set holds: average precision, calibration and log weighted precision are those
of a world in which half of the images are fake.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import DRAWS, class_weights, recalls, roc
from antidisrupt_lib.metrics.intervals import (
    Columns,
    basic_interval,
    draw_counts,
    measure_draws,
    over_seeds,
    percentile_interval,
)
from antidisrupt_lib.metrics.results import result

LOW_THRESHOLD = 0.25  # Gandhi & Jain's; numbers at it end in _at_0.25, those at 0.5 in nothing
RECALLS = (0.1, 0.5, 0.9)
ALPHA = 100  # how many fakes one false alarm weighs up (DFDC preview)
BINS = 10
PER_VIDEO = "_per_video"

Measures = Callable[[Columns, np.ndarray], dict[str, float]]


# Along the ROC curve: rates of false and true alarms, from (0, 0) to (1, 1)


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Where as many reals as fakes are called wrong, on the straight line between the two nearest thresholds."""
    return float(np.interp(0, fpr + tpr - 1, fpr))


def average_precision(fpr: np.ndarray, tpr: np.ndarray) -> float:
    """Precision at each threshold, weighted by the recall it adds (no interpolation)."""
    called = (fpr + tpr)[1:]
    precision = np.divide(tpr[1:], called, out=np.zeros(len(called)), where=called > 0)  # in a draw, nothing may be
    return float(np.diff(tpr) @ precision)


def log_weighted_precision(fpr: np.ndarray, tpr: np.ndarray, recall: float, alpha: float = ALPHA) -> float:
    """log(TP / (TP + alpha FP)), natural, at the highest threshold that reaches a recall; 0 is the best."""
    at = np.searchsorted(tpr, recall - 1e-9)  # weights sum up with rounding errors
    return float(np.log(tpr[at] / (tpr[at] + alpha * fpr[at])))


# Calibration


@dataclass(frozen=True)
class Reliability:
    """Filled bins of scores: their mean score, the share of fakes among them, and their weight, which sums to 1."""

    score: np.ndarray
    share_fake: np.ndarray
    weight: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of score and share of fakes."""
        return float(self.weight @ np.abs(self.score - self.share_fake))


def reliability(
    scores: Columns, weights: np.ndarray | None = None, bins: int = BINS, equal_mass: bool = False
) -> Reliability:
    """How often images of about the same score are fake.

    Args:
        weights: how often each row counts; once each, if None.
        equal_mass: whether each bin holds an equal weight of images, or an equal part of [0, 1]. A score on an edge
            belongs to the bin below it, and equal scores share a bin.
    """
    fake, score = np.asarray(scores["fake"]), np.asarray(scores["score"], float)
    weights = class_weights(fake, np.ones(len(fake)) if weights is None else weights)
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    if equal_mass:
        order = np.argsort(score)
        edges = score[order][np.searchsorted(np.cumsum(weights[order]), edges - 1e-9)]
    at = np.searchsorted(edges, score)
    weight, sums, fakes = (np.bincount(at, w, bins) for w in (weights, weights * score, weights * fake))
    filled = weight > 0
    return Reliability(sums[filled] / weight[filled], fakes[filled] / weight[filled], weight[filled])


# All measures of a table


def operating_measures(scores: Columns, weights: np.ndarray | None = None) -> dict[str, float]:
    """All of the above by name, with accuracy, AUC, the recall of each class at 0.5 and 0.25, and the Brier score.

    Args:
        weights: how often each row counts, for a bootstrap; once each, if None.
    """
    fake, score = np.asarray(scores["fake"]), np.asarray(scores["score"], float)
    balanced = class_weights(fake, np.ones(len(fake)) if weights is None else weights)
    fpr, tpr = roc(fake, score, balanced)
    low = recalls(fake, score, balanced, LOW_THRESHOLD)
    return {
        **recalls(fake, score, balanced),
        **{f"{name}_at_{LOW_THRESHOLD}": value for name, value in low.items()},
        "auc": float(np.trapezoid(tpr, fpr)),
        "average_precision": average_precision(fpr, tpr),
        "eer": equal_error_rate(fpr, tpr),
        "ece": reliability(scores, weights).error,
        "ece_equal_mass": reliability(scores, weights, equal_mass=True).error,
        "brier": float(balanced @ np.square(score - fake)),
        **{f"log_weighted_precision_at_{r}": log_weighted_precision(fpr, tpr, r) for r in RECALLS},
    }


def success_measures(pairs: Columns, weights: np.ndarray | None = None, threshold: float = 0.5) -> dict:
    """Shares of attacked fakes called real: of all fakes, and of those first called fake (NaN if none was).

    Args:
        pairs: as `pair_scores` gives them.
    """
    score, before = np.asarray(pairs["score"]), np.asarray(pairs["clean_score"])
    weights = np.ones(len(score)) if weights is None else weights
    passed, first = weights * (score < threshold), before >= threshold
    called = weights[first].sum()
    return {
        "attack_success": passed.sum() / weights.sum(),
        "attack_success_first_fake": passed[first].sum() / called if called else np.nan,
    }


def pair_scores(attacked: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
    """The attacked fakes with the score that each had before, `clean_score`.

    Raises:
        ValueError: an attacked fake has no clean score.
    """
    keys = [key for key in ("seed", "image_id") if key in attacked]
    before = clean[[*keys, "score"]].rename(columns={"score": "clean_score"})
    pairs = attacked[attacked["fake"] == 1].merge(before, on=keys, how="left", validate="one_to_one")
    if len(alone := pairs.loc[pairs["clean_score"].isna(), "image_id"]):
        raise ValueError(f"{len(alone)} attacked fakes have no clean score, e.g. {alone.iloc[0]}. Score them first.")
    return pairs


def per_video(scores: pd.DataFrame) -> pd.DataFrame:
    """A scores table with a row per video: the mean score of its frames.

    Raises:
        ValueError: there are no video ids, or a video is both real and fake.
    """
    if "video_id" not in scores:
        raise ValueError("These scores have no column video_id. Per-video measures need to know each frame's video.")
    keys = [key for key in ("seed", "video_id") if key in scores]
    groups = scores.groupby(keys, sort=False)
    if len(mixed := groups["fake"].nunique().loc[lambda labels: labels > 1]):
        raise ValueError(f"Video {mixed.index[0]} has real and fake frames. Give the two videos names of their own.")
    videos = groups.agg(source_id=("source_id", "first"), fake=("fake", "first"), score=("score", "mean"))
    return videos.reset_index().assign(image_id=lambda table: table["video_id"])


# Results rows


def operating_results(scores: pd.DataFrame, axes: dict, draws: int = DRAWS) -> list[dict]:
    """Results rows of `operating_measures`, and where there are videos also `<measure>_per_video`.

    Each seed has its rows, and rows without a seed hold the mean over seeds. Intervals resample videos where there are
    any, else source photos, and the seeds.

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


def bootstrap_rows(table: pd.DataFrame, measures: Measures, axes: dict, draws: int, suffix: str = "") -> list[dict]:
    """Results rows of any measures of a scores table, as `operating_results` gives them; `suffix` ends their names."""
    unit = "video_id" if "video_id" in table else "source_id"
    seeds = dict(list(table.groupby("seed"))) if "seed" in table else {None: table}
    sampled = {seed: measure_draws(one, measures, unit_counts(one, unit, draws), unit) for seed, one in seeds.items()}
    rows = []
    for seed, values in (sampled | {None: over_seeds(sampled)}).items():
        for name, (value, *drawn) in values.items():
            samples = np.array(drawn)
            interval = basic_interval(value, samples) if name.startswith("ece") else percentile_interval(samples)
            n = len(seeds[seed]) if seed is not None else len(table) // len(seeds)
            rows.append(result(axes | {"seed": seed}, name + suffix, value, *interval, n, _unit(name)))
    return rows


def unit_counts(table: pd.DataFrame, unit: str, draws: int) -> np.ndarray:
    """How often each unit, in sorted order, is in each bootstrap draw: draws x units.

    Units of reals only, of fakes only, and of both are drawn each among themselves, so that no draw lacks a class.
    """
    labels = table.groupby(unit)["fake"].agg(["min", "max"])
    counts = np.zeros((draws, len(labels)), int)
    for kind, members in labels.groupby(["min", "max"]).indices.items():
        counts[:, members] = draw_counts(len(members), draws, *kind)
    return counts


def _unit(name: str) -> str:
    if name.startswith("attack_"):
        return "share of fakes"
    if name.startswith(("l2_norm", "linf")):
        return "[0, 1] units"
    kind = "squared error" if name == "brier" else "natural logarithm" if name.startswith("log_") else "share"
    return f"{kind}, classes weigh equally"
