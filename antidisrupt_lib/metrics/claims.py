"""What the papers claim, beside what we measured: for each claim one row with our number, its interval and a verdict.

A claim is a boundary that numbers of the results table must lie beyond. A number lies beyond it if its whole interval
does; if the interval contains the boundary, nothing is decided; without the rows it needs, a claim is not measured.
Where a paper gives no number ("severely", "comparable"), the boundary is ours and stands in the claim's words.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.results import AXES, pick

DIFFPURE = r"diffpure(_\d+)?"
EXISTING = rf"{DIFFPURE}|autoencoder_\d|adversarial_gd?(\+gaussian_blur(_[\d.]+)?)?"
TIMING_MARGIN = 2.0  # a busy machine may double a time; times have no bootstrap
HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"
NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Evidence:
    """A number with its interval, and the results rows that it is made from, in words."""

    value: float
    low: float
    high: float
    rows: str


@dataclass(frozen=True)
class Claim:
    """Numbers that must lie beyond a boundary: all of them, or one; at least `least` must have been measured."""

    id: str
    source: str
    text: str
    evidence: Callable[[pd.DataFrame, str], list[Evidence]]
    above: float | None = None
    below: float | None = None
    one_is_enough: bool = False
    least: int = 1

    @property
    def boundary(self) -> str:
        return f"> {self.above:g}" if self.above is not None else f"< {self.below:g}"


def verdict(number: Evidence, claim: Claim) -> str:
    """Whether one number lies beyond the claim's boundary; undecided if its interval contains it or is unknown."""
    if claim.above is not None:
        beyond, short = number.low > claim.above, number.high < claim.above
    else:
        beyond, short = number.high < claim.below, number.low > claim.below
    return HOLDS if beyond else FAILS if short else UNDECIDED


def decisive(numbers: list[Evidence], claim: Claim) -> Evidence:
    """The number that a verdict rests on: the weakest of all, or the strongest if any is enough."""

    def strength(number: Evidence) -> tuple[int, float]:
        sign = 1 if claim.above is not None else -1
        return [FAILS, UNDECIDED, HOLDS].index(verdict(number, claim)), sign * number.value

    return (max if claim.one_is_enough else min)(numbers, key=strength)


def claims_table(results: pd.DataFrame, attack: str = "pgd", claims: Iterable[Claim] | None = None) -> pd.DataFrame:
    """A row per claim: id, source, claim, value, low, high, holds_if, verdict, and the rows that it rests on.

    Args:
        results: the results table, with rows of paired differences if there are any.
        attack: the disruption, or the attack on detectors, that the claims are about.
        claims: CLAIMS, if not given.
    """
    rows = []
    for claim in CLAIMS if claims is None else claims:
        numbers = [number for number in claim.evidence(results, attack) if np.isfinite(number.value)]
        enough = len(numbers) >= claim.least
        shown = decisive(numbers, claim) if enough else Evidence(np.nan, np.nan, np.nan, "")
        said = {"id": claim.id, "source": claim.source, "claim": claim.text}
        said |= {"value": shown.value, "low": shown.low, "high": shown.high, "holds_if": claim.boundary}
        said["verdict"] = verdict(shown, claim) if enough else NOT_MEASURED
        said["rows"] = (
            f"{shown.rows}; {'strongest' if claim.one_is_enough else 'weakest'} of {len(numbers)}" if enough else ""
        )
        rows.append(said)
    return pd.DataFrame(rows)


def measured(rows: pd.DataFrame) -> list[Evidence]:
    """Results rows as they are."""
    return [Evidence(row.value, row.low, row.high, _name(row)) for row in rows.itertuples()]


def differences(results: pd.DataFrame, metric: str, one: dict, others: str, axis: str = "purifier") -> list[Evidence]:
    """A metric at the axes `one` minus the same at each other value of an axis that matches the pattern `others`.

    The paired difference is taken if it was measured. Else it is the difference of two rows, with an interval that
    adds theirs and so is too wide; only rows of equally many images, since the distances between distributions
    depend on their number.
    """
    here = pick(results, **one)
    paired = here[here["metric"].str.fullmatch(rf"{re.escape(metric)}_minus_({others})")]
    done = set(paired["metric"].str.removeprefix(f"{metric}_minus_"))
    found = measured(paired)
    theirs = pick(results, metric=metric, **{**one, axis: sorted(set(results[axis].dropna()) - done - {one[axis]})})
    theirs = theirs[theirs[axis].str.fullmatch(others)]
    for a in pick(here, metric=metric).itertuples():
        for b in theirs[theirs["n"] == a.n].itertuples():
            found.append(minus(a, b))
    return found


def minus(a: tuple, b: tuple) -> Evidence:
    """One results row (of `itertuples`) minus another; the interval adds theirs, and so is too wide."""
    return Evidence(a.value - b.value, a.low - b.high, a.high - b.low, f"{_name(a)} minus {_name(b)}")


def _name(row: tuple) -> str:
    axes = [getattr(row, axis) for axis in AXES if axis not in ("faces", "seed")]
    return f"{row.metric} ({', '.join(str(value) for value in axes if not pd.isna(value) and value != '')})"


