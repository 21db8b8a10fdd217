"""Results of attacked and defended detectors.

In the results table these rows have stage STAGE; `detector` is the architecture, `arm` the defence (a strength may
follow: lipschitz_50), `purifier` an input defence or empty, `attack` empty for untouched images or a name as
`detection.attack.parse_attack` reads it, with `_from_<surrogate>` if it was made against another detector (black box)
and with MIXED if as many untouched fakes are in the test set.
"""

import re

import numpy as np
import pandas as pd

from antidisrupt_lib.labels import attack_label
from antidisrupt_lib.metrics.detection import columns_of
from antidisrupt_lib.metrics.intervals import DRAWS, Columns
from antidisrupt_lib.metrics.operating import Reliability, reliability
from antidisrupt_lib.metrics.rows import attack_results, bootstrap_rows, operating_results

STAGE = "robust"
DEFENCES = ("none", "weak", "strong", "half_huber", "lipschitz", "adversarial", "adversarial+lipschitz")
MIXED = "_mixed"


def is_white_box(name: str) -> bool:
    """Whether an attack is made against the detector itself, and its fakes alone are tested."""
    return bool(name) and "_from_" not in name and not name.endswith(MIXED)


def eps_of(name: str, attack: str) -> float:
    """The budget in 1/255 of one attack's point on its curve; 0 for an empty name, NaN for other attacks."""
    found = re.fullmatch(rf"{re.escape(attack)}_([\d.]+)_255", name)
    return float(found[1]) if found else 0.0 if name == "" else float("nan")


def robustness_results(scores: pd.DataFrame, draws: int = DRAWS) -> list[dict]:
    """Results rows of all that `detection.robustness.score_all` tells: per seed, and without a seed over all of them.

    For each detector, purifier and attack: `operating_measures` of the photos and the attacked fakes, the attack's
    success, and its size. Where there are input defences, Gandhi & Jain's mixed test set too.
    The detector's training data are held fixed.
    """
    rows = []
    for _, table in scores.groupby(["faces", "detector", "arm"], sort=False):
        guarded = table["purifier"].nunique() > 1
        for _, here in table.groupby("purifier", sort=False):
            reals, fakes = (here[here["fake"] == label] for label in (0, 1))
            calm = fakes[fakes["attack"] == ""]
            for attack, attacked in fakes.groupby("attack", sort=False):
                rows += _rows(reals, calm, attacked, draws)
                if guarded and is_white_box(attack):
                    mixed = pd.concat([reals, calm, attacked]).assign(attack=attack + MIXED)
                    rows += operating_results(mixed, _axes(mixed), draws)
    return rows


def _rows(reals: pd.DataFrame, calm: pd.DataFrame, attacked: pd.DataFrame, draws: int) -> list[dict]:
    axes = _axes(attacked)
    rows = operating_results(pd.concat([reals, attacked]), axes, draws)
    if "attack" in axes:
        rows += attack_results(attacked, calm, axes, draws)
    if "attack" in axes and attacked["l2_norm"].notna().all():
        rows += bootstrap_rows(attacked, size_measures, axes, draws)
    return rows


def _axes(table: pd.DataFrame) -> dict:
    found = table.iloc[0][["faces", "detector", "arm", "purifier", "attack"]]
    return {"stage": STAGE} | {axis: value for axis, value in found.items() if value != ""}


def size_measures(attacked: Columns, weights: np.ndarray) -> dict[str, float]:
    """Mean L2 norm of what an attack did, of its successes alone (NaN if it has none), and mean largest change."""
    _, score, weights = columns_of(attacked, weights)
    l2, linf = (np.asarray(attacked[name], float) for name in ("l2_norm", "linf"))
    passed, total = weights * (score < 0.5), weights.sum(-1)
    with np.errstate(invalid="ignore"):
        return {
            "l2_norm": weights @ l2 / total,
            "l2_norm_of_successes": passed @ l2 / passed.sum(-1),
            "linf": weights @ linf / total,
        }


def reliabilities(scores: pd.DataFrame, attack: str) -> dict[str, Reliability]:
    """How honest P(fake) of the first detector and defence of `score_all`'s table is: untouched, and attacked."""
    first = scores[["detector", "arm"]].eq(scores[["detector", "arm"]].iloc[0]).all(axis=1)
    scores = scores[first & (scores["purifier"] == "")]
    reals, fakes = (scores[scores["fake"] == label] for label in (0, 1))
    return {
        attack_label(kind): reliability(pd.concat([reals, fakes[fakes["attack"] == kind]])) for kind in ("", attack)
    }
