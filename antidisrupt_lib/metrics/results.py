"""The results table: tidy, one measured number a row. Every table and figure of the study is made from it alone."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import Tensor

from antidisrupt_lib.metrics.intervals import mean_interval
from antidisrupt_lib.weights import missing

AXES = ("stage", "faces", "forger", "attack", "purifier", "arm", "detector", "poison_ratio", "seed")
COLUMNS = (*AXES, "metric", "value", "low", "high", "n", "unit", "over", "note")


def result(
    axes: dict, metric: str, value: float, low: float, high: float, n: int, unit: str, over: str = "", note: str = ""
) -> dict:
    """One row. `n` is the number of measured images; `low` and `high` bound the 95 % interval, NaN where there is none.

    `over` tells what the interval's draws resampled ("38 people, 3 seeds"), `note` why a value is undefined, or what
    was held fixed.

    Raises:
        ValueError: an axis is not one of AXES.
    """
    if unknown := set(axes) - set(AXES):
        raise ValueError(f"{sorted(unknown)} are no axes of the results. They are: {', '.join(AXES)}.")
    numbers = {"value": float(value), "low": float(low), "high": float(high), "n": int(n)}
    return dict.fromkeys(AXES) | axes | {"metric": metric} | numbers | {"unit": unit, "over": over, "note": note}


def mean_result(axes: dict, metric: str, values: Tensor | np.ndarray, photos: Iterable[str], unit: str) -> dict:
    """The row of a mean over images, with its bootstrap interval over photos."""
    values = np.asarray(values, float)
    return result(axes, metric, *mean_interval(values, np.asarray(list(photos))), n=len(values), unit=unit)


def plain_result(axes: dict, metric: str, value: float, n: int, unit: str) -> dict:
    """The row of a number that has no interval, such as a count or a time."""
    return result(axes, metric, value, float("nan"), float("nan"), n, unit)


def write_results(path: Path | str, rows: Iterable[dict] | pd.DataFrame) -> pd.DataFrame:
    """Write rows to a CSV file and return them as a table."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    table.to_csv(path, index=False)
    return table


def read_results(paths: Iterable[Path | str]) -> pd.DataFrame:
    """Join results files; axes that are empty everywhere stay in the table.

    Where two rows tell of the same, the one of more images stands, or the first.

    Raises:
        FileNotFoundError: one is missing; the text names the notebook that makes it.
    """
    paths = list(paths)
    for path in paths:
        if not Path(path).is_file():
            raise FileNotFoundError(missing(path))
    tables = [pd.read_csv(path, dtype={axis: "string" for axis in AXES[:-2]}) for path in paths]
    rows = pd.concat(tables, ignore_index=True).reindex(columns=list(COLUMNS)).fillna({"over": "", "note": ""})
    kept = rows.sort_values("n", ascending=False, kind="stable").drop_duplicates([*AXES, "metric"])
    return kept.sort_index().reset_index(drop=True)


def pick(results: pd.DataFrame, **where: object) -> pd.DataFrame:
    """Rows in which every named column has the given value (None: is empty; a list: is one of)."""
    for column, wanted in where.items():
        found = results[column]
        keep = found.isna() if wanted is None else found.isin(wanted if isinstance(wanted, list | tuple) else [wanted])
        results = results[keep]
    return results