def _purified(attack: str, purifier: str | list[str] = OURS) -> dict:
    return {"stage": "purify", "attack": attack, "purifier": purifier}


def _detected(results: pd.DataFrame, attack: str, **where: object) -> pd.DataFrame:
    """Rows of detectors over all seeds, at the highest share of poison."""
    rows = pick(results, stage="detect", attack=attack, seed=None, **where)
    return rows[rows["poison_ratio"] == rows["poison_ratio"].max()]


def _works(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, stage="disrupt", attack=attack, purifier=None, metric="share_disrupted"))


def _away(results: pd.DataFrame, attack: str) -> list[Evidence]:
    pattern = rf"{re.escape(attack)}_(grey|black|white|identity)"
    one = {"stage": "disrupt", "attack": attack, "purifier": None}
    return differences(results, "l2", one, pattern, axis="attack")


def _poison(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_detected(results, attack, arm="poisoned", metric="drop"))


def _curtails(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_detected(results, attack, arm="purified", purifier=OURS, metric="accuracy_minus_poisoned"))


def _detectors(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = _detected(results, attack, arm="purified", purifier=OURS)
    rows = rows[rows["metric"].str.fullmatch(f"accuracy_minus_({DIFFPURE})")]
    return measured(rows) if rows["detector"].nunique() > 1 else []


def _faster(results: pd.DataFrame, attack: str) -> list[Evidence]:
    times = [pick(results, metric="seconds_per_image", **_purified(attack, name)) for name in (OURS, "diffpure")]
    return [
        Evidence(a.value / b.value, a.value / b.value / TIMING_MARGIN, a.value / b.value * TIMING_MARGIN,
                 f"{_name(a)} over {_name(b)}; interval: a factor of {TIMING_MARGIN:g} for a busy machine")
        for a in times[0].itertuples() for b in times[1].itertuples()
    ]  # fmt: skip


def _paper_l2(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return differences(results, "l2", _purified(attack), EXISTING)


def _paper_frechet(results: pd.DataFrame, attack: str) -> list[Evidence]:
    metrics = results["metric"][results["metric"].str.fullmatch(r"frechet_((?!_minus_|_as_published).)+")].unique()
    return [number for name in metrics for number in differences(results, name, _purified(attack), EXISTING)]


def _share_minus(others: str) -> Callable[[pd.DataFrame, str], list[Evidence]]:
    return lambda results, attack: differences(results, "share_disrupted", _purified(attack), others)


def _adaptive(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, metric="share_disrupted", **_purified(f"{attack}_knows_{OURS}")))


def _adaptive_any(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = pick(results, stage="purify", metric="share_disrupted").dropna(subset=["attack", "purifier"])
    known = rows["attack"] == f"{attack}_knows_" + rows["purifier"]
    return measured(rows[known])


WISA = "Park et al., WISA 2023"
IEEE = "Park et al., IEEE Access 2024"
RUIZ = "Ruiz et al. 2020"
OPEN = "open question"

CLAIMS = (
    Claim("disruption_works", RUIZ, "PGD breaks more than half of the deepfakes.", _works, above=0.5),
    Claim("away_is_strongest", RUIZ, "Pushing away from the clean deepfake breaks more than pulling to any target.",
          _away, above=0),
    Claim("poison_harms", WISA, "Trained on disrupted photos, every detector loses at least 10 points of accuracy.",
          _poison, above=0.1),
    Claim("purification_curtails", WISA, "Purified photos cost every detector less accuracy than disrupted ones.",
          _curtails, above=0),
    Claim("better_detectors", WISA, "Each of several detectors gains accuracy over DiffPure's photos.",
          _detectors, above=0),
    Claim("faster", WISA, "Reverse-only purification takes less time than DiffPure (t = 300).", _faster, below=1),
    Claim("comparable_l2", IEEE, "Its L2 is at most 0.01 above that of existing purifiers (a fifth of the threshold).",
          _paper_l2, below=0.01),
    Claim("closer_frechet", IEEE, "Its deepfakes are nearer to the clean ones (Frechet) than existing methods' are.",
          _paper_frechet, below=0),
    Claim("better_at_equal_cost", OPEN, "It leaves fewer edits disrupted than DiffPure of as many network calls.",
          _share_minus("diffpure_10"), below=0),
    Claim("one_step_as_good", OPEN, "One denoising step leaves at most 5 points more of the edits disrupted.",
          _share_minus(r"one_step(_\d+)?"), above=-0.05, one_is_enough=True),
    Claim("jpeg_as_good", OPEN, "A plain JPEG leaves at most 5 points more of the edits disrupted.",
          _share_minus(r"jpeg(_\d+)?"), above=-0.05, one_is_enough=True),
    Claim("survives_adaptive", OPEN, "It leaves less than half disrupted by a disruptor that knows it.",
          _adaptive, below=0.5),
    Claim("any_survives_adaptive", OPEN, "Some purifier leaves less than half disrupted by a disruptor that knows it.",
          _adaptive_any, below=0.5, one_is_enough=True),
)  # fmt: skip
