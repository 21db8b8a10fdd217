"""The results table: tidy, one measured number a row. Every table and figure of the study is made from it alone."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from antidisrupt_lib.metrics.intervals import DIFFERENCE, FREE, SHARE, Bounds, Draws, interval, mean_draws
from antidisrupt_lib.weights import missing

AXES = ("stage", "faces", "forger", "attack", "purifier", "arm", "detector", "poison_ratio", "steps", "seed")
COLUMNS = (*AXES, "metric", "value", "low", "high", "n", "unit", "over", "note")


def result(
    axes: dict, metric: str, value: float, low: float, high: float, n: int, unit: str, over: str = "", note: str = ""
) -> dict:
    """One row. A value that isn't finite is not defined: NaN with n = 0, without an interval.

    Args:
        low, high: the 95 % interval, NaN where there is none.
        n: the number of measured images.
        unit: begins with "share" where the value is a share, with "difference of shares" where it is that.
        over: what the interval's draws resampled, and how many: "38 people, 3 seeds", "12 photos", "9 videos".
        note: why a value is undefined or has no interval, or what was held fixed.

    Raises:
        ValueError: an axis is not one of AXES.
    """
    if unknown := set(axes) - set(AXES):
        raise ValueError(f"{sorted(unknown)} are no axes of the results. They are: {', '.join(AXES)}.")
    if not np.isfinite(value):
        value, low, high, n, note = np.nan, np.nan, np.nan, 0, note or "not a finite number"
    numbers = {"value": float(value), "low": float(low), "high": float(high), "n": int(n)}
    told = {"unit": unit, "over": over if np.isfinite(low) else "", "note": note}
    return dict.fromkeys(AXES) | axes | {"metric": metric} | numbers | told


def drawn_result(
    axes: dict, metric: str, drawn: Draws, n: int, unit: str, *, fixed: str, why: str = "",
    bounds: Bounds | None = None, basic: bool = False,
) -> dict:  # fmt: skip
    """The row of a number with the interval of its draws.

    Args:
        fixed: what else but a single seed was held fixed.
        why: why it is not defined, where it isn't.
        bounds, basic: as `interval` takes them; the bounds are those of the unit, if not given.
    """
    found = interval(drawn, bounds_of(unit) if bounds is None else bounds, basic)
    if not np.isfinite(found.value):
        return plain_result(axes, metric, np.nan, 0, unit, why)
    held = f"held fixed: {'' if len(drawn.seeds) > 1 else 'seed, '}{fixed}"
    return result(axes, metric, *found[:3], n, unit, drawn.resampled, join_notes(found.note, held))


def mean_result(
    axes: dict, metric: str, values: Tensor | np.ndarray, units: pd.Series | Iterable[str], unit: str, note: str = ""
) -> dict:
    """The row of a mean over images, with its interval; undefined if one of them is.

    Args:
        units: the person of each image, as `FaceSet.people` gives them; the Series' name goes to `over`. Ids without a
            name are photos.
    """
    values = np.asarray(values, float).ravel()
    if why := why_no_mean(values):
        return plain_result(axes, metric, np.nan, 0, unit, why)
    units = pd.Series(units).reset_index(drop=True)
    drawn = mean_draws(values, units.rename("photos") if units.name is None else units)
    found = interval(drawn, bounds_of(unit))
    return result(axes, metric, *found[:3], len(values), unit, drawn.resampled, join_notes(found.note, note))


def plain_result(axes: dict, metric: str, value: float, n: int, unit: str, note: str = "") -> dict:
    """The row of a number that has no interval, such as a count or a time."""
    return result(axes, metric, value, np.nan, np.nan, n, unit, note=note)


def why_no_mean(values: np.ndarray) -> str:
    """Why values have no mean; "" if they have one."""
    if not len(values):
        return "nothing was measured"
    lost = {"undefined": np.isnan(values).sum(), "infinite": np.isinf(values).sum()}
    return join_notes(*(f"{what} for {count} of {len(values)}" for what, count in lost.items() if count))


def bounds_of(unit: str) -> Bounds:
    """Between which numbers of this unit lie."""
    return SHARE if unit.startswith("share") else DIFFERENCE if unit.startswith("difference of shares") else FREE


def join_notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def write_results(path: Path | str, rows: Iterable[dict] | pd.DataFrame) -> pd.DataFrame:
    """Write rows to a CSV file and return them as a table."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.to_csv(path, index=False)
    return table


def read_results(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Join results files; axes that are empty everywhere stay in the table.

    Where two rows tell of the same, the one of more images stands, or the first. Files from before `over` and `note`
    say nothing there.

    Raises:
        FileNotFoundError: one is missing; the text names the notebook that makes it.
    """
    paths = list(paths)
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(missing(path))
    tables = [pd.read_csv(path, dtype={axis: "string" for axis in AXES[:-3]}) for path in paths]
    rows = pd.concat(tables, ignore_index=True).reindex(columns=list(COLUMNS))
    rows = rows.astype({"over": object, "note": object}).fillna({"over": "", "note": ""})
    kept = rows.sort_values("n", ascending=False, kind="stable").drop_duplicates([*AXES, "metric"])
    return kept.sort_index().reset_index(drop=True)


def pick(results: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Rows in which every named column has the given value (None: is empty; a list: is one of)."""
    for column, wanted in where.items():
        found = results[column]
        keep = found.isna() if wanted is None else found.isin(wanted if isinstance(wanted, list | tuple) else [wanted])
        results = results[keep]
    return results
