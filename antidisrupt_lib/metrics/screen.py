"""Results rows of a screen that finds disrupted photos."""

from collections.abc import Collection, Mapping

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.results import mean_result

STAGE = "screen"
SEEN, UNSEEN = "seen", "unseen"


def screen_results(
    verdicts: Mapping[tuple[str, float], np.ndarray],
    people: Mapping[str, pd.Series],
    axes: dict,
    known: Collection[str],
) -> list[dict]:
    """`false_alarms_at_<n>` among clean photos and `hits_at_<n>` among disrupted ones, n in percent.

    Args:
        verdicts: by attack ("" for clean photos) and the rate of false alarms that the threshold was set for: which
            photos were called disrupted.
        people: whose photos they are, by attack.
        axes: of all rows; those of attacks get `attack` and `arm`, whether the screen has "seen" it in its training.
        known: the attacks that it has.
    """
    rows = []
    for (attack, rate), called in verdicts.items():
        arm = SEEN if attack in known else UNSEEN
        here = {"stage": STAGE} | axes | ({"attack": attack, "arm": arm} if attack else {})
        unit = f"share of photos called disrupted, at a threshold for {100 * rate:g} % false alarms"
        metric = f"{'hits' if attack else 'false_alarms'}_at_{100 * rate:g}"
        rows.append(mean_result(here, metric, called, people[attack], unit, "held fixed: screen"))
    return rows
