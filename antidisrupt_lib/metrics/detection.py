"""Measures of a detector from its scores, in which reals and fakes weigh equally (protocol 4.6 and 4.7).

A scores table has a row per test image: `source_id` (the photo it is or was made of), `person` (whose photo that is),
`fake` (0 or 1), and `score`, P(fake). C holds five fakes per photo; so that accuracy doesn't hang on that ratio, each
class has half of the weight.

Accuracy at the threshold 0.5 mixes what a detector knows with where its scores happen to lie. Beside it stand the AUC,
which has no threshold, and accuracy at 5 % false alarms, whose threshold comes from other people's photos.
"""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.intervals import Columns
from antidisrupt_lib.seeding import key_to_seed

FALSE_ALARMS = 0.05
AT_FPR = "_at_fpr_5"
MEASURES = (
    "accuracy", "auc", "recall_real", "recall_fake",
    f"accuracy{AT_FPR}", f"recall_real{AT_FPR}", f"recall_fake{AT_FPR}",
)  # fmt: skip
OURS = "reverse_diffusion"  # the paper's purifier, whose detectors are compared with those of each other purifier


def labels(fake: np.ndarray | pd.Series) -> np.ndarray:
    """Labels as integers, 0 for real and 1 for fake; bools and floats of these values are taken too.

    Raises:
        ValueError: a label is something else, such as -1; the text names its row.
    """
    fake = np.asarray(fake)
    real = fake == 0
    if not np.all(real | (fake == 1)):
        row = int(np.flatnonzero(~(real | (fake == 1)))[0])
        raise ValueError(f"Row {row} of the scores has the label {fake[row]!s}. Labels are 0 (real) and 1 (fake).")
    return (~real).astype(int)


