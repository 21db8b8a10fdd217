"""Two treatments of the same photos, compared photo by photo from the measures that notebooks 04 and 05 keep.

Photos differ more among themselves than purifiers do. On the same bootstrap draws that difference cancels, and the
interval is much narrower than the two treatments' own intervals suggest.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from antidisrupt_lib.metrics.intervals import mean_interval
from antidisrupt_lib.metrics.results import AXES, read_results, result


def paired_difference(one: pd.DataFrame, other: pd.DataFrame, metric: str) -> tuple[float, float, float, int]:
    """(difference, low, high, photos) of a metric's means, over the photos that both measures tables have.

    Photos for which the metric is undefined or infinite in either table are left out; NaN if none is left.
    """
    pairs = one[["image_id", metric]].merge(other[["image_id", metric]], on="image_id", suffixes=("", "_other"))
    differences = (pairs[metric] - pairs[f"{metric}_other"]).where(lambda d: d.abs() < float("inf")).dropna()
    if differences.empty:
        return float("nan"), float("nan"), float("nan"), 0
    interval = mean_interval(differences.to_numpy(), pairs.loc[differences.index, "image_id"].to_numpy())
    return *interval, len(differences)


def read_measures(folders: Iterable[Path | str]) -> dict[tuple, pd.DataFrame]:
    """The measures tables of some folders by their results' axes, a value (None: empty) for each of AXES.

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
        tables[key] = pd.read_parquet(path)
    return tables


def paired_results(tables: Mapping[tuple, pd.DataFrame], one: str, axis: str) -> list[dict]:
    """Results rows `<metric>_minus_<other>`: the value `one` of an axis against every other, all other axes equal.

    Args:
        tables: as `read_measures` gives them.
    """
    at, rows = AXES.index(axis), []
    for key, table in tables.items():
        for other_key, twin in tables.items():
            other = other_key[at]
            if key[at] != one or other in (one, None) or other_key != (*key[:at], other, *key[at + 1 :]):
                continue
            for metric in table.columns.drop("image_id").intersection(twin.columns):
                *interval, n = paired_difference(table, twin, metric)
                if n:
                    axes, unit = dict(zip(AXES, key, strict=True)), "difference over the same photos"
                    rows.append(result(axes, f"{metric}_minus_{other}", *interval, n, unit))
    return rows


def _text(key: tuple) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in zip(AXES, key, strict=True) if value is not None)
