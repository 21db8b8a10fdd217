"""Measures of a detector from its scores, in which reals and fakes weigh equally (protocol 4.6 and 4.7).

A scores table has a row per test image: `source_id` (the photo it is or was made of), `fake` (0 or 1), and `score`,
P(fake). C holds five fakes per photo; so that accuracy doesn't hang on that ratio, each class has half of the weight.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.intervals import Columns, draw_counts, measure_draws, over_seeds, percentile_interval
from antidisrupt_lib.metrics.results import result
from antidisrupt_lib.weights import find_below

ARM_AXES = ["faces", "attack", "purifier", "arm", "detector", "poison_ratio"]
MEASURES = ("accuracy", "auc", "recall_real", "recall_fake")
DRAWS = 300
OURS = "reverse_diffusion"  # the paper's purifier, whose detectors are compared with those of each other purifier


def class_weights(fake: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights scaled so that each class sums to 1/2."""
    sums = np.array([weights[fake == 0].sum(), weights[fake == 1].sum()])
    return weights / (2 * sums[fake])


def recalls(fake: np.ndarray, score: np.ndarray, weights: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Accuracy and both recalls, where weights of each class sum to 1/2; called fake is what scores >= threshold."""
    called = score >= threshold
    real, fake = 2 * weights[(fake == 0) & ~called].sum(), 2 * weights[(fake == 1) & called].sum()
    return {"accuracy": (real + fake) / 2, "recall_real": real, "recall_fake": fake}


def roc(fake: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(fpr, tpr) from the highest threshold to the lowest.

    scikit-learn's takes twenty times as long for a test set of some hundreds, which a bootstrap measures 300 times.
    """
    order = np.argsort(-score)
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))  # of the images that share a score
    fpr, tpr = (np.append(0, np.cumsum((weights * of)[order])[last]) for of in (1 - fake, fake))
    return fpr / fpr[-1], tpr / tpr[-1]


def detection_measures(scores: Columns, weights: np.ndarray | None = None, threshold: float = 0.5) -> dict[str, float]:
    """Accuracy, AUC, and the recall of each class; an image is called fake where P(fake) >= threshold.

    Args:
        weights: how often each row counts, for a bootstrap; once each, if None.
    """
    fake, score = np.asarray(scores["fake"]), np.asarray(scores["score"])
    weights = class_weights(fake, np.ones(len(fake)) if weights is None else weights)
    fpr, tpr = roc(fake, score, weights)
    shares = recalls(fake, score, weights, threshold) | {"auc": float(np.trapezoid(tpr, fpr))}
    return {name: shares[name] for name in MEASURES}


def drop(clean: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """Accuracy lost against the detector trained on clean photos, as a share (x 100: percentage points)."""
    return clean - arm


def recovery(clean: np.ndarray, poisoned: np.ndarray, purified: np.ndarray) -> np.ndarray:
    """(purified - poisoned) / (clean - poisoned): 0 if purification brought nothing back, 1 if all (protocol 4.7)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (purified - poisoned) / (clean - poisoned)


def find_scores(folders: Iterable[Path | str]) -> pd.DataFrame:
    """All scores tables below some stages' folders, with empty axes as "".

    Raises:
        FileNotFoundError: a folder has none; the text names the notebook that makes it.
    """
    paths = find_below(folders, "scores.parquet")
    scores = _with_all_axes(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))
    return scores.drop_duplicates([*ARM_AXES, "seed", "image_id"])


def _with_all_axes(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(**{axis: scores.get(axis, pd.Series("", scores.index)).fillna("") for axis in ARM_AXES})


def detector_results(scores: pd.DataFrame) -> list[dict]:
    """Results rows of all detectors: measures per seed, then means over seeds with drop and recovery.

    Every arm is measured on the same bootstrap draws of the photos, so that differences are paired.
    """
    counts = draw_counts(scores["source_id"].nunique(), DRAWS)
    sampled, rows = {}, []
    for arm, table in scores.groupby(ARM_AXES, sort=False):
        seeds = {
            seed: measure_draws(one, detection_measures, counts, "source_id") for seed, one in table.groupby("seed")
        }
        n = len(table) // len(seeds)
        for seed, values in seeds.items():
            rows += _measure_rows(dict(zip(ARM_AXES, arm, strict=True)) | {"seed": seed}, values, n)
        sampled[arm] = over_seeds(seeds)
        rows += _measure_rows(dict(zip(ARM_AXES, arm, strict=True)), sampled[arm], n)
    return rows + _comparison_rows(sampled, len(counts[0])) + _difference_rows(sampled, len(counts[0]))


def _measure_rows(axes: dict, values: dict[str, np.ndarray], n: int) -> list[dict]:
    return [_row(axes, name, value, n, "share, classes weigh equally") for name, value in values.items()]


def _row(axes: dict, name: str, values: np.ndarray, n: int, unit: str) -> dict:
    axes = {"stage": "detect"} | {axis: value for axis, value in axes.items() if value != ""}
    return result(axes, name, values[0], *percentile_interval(values[1:]), n=n, unit=unit)


def _comparison_rows(sampled: dict[tuple, dict[str, np.ndarray]], n: int) -> list[dict]:
    """Drop of every arm against the clean one, and recovery of the purified arms."""
    arms = [(dict(zip(ARM_AXES, key, strict=True)), values["accuracy"]) for key, values in sampled.items()]
    rows = []
    for axes, accuracy in arms:
        peers = [(a, v) for a, v in arms if (a["faces"], a["detector"]) == (axes["faces"], axes["detector"])]
        clean = next((v for a, v in peers if a["arm"] == "clean"), None)
        if clean is None or axes["arm"] == "clean":
            continue
        rows.append(_row(axes, "drop", drop(clean, accuracy), n, "share of accuracy, against clean"))
        same = [
            v
            for a, v in peers
            if a["arm"] == "poisoned" and a["attack"] == axes["attack"] and a["poison_ratio"] == axes["poison_ratio"]
        ]
        if axes["arm"] != "poisoned" and same:
            rows.append(_row(axes, "recovery", recovery(clean, same[0], accuracy), n, "share of the drop"))
    return rows


def _difference_rows(sampled: dict[tuple, dict[str, np.ndarray]], n: int) -> list[dict]:
    """Accuracy of every treated arm minus the poisoned one's, and of OURS minus each other purifier's, on one draw."""
    arms = [(dict(zip(ARM_AXES, key, strict=True)), values["accuracy"]) for key, values in sampled.items()]
    rows = []
    for one, accuracy in arms:
        for other, reference in arms:
            differ = {axis for axis in ARM_AXES if one[axis] != other[axis]}
            if one["arm"] not in ("clean", "poisoned") and other["arm"] == "poisoned" and differ <= {"arm", "purifier"}:
                rows.append(_row(one, "accuracy_minus_poisoned", accuracy - reference, n, "share, paired"))
            if one["purifier"] == OURS and differ == {"purifier"}:
                name = f"accuracy_minus_{other['purifier']}"
                rows.append(_row(one, name, accuracy - reference, n, "share, paired"))
    return rows


def world_results(scores: pd.DataFrame) -> list[dict]:
    """Results rows of detectors in other worlds than the clean one: `<measure>_in_<world>`, for the column `world`."""
    rows = []
    for world, table in _with_all_axes(scores).groupby("world", sort=False):
        measured = [row for row in detector_results(table) if row["metric"] in MEASURES]
        rows += [row | {"metric": f"{row['metric']}_in_{world}"} for row in measured]
    return rows