def columns_of(scores: Columns, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(labels, scores, weights), each image counting once if the weights are None.

    If a score isn't finite, all weights are NaN, and so is every measure.
    """
    fake, score = labels(scores["fake"]), np.asarray(scores["score"], float)
    weights = np.ones(len(fake)) if weights is None else weights
    if not np.isfinite(score).all():
        return fake, np.zeros_like(score), np.full_like(weights, np.nan)
    return fake, score, weights


def class_weights(fake: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the reals and of the fakes, 0 elsewhere, each summing to 1; NaN where a class is absent."""
    with np.errstate(invalid="ignore"):
        return tuple(w / w.sum(-1, keepdims=True) for w in (weights * (1 - fake), weights * fake))


def recalls(
    fake: np.ndarray, weights: np.ndarray, called: np.ndarray, suffix: str = ""
) -> dict[str, np.ndarray | float]:
    """Accuracy and the recall of each class, of the images that are `called` fake; a class that is absent has none."""
    reals, fakes = class_weights(fake, weights)
    real, fake = (reals * ~called).sum(-1), (fakes * called).sum(-1)
    named = {"accuracy": (real + fake) / 2, "recall_real": real, "recall_fake": fake}
    return {f"{name}{suffix}": value for name, value in named.items()}


def roc(fake: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(fpr, tpr) from the highest threshold to the lowest, along the last axis; a row for each row of weights.

    scikit-learn's takes one row of weights, and a bootstrap has a thousand.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.diff(score[order], append=-np.inf))  # of the images that share a score
    rates = (np.cumsum(w[..., order], -1)[..., last] for w in class_weights(fake, weights))
    return tuple(np.concatenate([np.zeros((*rate.shape[:-1], 1)), rate], -1) for rate in rates)


def halves(scores: Columns) -> np.ndarray | None:
    """Which half of the people each image belongs to, 0 or 1; None if the scores don't tell whose they are.

    People with photos among the images are dealt evenly, in an order that hangs on their names alone.
    """
    known = next((name for name in ("half", "person", "video_id", "source_id") if name in scores), None)
    if known in (None, "half"):
        return None if known is None else np.asarray(scores["half"])
    people, fake = pd.Series(np.asarray(scores[known])), labels(scores["fake"])
    only_fake = pd.Series(fake).groupby(people).min()
    order = sorted(only_fake.index, key=lambda name: (only_fake[name], key_to_seed("half", name)))
    return people.map({name: at % 2 for at, name in enumerate(order)}).to_numpy()


def called_at_false_alarms(
    fake: np.ndarray, score: np.ndarray, weights: np.ndarray, half: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(what is called fake, weights): each half at the threshold that alarms 5 % of the other half's reals at most.

    Weights are NaN where a half has no reals.
    """
    order = np.argsort(-score, kind="stable")
    thresholds, lost = [], False
    for other in (1, 0):
        reals = (weights * ((fake == 0) & (half == other)))[..., order]
        total = reals.sum(-1, keepdims=True)
        beyond = np.cumsum(reals, -1) > FALSE_ALARMS * total * (1 + 1e-9)
        thresholds.append(score[order][beyond.argmax(-1)])  # the highest score with more than 5 % of reals from it on
        lost |= ~(total > 0)
    called = score > np.where(half == 0, thresholds[0][..., None], thresholds[1][..., None])
    return called, np.where(lost, np.nan, weights)


def false_alarm_measures(scores: Columns, weights: np.ndarray | None = None) -> dict[str, np.ndarray | float]:
    """Accuracy and both recalls at 5 % false alarms, the threshold taken from other people's real photos.

    The people are dealt into two halves, and each is judged at the other's threshold: a threshold of the test set's own
    photos would flatter. NaN if either half has no real photo.
    """
    fake, score, weights = columns_of(scores, weights)
    if (half := halves(scores)) is None:
        called, weights = score > np.inf, np.full_like(weights, np.nan)
    else:
        called, weights = called_at_false_alarms(fake, score, weights, half)
    return recalls(fake, weights, called, AT_FPR)


def detection_measures(
    scores: Columns, weights: np.ndarray | None = None, threshold: float = 0.5
) -> dict[str, np.ndarray | float]:
    """MEASURES: accuracy and the recall of each class at a threshold and at 5 % false alarms, and the AUC.

    An image is called fake where P(fake) >= threshold. What is not defined is NaN: all of them if a score is not
    finite, all but the recall of the class that is there if there is only one.

    Args:
        weights: how often each row counts, N, or k x N for k numbers of each measure; once each, if None.

    Raises:
        ValueError: a label is neither 0 nor 1.
    """
    fake, score, weights = columns_of(scores, weights)
    fpr, tpr = roc(fake, score, weights)
    found = recalls(fake, weights, score >= threshold) | {"auc": np.trapezoid(tpr, fpr, axis=-1)}
    found |= false_alarm_measures(scores, weights)
    return {name: found[name] for name in MEASURES}


def counted(name: str, scores: pd.DataFrame) -> list[np.ndarray]:
    """The rows that a measure is made from, class by class."""
    fake = labels(scores["fake"])
    if "first_fake" in name:
        return [(fake == 1) & (scores["clean_score"].to_numpy() >= 0.5)]
    if "of_successes" in name:
        return [(fake == 1) & (scores["score"].to_numpy() < 0.5)]
    classes = (0,) if "recall_real" in name else (1,) if "recall_fake" in name else (0, 1)
    return [fake == label for label in classes if (fake == label).any()]


def why_undefined(name: str, scores: pd.DataFrame) -> str:
    """Why a measure of these scores, or of one of their seeds, is not defined."""
    score, fake = scores["score"].to_numpy(float), labels(scores["fake"])
    if lost := int((~np.isfinite(score)).sum()):
        return f"{lost} of {len(score)} scores are not finite"
    if not (fake == 0).any() and not name.startswith(("attack_", "l2_norm", "linf")):
        return "no real photo among the images"
    if not (fake == 1).any():
        return "no fake among the images"
    if AT_FPR in name:
        return "no threshold of other people: fewer than two have photos here"
    reasons = {"first_fake": "no fake was called fake before", "of_successes": "no attack succeeded"}
    return next((why for part, why in reasons.items() if part in name), "not a finite number")


def explained_measures(scores: pd.DataFrame) -> dict[str, float | str]:
    """`detection_measures`, and in `note` why some of them are not defined."""
    found = detection_measures(scores)
    reasons = {why_undefined(name, scores): None for name, value in found.items() if not np.isfinite(value)}
    return found | {"note": "; ".join(reasons)}


def drop(clean: np.ndarray, arm: np.ndarray) -> np.ndarray:
    """What was lost against the detector trained on clean photos, as a share (x 100: percentage points)."""
    return clean - arm


def recovery(clean: np.ndarray, poisoned: np.ndarray, purified: np.ndarray) -> np.ndarray:
    """(purified - poisoned) / (clean - poisoned): 0 if purification brought nothing back, 1 if all (protocol 4.7)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return (purified - poisoned) / (clean - poisoned)
