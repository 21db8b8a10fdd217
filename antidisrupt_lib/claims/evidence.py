"""Numbers that claims are judged by: rows of the results table, and differences of rows.

A number says what it is made of, which units its interval resampled, and what was held fixed. If something about it
forbids a verdict (it is undefined, its interval has no width, it stands for fewer than ten people), it says that too.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace

import pandas as pd

from antidisrupt_lib.metrics.results import AXES, pick

LEAST_PEOPLE = 10  # a bootstrap of fewer says nothing: that of a single person has no width at all
TIMING_MARGIN = 2.0  # a busy machine may double a time; times have no bootstrap
UNPAIRED = "sum of two intervals, unpaired and so too wide"


@dataclass(frozen=True)
class Evidence:
    """A number with its 95 % interval.

    Attributes:
        rows: the results rows that it is made from, in words.
        member: of those that a claim speaks of (a detector, a purifier, an attack), the one it belongs to.
        over: the units that were resampled, and how many: "38 people, 3 seeds".
        held: what was held fixed.
        doubt: why it can't decide a claim; "" if it can.
        beside: the number that a second condition is about.
    """

    value: float
    low: float
    high: float
    rows: str
    member: str = ""
    over: str = ""
    held: str = ""
    doubt: str = ""
    beside: "Evidence | None" = None

    @property
    def is_defined(self) -> bool:
        return math.isfinite(self.value)


def measured(
    rows: pd.DataFrame, member: str = "detector", beside: pd.DataFrame | None = None, but: Collection[str] = ()
) -> list[Evidence]:
    """Results rows as they are.

    Args:
        member: the axis that tells the claim's members apart.
        beside: rows for the claim's second condition; a row has the one that agrees with it in all axes.
        but: axes in which it need not.
    """
    others = [] if beside is None else list(beside.itertuples())
    return [
        replace(
            _number(row),
            member=_axis(row, member),
            beside=next((_number(other) for other in others if _agree(row, other, but)), None),
        )
        for row in rows.itertuples()
    ]


def differences(results: pd.DataFrame, metric: str, one: dict, others: str, axis: str = "purifier") -> list[Evidence]:
    """A metric at the axes `one` minus the same at each other value of an axis that matches the pattern `others`.

    The paired difference is taken if there is one, defined or not. Else it is the difference of two rows; only rows of
    equally many images, since the distances between distributions depend on their number.
    """
    here = pick(results, **one)
    paired = here[here["metric"].str.fullmatch(rf"{re.escape(metric)}_minus_({others})")]
    found = [replace(_number(row), member=row.metric.removeprefix(f"{metric}_minus_")) for row in paired.itertuples()]
    elsewhere = {name: value for name, value in one.items() if name != axis}
    theirs = pick(results, metric=metric, **elsewhere).dropna(subset=axis)
    theirs = theirs[theirs[axis].str.fullmatch(others) & (theirs[axis] != one[axis])]
    for b in theirs.itertuples():
        named = paired[paired["metric"] == f"{metric}_minus_{_axis(b, axis)}"]
        if not any(_agree(twin, b, {axis}) for twin in named.itertuples()):
            ours = pick(here, metric=metric)
            ours = ours[(ours["n"] == b.n) | (b.n == 0) | (ours["n"] == 0)]  # 0: undefined, and said to be
            found += against(ours, theirs.loc[[b.Index]], {axis}, axis)
    return found


def against(
    ones: pd.DataFrame, others: pd.DataFrame, but: Collection[str], member: str = "detector",
    beside: pd.DataFrame | None = None,
) -> list[Evidence]:  # fmt: skip
    """Every row minus every other that agrees with it in all axes but those of `but`; `beside` as in `measured`."""
    numbers = measured(ones, beside=beside)
    return [
        replace(minus(number, _number(b)), member=_axis(b if member in but else a, member))
        for a, number in zip(ones.itertuples(), numbers, strict=True)
        for b in others.itertuples()
        if _agree(a, b, but)
    ]


def minus(a: Evidence, b: Evidence) -> Evidence:
    """One number minus another. The interval adds theirs, which covers any dependence between them, and is too wide.

    What forbids one of them to decide forbids it to the difference.
    """
    fewer = min((a, b), key=lambda number: people(number.over))
    return Evidence(
        a.value - b.value, a.low - b.high, a.high - b.low, f"{a.rows} minus {b.rows}", over=fewer.over,
        held=joined(UNPAIRED, a.held, b.held), doubt=a.doubt or b.doubt, beside=a.beside,
    )  # fmt: skip


def ratio_of_times(a: tuple, b: tuple) -> Evidence:
    """One time over another (rows of `itertuples`), with TIMING_MARGIN for an interval: a time is nobody's."""
    are_times = 0 < a.value < math.inf and 0 < b.value < math.inf
    value = a.value / b.value if are_times else math.nan
    doubt = "" if are_times else f"undefined: {a.note or b.note or 'no time'}"
    margin = f"a factor of {TIMING_MARGIN:g} for a busy machine, in place of an interval"
    bounds = value / TIMING_MARGIN, value * TIMING_MARGIN
    return Evidence(value, *bounds, f"{_name(a)} over {_name(b)}", held=margin, doubt=doubt)


def people(over: str) -> int:
    """How many people (or photos, or videos, where nobody knows the people) were resampled; 0 if it isn't told."""
    found = re.search(r"(\d+) (?!seeds?\b)[a-z]+", over)
    return int(found[1]) if found else 0


def joined(*parts: str) -> str:
    """Different parts that aren't empty, in their order."""
    return "; ".join(dict.fromkeys(part for part in parts if part))


def _number(row: tuple) -> Evidence:
    over, note = ("" if pd.isna(text) else text for text in (row.over, row.note))
    doubt = _doubt(row, over, note)
    held = note if math.isfinite(row.value) else ""
    return Evidence(row.value, row.low, row.high, _name(row), over=over, held=held, doubt=doubt)


def _doubt(row: tuple, over: str, note: str) -> str:
    """Why a row of the results table can't decide a claim."""
    if not math.isfinite(row.value):
        return f"undefined: {note or 'no reason given'}"
    if not (math.isfinite(row.low) and math.isfinite(row.high)):
        return "it has no interval"
    if row.low == row.high:
        return "its interval has no width"
    if not row.low <= row.value <= row.high:
        return "its interval doesn't hold its value"
    if (count := people(over)) < LEAST_PEOPLE:
        kind = over.partition(",")[0] or "people"
        return f"{kind}, fewer than {LEAST_PEOPLE}" if count else f"how many {kind} it stands for isn't told"
    return ""


def _agree(a: tuple, b: tuple, but: Collection[str] = ()) -> bool:
    return all(_axis(a, axis) == _axis(b, axis) for axis in AXES if axis not in but)


def _axis(row: tuple, axis: str) -> object:
    value = getattr(row, axis)
    return "" if pd.isna(value) else value


def _name(row: tuple) -> str:
    axes = [_axis(row, axis) for axis in AXES if axis not in ("faces", "seed")]
    return f"{row.metric} ({', '.join(str(value) for value in axes if value != '')})"
