"""What becomes of a claim: it holds, it does not, or nothing is decided, and why.

A claim is a boundary (or two, an equivalence margin) that numbers must lie within. A number decides by its whole
interval. Where a paper gives no number ("severely", "comparable"), the boundary is ours and is part of the claim.

**Every** X holds if all do, and fails by one that fails. **Some** X holds by one that does, and fails only if all of
its stated family do. An undefined number is one that could have gone either way.

The number shown is the best or the worst of m, and of many intervals one misses more easily. So each is widened about
its value by z(1 - 0.025 / m) / z(0.975) on either side: Bonferroni's correction, with the normal's tails. Where m
intervals decide together (all of them hold) that is more than is needed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import inf, isfinite

import pandas as pd
from scipy.stats import norm

from antidisrupt_lib.claims.evidence import Evidence

HOLDS = "holds"
FAILS = "does not hold"
UNDECIDED = "undecided"
NOT_MEASURED = "not measured"
RANK = {FAILS: 0, NOT_MEASURED: 1, UNDECIDED: 1, HOLDS: 2}
TAIL = 0.025


@dataclass(frozen=True)
class Condition:
    """A second boundary, for the number beside: attack success means nothing if all is called fake, or all real.

    If it isn't met the claim fails, or, where it says whether the claim could be tested (`refutes` is False), nothing
    is decided.
    """

    what: str
    above: float
    refutes: bool = True


@dataclass(frozen=True)
class Claim:
    """Numbers that must lie above, below, or between boundaries.

    Attributes:
        text: what is claimed; `{attack}` stands for the attack that the table is about.
        evidence: (results, attack) -> numbers.
        one_is_enough: whether some member is to hold, or every one.
        least: how many members must have been measured before every one holds, or none does.
        family: patterns of the members' names; all of them must have been measured then.
        about: "photos" (disrupted and purified, and detectors trained on them), "detectors" (attacked and defended),
            "disruptors" (made beforehand), or "hardest" (adaptive attackers, and the alternatives to purifying).
        held: what none of its numbers resamples.
    """

    id: str
    source: str
    text: str
    evidence: Callable[[pd.DataFrame, str], list[Evidence]]
    above: float | None = None
    below: float | None = None
    one_is_enough: bool = False
    least: int = 1
    family: tuple[str, ...] = ()
    condition: Condition | None = None
    about: str = "photos"
    held: str = "forger, purifier, B"

    @property
    def bounds(self) -> tuple[float, float]:
        return -inf if self.above is None else self.above, inf if self.below is None else self.below

    @property
    def boundary(self) -> str:
        said = [f"{sign} {at:g}" for sign, at in ((">", self.above), ("<", self.below)) if at is not None]
        if self.condition:
            said.append(f"{self.condition.what} > {self.condition.above:g}")
        return " and ".join(said)


@dataclass(frozen=True)
class Judgement:
    """A verdict, the reason if there is none, the number it rests on, out of how many, and how much was widened."""

    verdict: str
    why: str = ""
    number: Evidence | None = None
    of: int = 0
    factor: float = 1.0

    @property
    def said(self) -> str:
        """The verdict, and after a colon why there is none."""
        return f"{self.verdict}: {self.why}" if self.why else self.verdict


def widening(m: int) -> float:
    """By how much intervals grow of which one is chosen from m: 1 for one, 1.14 for two, 1.35 for six."""
    return float(norm.ppf(1 - TAIL / max(m, 1)) / norm.ppf(1 - TAIL))


def widen(number: Evidence, factor: float) -> Evidence:
    """The number, its interval `factor` times as wide to either side of its value, and so what stands beside it."""
    low, high = (
        number.value - factor * (number.value - number.low),
        number.value + factor * (number.high - number.value),
    )
    return replace(number, low=low, high=high, beside=number.beside and widen(number.beside, factor))


def side(number: Evidence, low: float, high: float) -> str:
    """Whether a number lies within (low, high) with its whole interval, outside with it, or can't be told."""
    if number.doubt:
        return UNDECIDED
    within, outside = low < number.low and number.high < high, number.high < low or high < number.low
    return HOLDS if within else FAILS if outside else UNDECIDED


