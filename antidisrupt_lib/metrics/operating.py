"""A detector at all its thresholds, on images and on videos, calm and attacked (protocol 4.5 and 4.6).

A scores table has a row per test image: `image_id`, `source_id` (the photo it is or was made of), `fake` (0 or 1),
`score` (P(fake)), and where there are any `person`, `video_id` and `seed`. Reals and fakes weigh equally in every
measure, so that none hangs on how many fakes a test set holds: average precision, calibration and log weighted
precision are those of a world in which half of the images are fake. A measure that is not defined is NaN.

Weights are N, or k x N for k numbers of each measure: the draws of a bootstrap.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import (
    class_weights,
    columns_of,
    false_alarm_measures,
    recalls,
    roc,
)
from antidisrupt_lib.metrics.intervals import Columns

LOW_THRESHOLD = 0.25  # Gandhi & Jain's; numbers at it end in _at_0.25, those at 0.5 in nothing
RECALLS = (0.1, 0.5, 0.9)
ALPHA = 100  # how many fakes one false alarm weighs up (DFDC preview)
BINS = 10


# Along the ROC curve: rates of false and true alarms, from (0, 0) to (1, 1) on the last axis


def equal_error_rate(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Where as many reals as fakes are called wrong, on the straight line between the two nearest thresholds."""
    excess = fpr + tpr - 1
    at = (excess >= 0).argmax(-1)[..., None]  # never the first, which is -1
    (x0, x1), (y0, y1) = ([np.take_along_axis(a, i, -1)[..., 0] for i in (at - 1, at)] for a in (excess, fpr))
    return y0 - x0 * (y1 - y0) / (x1 - x0)


def average_precision(fpr: np.ndarray, tpr: np.ndarray) -> np.ndarray:
    """Precision at each threshold, weighted by the recall it adds (no interpolation)."""
    called = (fpr + tpr)[..., 1:]
    precision = np.divide(tpr[..., 1:], called, out=np.zeros_like(called), where=called > 0)  # a draw may call nothing
    return np.where(np.isnan(called[..., -1]), np.nan, (np.diff(tpr, axis=-1) * precision).sum(-1))[()]


def log_weighted_precision(fpr: np.ndarray, tpr: np.ndarray, recall: float, alpha: float = ALPHA) -> np.ndarray:
    """log(TP / (TP + alpha FP)), natural, at the highest threshold that reaches a recall; 0 is the best."""
    at = (tpr >= recall - 1e-9).argmax(-1)[..., None]  # weights sum up with rounding errors
    true, false = (np.take_along_axis(rate, at, -1)[..., 0] for rate in (tpr, fpr))
    with np.errstate(invalid="ignore", divide="ignore"):  # without fakes, nothing reaches it
        return np.log(true / (true + alpha * false))


# Calibration


