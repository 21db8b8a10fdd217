"""Two treatments of the same photos, compared photo by photo from the measures that notebooks 04 and 05 keep.

Photos differ more among themselves than purifiers do. On the same bootstrap draws that difference cancels, and the
interval is much narrower than the two treatments' own intervals suggest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.comparison import UNITS, fixed
from antidisrupt_lib.metrics.intervals import Draws, Estimate, interval, mean_draws
from antidisrupt_lib.metrics.results import AXES, bounds_of, join_notes, read_results, result
from antidisrupt_lib.metrics.rows import units_of


@dataclass(frozen=True)
class Kept:
    """What a treatment's folder keeps: `measures_table`, and `draws_table` (None where there is no such file)."""

    measures: pd.DataFrame
    draws: pd.DataFrame | None


def _difference(one: pd.DataFrame, other: pd.DataFrame, metric: str) -> tuple[Estimate, int, str, int]:
    """(difference of the means, photos it is over, what was resampled, photos that were left out).

    Photos that only one has don't count; those for which the metric is undefined or infinite in either are left out.
    """
    pairs = one.merge(other[["image_id", metric]], on="image_id", suffixes=("", "_other"))
    differences = (pairs[metric] - pairs[f"{metric}_other"]).where(lambda d: d.abs() < np.inf).dropna()
    units = units_of(pairs.loc[differences.index].rename(columns={"image_id": "source_id"}))
    left_out = len(pairs) - len(differences)
    if differences.empty:
        return Estimate(np.nan, np.nan, np.nan), 0, "", left_out
    drawn = mean_draws(differences.to_numpy(), units)
    return interval(drawn, bounds_of(_unit(metric))), len(differences), drawn.resampled, left_out


def _unit(metric: str) -> str:
    of = " of shares" if UNITS.get(metric, "").startswith("share") else ""
    return f"difference{of} over the same photos"


def read_measures(folders: Iterable[Path | str]) -> dict[tuple, Kept]:
    """What some folders keep, by their results' axes, a value (None: empty) for each of AXES.

    A folder without measures, such as the forger's, is passed over.

    Raises:
        ValueError: two folders hold the same treatment.
    """
    tables = {}
    for folder in map(Path, folders):
        if not (path := folder / "measures.parquet").is_file():
            continue
        axes = read_results([folder / "results.csv"])[list(AXES)].iloc[0]
        key = tuple(None if pd.isna(value) else value for value in axes)
        if key in tables:
            raise ValueError(f"{folder} measures what another folder measures: {_text(key)}. Give one of them.")
        draws = folder / "draws.parquet"
        tables[key] = Kept(pd.read_parquet(path), pd.read_parquet(draws) if draws.is_file() else None)
    return tables


def paired_results(tables: Mapping[tuple, Kept], one: str, axis: str) -> list[dict]:
    """Results rows `<metric>_minus_<other>`: the value `one` of an axis against every other, all other axes equal.

    Distances between distributions are compared only where both treatments hold the same photos: they hang on their
    number. Intervals resample people; forger and purifiers are held fixed.

    Args:
        tables: as `read_measures` gives them.
    """
    at, rows = AXES.index(axis), []
    for key, kept in tables.items():
        for other_key, twin in tables.items():
            other = other_key[at]
            if key[at] == one and other not in (one, None) and other_key == (*key[:at], other, *key[at + 1 :]):
                axes = dict(zip(AXES, key, strict=True))
                rows += _photo_rows(kept, twin, axes, other) + _distance_rows(kept, twin, axes, other)
    return rows


def _photo_rows(kept: Kept, twin: Kept, axes: dict, other: str) -> list[dict]:
    rows = []
    names = kept.measures.columns.intersection(twin.measures.columns)
    for metric in names.drop(["image_id", "person"], errors="ignore"):
        found, n, over, left_out = _difference(kept.measures, twin.measures, metric)
        lost = f"{left_out} photos left out: undefined or infinite" if left_out else ""
        if n or left_out:
            note = join_notes(found.note, lost, fixed(axes) if n else "")
            rows.append(result(axes, f"{metric}_minus_{other}", *found[:3], n, _unit(metric), over, note))
    return rows


def _distance_rows(kept: Kept, twin: Kept, axes: dict, other: str) -> list[dict]:
    """The differences of Frechet and kernel distances, on the same draws of the same people."""
    if kept.draws is None or twin.draws is None or not _same_photos(kept.measures, twin.measures):
        return []
    rows, units = [], units_of(kept.measures.rename(columns={"image_id": "source_id"}))
    for metric in kept.draws.columns.intersection(twin.draws.columns):
        values = (kept.draws[metric] - twin.draws[metric]).loc[: kept.draws[metric].last_valid_index()]
        draws = Draws(values.to_numpy()[None], units.nunique(), str(units.name))
        found = interval(draws, basic=metric.startswith("frechet"))
        note = join_notes(found.note, fixed(axes)) if np.isfinite(found.value) else "undefined on one side"
        unit = "difference over the same photos"
        rows.append(result(axes, f"{metric}_minus_{other}", *found[:3], len(units), unit, draws.resampled, note))
    return rows


def _same_photos(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    columns = ["image_id", "person"] if "person" in one and "person" in other else ["image_id"]
    return one[columns].equals(other[columns])


def _text(key: tuple) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in zip(AXES, key, strict=True) if value is not None)