def verdict(number: Evidence, claim: Claim) -> str:
    """What one number, and what stands beside it, says of the claim."""
    said = side(number, *claim.bounds)
    if claim.condition is None:
        return said
    met = UNDECIDED if number.beside is None else side(number.beside, claim.condition.above, inf)
    if not claim.condition.refutes:
        return said if met == HOLDS else UNDECIDED
    return min(said, met, key=RANK.get)


def judge(numbers: Iterable[Evidence], claim: Claim, m: int = 0) -> Judgement:
    """The claim's verdict from its numbers.

    Args:
        m: how many numbers the one that decides is chosen from; the defined ones, if not given.
    """
    numbers = list(numbers)
    defined = sum(number.is_defined for number in numbers)
    if not defined:
        return Judgement(NOT_MEASURED, numbers[0].doubt if numbers else "no such rows")
    factor = widening(max(m, defined))
    numbers = [widen(number, factor) for number in numbers]
    shown = decisive(numbers, claim)
    found, why = verdict(shown, claim), ""
    if missing := _missing(numbers, claim, found):
        found, why = UNDECIDED, missing
    elif found == UNDECIDED:
        why = _doubt(shown, claim)
    return Judgement(found, why, shown, defined, factor)


def judge_all(groups: dict[str, list[Evidence]], claim: Claim) -> Judgement:
    """The verdict over all groups (forgers, say): the claim must hold in each, and one is enough to refute it."""
    m = sum(number.is_defined for numbers in groups.values() for number in numbers)
    judged = {name: judge(numbers, claim, m) for name, numbers in groups.items()}
    name, weakest = min(judged.items(), key=lambda item: (RANK[item[1].verdict], _margin(item[1].number, claim)))
    if all(one.verdict == NOT_MEASURED for one in judged.values()):
        return weakest
    open_ = RANK[weakest.verdict] == RANK[UNDECIDED]
    verdict, why = (UNDECIDED, f"{name}: {weakest.why}") if open_ else (weakest.verdict, weakest.why)
    return replace(weakest, verdict=verdict, why=why, of=m)


def decisive(numbers: list[Evidence], claim: Claim) -> Evidence:
    """The number that a verdict rests on: each member's weakest, and of these the weakest, or if one is enough the
    strongest."""

    def strength(number: Evidence) -> tuple[int, float]:
        return RANK[verdict(number, claim)], _margin(number, claim)

    members: dict[str, list[Evidence]] = {}
    for number in numbers:
        members.setdefault(number.member, []).append(number)
    weakest = [min(own, key=strength) for own in members.values()]
    return (max if claim.one_is_enough else min)(weakest, key=strength)


def _margin(number: Evidence | None, claim: Claim) -> float:
    if number is None or not isfinite(number.value):
        return -inf
    low, high = claim.bounds
    return min(number.value - low, high - number.value)


def _missing(numbers: list[Evidence], claim: Claim, found: str) -> str:
    """Why a verdict about all members is too early; "" if it isn't, or if what is missing can't change it."""
    if found != (FAILS if claim.one_is_enough else HOLDS):
        return ""
    members = {number.member for number in numbers if number.is_defined}
    if claim.family:
        have = sum(any(re.fullmatch(pattern, name) for name in members) for pattern in claim.family)
        least = len(claim.family)
    else:
        have, least = len(members), claim.least
    return f"only {have} of {least} measured" if have < least else ""


def _doubt(number: Evidence, claim: Claim) -> str:
    """Why a number decides nothing."""
    if number.doubt:
        return number.doubt
    condition, beside = claim.condition, number.beside
    if side(number, *claim.bounds) != UNDECIDED and condition:
        if beside is None:
            return f"{condition.what} wasn't measured beside it"
        said = side(beside, condition.above, inf)
        if said != HOLDS:
            return f"{condition.what}: {beside.doubt or ('too low' if said == FAILS else 'not surely high enough')}"
    return "its interval holds the boundary"
