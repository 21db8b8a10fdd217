"""Where in the results table the rows stand that claims are about."""

import re
from collections.abc import Callable

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, differences, measured
from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.metrics.robustness import STAGE

DIFFPURE = r"diffpure(_\d+)?"
FULL = 1.0  # the poison ratio at which every photo was treated

Find = Callable[[pd.DataFrame, str], list[Evidence]]


def purified(attack: str, purifier: str | list[str] = OURS) -> dict:
    """The axes of what purifiers leave of a disruption."""
    return {"stage": "purify", "attack": attack, "purifier": purifier}


def share_minus(others: str) -> Find:
    """The share of edits that OURS leaves disrupted, minus that of the purifiers of a pattern."""
    return lambda results, attack: differences(results, "share_disrupted", purified(attack), others)


def trained_on(arm: str, metric: str, **where: object) -> Find:
    """A metric (a pattern) of the detectors of an arm in which every photo was treated, over all seeds."""

    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows = pick(results, stage="detect", attack=attack, arm=arm, seed=None, poison_ratio=FULL, **where)
        return measured(rows[rows["metric"].str.fullmatch(metric)])

    return find


def attacked(results: pd.DataFrame, metric: str, arm: str, purifier: str = "", **where: object) -> pd.DataFrame:
    """Rows of attacked detectors over all seeds, arm and purifier of a pattern; no attack or purifier is ""."""
    rows = pick(results, stage=STAGE, metric=metric, seed=None).dropna(subset=["arm", "detector"])
    rows = rows.assign(**{axis: rows[axis].astype(object).fillna("") for axis in ("attack", "purifier")})
    return pick(rows[rows["arm"].str.fullmatch(arm) & rows["purifier"].str.fullmatch(purifier)], **where)


def recall(results: pd.DataFrame, attack: str | list[str], arm: str = "none") -> pd.DataFrame:
    """Rows of the share of fakes still called fake under white-box attacks."""
    return attacked(results, "recall_fake", arm, attack=attack)


def through(results: pd.DataFrame, base: str) -> pd.Series:
    """Which rows' attack is `base` and reckons with the purifier that stands before the detector."""
    return results["attack"] == base + "_through_" + results["purifier"]


def known(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """What each purifier leaves of a disruption by somebody who knows it."""
    rows = pick(results, stage="purify", metric="share_disrupted").dropna(subset=["attack", "purifier"])
    return rows[rows["attack"] == f"{attack}_knows_" + rows["purifier"]]


def from_surrogate(attacks: tuple[str, ...]) -> str:
    """The pattern of black-box attacks."""
    return rf"({'|'.join(map(re.escape, attacks))})_from_.+"
