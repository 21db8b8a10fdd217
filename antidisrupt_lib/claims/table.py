"""The table of claims. A source is a module of this room that has CLAIMS; a new file is found without being listed."""

import importlib
import pkgutil
from collections.abc import Iterable
from types import ModuleType

import numpy as np
import pandas as pd

from antidisrupt_lib import claims as room
from antidisrupt_lib.claims.evidence import Evidence, joined
from antidisrupt_lib.claims.verdicts import Claim, Judgement, judge, judge_all
from antidisrupt_lib.labels import attack_label

ALL = "all"
OURS_LAST = "ours"


def sources() -> dict[str, ModuleType]:
    """The modules that make claims, by name, those of papers first."""
    names = sorted(
        (one.name for one in pkgutil.iter_modules(room.__path__)), key=lambda name: (name == OURS_LAST, name)
    )
    modules = {name: importlib.import_module(f"{room.__name__}.{name}") for name in names}
    return {name: module for name, module in modules.items() if hasattr(module, "CLAIMS")}


def find_claims(about: str) -> list[Claim]:
    """The claims about "photos" or "detectors", or all of a source, such as "park".

    Raises:
        ValueError: there are none.
    """
    found = sources()
    every = [claim for module in found.values() for claim in module.CLAIMS]
    chosen = [*found[about].CLAIMS] if about in found else [claim for claim in every if claim.about == about]
    if not chosen:
        known = [*dict.fromkeys(claim.about for claim in every), *found]
        raise ValueError(f"There are no claims {about!r}. There are those about or of {', '.join(known)}.")
    return chosen


def claims_table(
    results: pd.DataFrame, attack: str = "pgd", about: str = "photos", *, claims: Iterable[Claim] | None = None,
    by: str = "",
) -> pd.DataFrame:  # fmt: skip
    """A row per claim: claim, verdict, value, low, high, holds_if, source, id, beside, rows, over, held.

    `beside` is the number of the second condition, `rows` those that the verdict rests on, `over` the units that its
    interval resampled, and `held` what was held fixed. The interval is the widened one, by which the verdict is given.

    Args:
        results: the results table, with rows of paired differences if there are any.
        attack: the disruption, or the attack on detectors, that the claims are about.
        about: as `find_claims` takes it.
        claims: these instead.
        by: an axis, such as a forger: a row per claim and value of it, and one for "all" of them.

    Raises:
        ValueError: there are no such claims, or no such axis.
    """
    if by and by not in results:
        raise ValueError(f"The results have no axis {by!r} to give verdicts by.")
    rows = []
    for claim in find_claims(about) if claims is None else claims:
        if not by:
            rows.append(_row(claim, attack, judge(claim.evidence(results, attack), claim)))
            continue
        groups = {str(value): claim.evidence(here, attack) for value, here in results.groupby(by, sort=False)}
        for value, numbers in groups.items():
            rows.append({by: value} | _row(claim, attack, judge(numbers, claim)))
        if groups:
            rows.append({by: ALL} | _row(claim, attack, judge_all(groups, claim)))
    return pd.DataFrame(rows)


def _row(claim: Claim, attack: str, judged: Judgement) -> dict:
    shown = judged.number or Evidence(np.nan, np.nan, np.nan, "")
    return {
        "claim": claim.text.replace("{attack}", attack_label(attack)),
        "verdict": judged.said,
        "value": shown.value, "low": shown.low, "high": shown.high, "holds_if": claim.boundary,
        "source": claim.source, "id": claim.id, "beside": _beside(claim, shown),
        "rows": _rows(claim, judged), "over": shown.over, "held": joined(claim.held, shown.held),
    }  # fmt: skip


def _beside(claim: Claim, shown: Evidence) -> str:
    beside = shown.beside
    if claim.condition is None or beside is None:
        return ""
    return f"{claim.condition.what} {beside.value:.3g} [{beside.low:.3g}, {beside.high:.3g}]"


def _rows(claim: Claim, judged: Judgement) -> str:
    if judged.number is None:
        return ""
    kind = "strongest" if claim.one_is_enough else "weakest"
    wider = f"; intervals {judged.factor:.2f} times as wide" if judged.of > 1 else ""
    return f"{judged.number.rows}; {kind} of {judged.of}{wider}"