@dataclass(frozen=True)
class Reliability:
    """Filled bins of scores: their mean score, the share of fakes among them, and their weight, which sums to 1.

    No bins at all where a class is absent or a score is not finite: then the error is NaN.
    """

    score: np.ndarray
    share_fake: np.ndarray
    weight: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of score and share of fakes."""
        return float(self.weight @ np.abs(self.score - self.share_fake)) if len(self.weight) else float("nan")


def reliability(
    scores: Columns, weights: np.ndarray | None = None, bins: int = BINS, equal_mass: bool = False
) -> Reliability:
    """How often images of about the same score are fake.

    Args:
        weights: how often each row counts, N; once each, if None.
        equal_mass: whether each bin holds an equal weight of images, or an equal part of [0, 1]. A score on an edge
            belongs to the bin below it, and equal scores share a bin.
    """
    fake, score, weights = columns_of(scores, weights)
    weights = sum(class_weights(fake, weights)) / 2
    if np.isnan(weights).any():
        return Reliability(*np.zeros((3, 0)))
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    if equal_mass:
        order = np.argsort(score)
        edges = score[order][np.searchsorted(np.cumsum(weights[order]), edges - 1e-9)]
    at = np.searchsorted(edges, score)
    weight, sums, fakes = (np.bincount(at, w, bins) for w in (weights, weights * score, weights * fake))
    filled = weight > 0
    return Reliability(sums[filled] / weight[filled], fakes[filled] / weight[filled], weight[filled])


def calibration_errors(
    fake: np.ndarray, score: np.ndarray, balanced: np.ndarray, bins: int = BINS, equal_mass: bool = False
) -> np.ndarray:
    """`reliability(...).error` for each row of weights, which give each class half.

    It is the sum over bins of |sum w (score - fake)|. In the order of the scores a bin is a stretch, and its sum a
    difference of two running sums.
    """
    order = np.argsort(score, kind="stable")
    score, weights, gap = score[order], balanced[..., order], (score - fake)[order]
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    if equal_mass:
        running = np.cumsum(weights, -1)
        edges = score[np.stack([(running < edge - 1e-9).sum(-1) for edge in edges], -1)]
    ends = np.searchsorted(score, edges, side="right")  # a score on an edge belongs to the bin below it
    sums = np.concatenate([np.zeros((*weights.shape[:-1], 1)), np.cumsum(weights * gap, -1)], -1)
    inner = np.take_along_axis(sums, np.broadcast_to(ends, (*weights.shape[:-1], bins - 1)), -1)
    return np.abs(np.diff(np.concatenate([sums[..., :1], inner, sums[..., -1:]], -1), axis=-1)).sum(-1)


# All measures of a table


def operating_measures(scores: Columns, weights: np.ndarray | None = None) -> dict[str, np.ndarray | float]:
    """All of the above by name, with accuracy and the recall of each class at 0.5, at 0.25 and at 5 % false alarms, the
    AUC and the Brier score.

    Args:
        weights: how often each row counts, for a bootstrap; once each, if None.
    """
    fake, score, weights = columns_of(scores, weights)
    fpr, tpr = roc(fake, score, weights)
    balanced = sum(class_weights(fake, weights)) / 2
    return {
        **recalls(fake, weights, score >= 0.5),
        **recalls(fake, weights, score >= LOW_THRESHOLD, f"_at_{LOW_THRESHOLD}"),
        **false_alarm_measures(scores, weights),
        "auc": np.trapezoid(tpr, fpr, axis=-1),
        "average_precision": average_precision(fpr, tpr),
        "eer": equal_error_rate(fpr, tpr),
        "ece": calibration_errors(fake, score, balanced),
        "ece_equal_mass": calibration_errors(fake, score, balanced, equal_mass=True),
        "brier": (balanced * np.square(score - fake)).sum(-1),
        **{f"log_weighted_precision_at_{r}": log_weighted_precision(fpr, tpr, r) for r in RECALLS},
    }


def success_measures(pairs: Columns, weights: np.ndarray | None = None, threshold: float = 0.5) -> dict:
    """Shares of attacked fakes called real: of all fakes, and of those first called fake (NaN if none was).

    Args:
        pairs: as `pair_scores` gives them.
    """
    _, score, weights = columns_of(pairs, weights)
    before = np.asarray(pairs["clean_score"], float)
    weights = weights if np.isfinite(before).all() else np.full_like(weights, np.nan)
    passed, first = score < threshold, before >= threshold
    with np.errstate(invalid="ignore"):
        return {
            "attack_success": (weights * passed).sum(-1) / weights.sum(-1),
            "attack_success_first_fake": (weights * (passed & first)).sum(-1) / (weights * first).sum(-1),
        }


def pair_scores(attacked: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
    """The attacked fakes with the score that each had before, `clean_score`.

    Raises:
        ValueError: an attacked fake has no clean score.
    """
    keys = [key for key in ("seed", "image_id") if key in attacked]
    before = clean[[*keys, "score"]].rename(columns={"score": "clean_score"})
    fakes = attacked[attacked["fake"] == 1]
    pairs = fakes.merge(before, on=keys, how="left", validate="one_to_one", indicator="found")
    if len(alone := pairs.loc[pairs["found"] != "both", "image_id"]):
        raise ValueError(f"{len(alone)} attacked fakes have no clean score, e.g. {alone.iloc[0]}. Score them first.")
    return pairs.drop(columns="found")


def per_video(scores: pd.DataFrame) -> pd.DataFrame:
    """A scores table with a row per video: the mean score of its frames, undefined if one of them is.

    Raises:
        ValueError: there are no video ids, or a video is both real and fake.
    """
    if "video_id" not in scores:
        raise ValueError("These scores have no column video_id. Per-video measures need to know each frame's video.")
    keys = [key for key in ("seed", "video_id") if key in scores]
    groups = scores.groupby(keys, sort=False)
    if len(mixed := groups["fake"].nunique().loc[lambda labels: labels > 1]):
        raise ValueError(f"Video {mixed.index[0]} has real and fake frames. Give the two videos names of their own.")
    kept = {name: (name, "first") for name in ("source_id", "person", "fake") if name in scores}
    videos = groups.agg(**kept, score=("score", lambda frames: frames.to_numpy().mean()))
    return videos.reset_index().assign(image_id=lambda table: table["video_id"])
