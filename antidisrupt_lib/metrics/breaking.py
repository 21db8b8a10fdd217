"""How much it takes to break a forger: shares of edits broken against eps, and the smallest eps that breaks each.

Only edits that take and that have something to change count: a forger that does nothing can't be broken either.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.distances import DISRUPTED, l2, masked_l2
from antidisrupt_lib.metrics.intervals import DRAWS, TAIL, draw_counts
from antidisrupt_lib.metrics.results import mean_result, result

MEASURES = {"l2": lambda y, y0, x: l2(y, y0), "l2_masked": masked_l2}
SHARES = {"l2": "share_disrupted", "l2_masked": "share_disrupted_masked"}
UNITS = {
    "share_disrupted": "share of edits that take with l2 >= 0.05",
    "share_disrupted_masked": "share of edits that take with l2_masked >= 0.05, where the clean edit changed the photo",
    "smallest_eps": "median of the smallest eps that breaks an edit, [0, 1] units; above all tried: infinite",
}


def breaking_results(table: pd.DataFrame, axes: dict) -> list[dict]:
    """Results rows of a sweep: `<share>_at_<eps>` for each aim, forger and eps.

    Args:
        table: as disruption.sweep leaves it, of edits that count alone; `person` is what the intervals resample.
        axes: of all rows; `forger` and `attack` ("pgd", "pgd_for_<aim>" or "uniform_noise") are added.
    """
    rows = []
    for (aim, forger, eps), part in table.groupby(["aim", "forger", "eps"], sort=False):
        here = axes | _met(aim, forger)
        for measure, share in SHARES.items():
            defined = part.dropna(subset=measure)
            broken = defined[measure] >= DISRUPTED
            rows.append(
                mean_result(here, f"{share}_at_{eps:g}", broken, defined["person"].rename("people"), UNITS[share])
            )
    return rows


def median_results(smallest: pd.DataFrame, axes: dict) -> list[dict]:
    """Results rows `smallest_eps`: the median over edits for each aim and forger, with its bootstrap interval.

    Args:
        smallest: as `smallest_eps` leaves it; edits that nothing broke are infinite, and so may the median be.
    """
    rows = []
    for (aim, forger), part in smallest.groupby(["aim", "forger"], sort=False):
        here = axes | _met(aim, forger)
        value, low, high = _median_interval(part)
        n, unit, over = len(part), UNITS["smallest_eps"], f"{part['person'].nunique()} people"
        note = "" if np.isfinite(value) else "at least half of the edits withstand every eps that was tried"
        rows.append(result(here, "smallest_eps", value, low, high, n, unit, over, note))
    return rows


def _met(aim: str, forger: str) -> dict:
    attack = "uniform_noise" if aim == "noise" else "pgd" if aim == forger else f"pgd_for_{aim}"
    return {"forger": forger, "attack": attack}


def _median_interval(part: pd.DataFrame) -> tuple[float, float, float]:
    """The lower median of `eps`, and its bootstrap interval over people (NaN for one); a bound may be infinite."""
    eps, codes = part["eps"].to_numpy(), pd.factorize(part["person"])[0]
    order = np.argsort(eps)
    weights = np.vstack([np.ones(len(eps)), draw_counts(codes.max() + 1, DRAWS, "smallest-eps")[:, codes]])[:, order]
    sums = np.cumsum(weights, axis=1)
    medians = eps[order][(sums >= sums[:, -1:] / 2).argmax(axis=1)]
    if codes.max() == 0:
        return medians[0], np.nan, np.nan
    return medians[0], *np.quantile(medians[1:], [TAIL, 1 - TAIL], method="nearest")


def smallest_eps(table: pd.DataFrame, measure: str = "l2") -> pd.DataFrame:
    """The smallest eps that breaks each edit of each photo, per aim and forger; infinite if none tried does."""
    broken = table.assign(eps=table["eps"].where(table[measure] >= DISRUPTED, np.inf))
    return broken.groupby(["aim", "forger", "person", "image_id", "edit"], sort=False)["eps"].min().reset_index()


def broken_curve(smallest: pd.DataFrame, epsilons: Iterable[float]) -> pd.DataFrame:
    """The share of edits whose smallest eps is at most each eps: a row per forger and eps, for aims at that forger."""
    own = smallest[smallest["aim"] == smallest["forger"]]
    rows = [
        {"forger": forger, "eps": eps, "share": (part["eps"] <= eps).mean()}
        for forger, part in own.groupby("forger", sort=False)
        for eps in epsilons
    ]
    return pd.DataFrame(rows)


def transfer_matrix(table: pd.DataFrame, eps: float, measure: str = "l2") -> pd.DataFrame:
    """Share of edits broken at one eps: a row per aim of the disruption, a column per forger."""
    part = table[np.isclose(table["eps"], eps)].dropna(subset=measure)
    broken = part.assign(broken=part[measure] >= DISRUPTED)
    return broken.pivot_table(index="aim", columns="forger", values="broken", aggfunc="mean", sort=False)
