"""Two treatments of the same photos, compared photo by photo from the measures that notebooks 04 and 05 keep.

Photos differ more among themselves than purifiers do. On the same bootstrap draws that difference cancels, and the
interval is much narrower than the two treatments' own intervals suggest.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from antidisrupt_lib.metrics.intervals import mean_interval
from antidisrupt_lib.metrics.results import AXES, read_results, result
from antidisrupt_lib.weights import missing


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

    Raises:
        FileNotFoundError: a folder has none; the text names the notebook that makes it.
        ValueError: two folders hold the same treatment.
    """
    tables = {}
    for folder in map(Path, folders):
        if not (path := folder / "measures.parquet").is_file():
            raise FileNotFoundError(missing(path))
        axes = read_results([folder / "results.csv"])[list(AXES)].iloc[0]
        key = tuple(None if pd.isna(value) else value for value in axes)
        if key in tables:
            raise ValueError(f"{folder} measures what another folder measures: {_text(key)}. Give one of them.")
        tables[key] = pd.read_parquet(path)
    return tables


def paired_results(
    folders: Iterable[Path | str], pairs: Iterable[tuple[str, str]], axis: str = "purifier"
) -> list[dict]:
    """Results rows `<metric>_minus_<other>` for pairs (one, other) of values of an axis, all other axes being equal.

    They stand on the axes of the first; a pair that wasn't measured has no row.
    """
    tables, at = read_measures(folders), AXES.index(axis)
    rows = []
    for one, other in pairs:
        for key, table in tables.items():
            twin = tables.get((*key[:at], other, *key[at + 1 :]))
            if key[at] != one or twin is None:
                continue
            for metric in table.columns.drop("image_id").intersection(twin.columns):
                *interval, n = paired_difference(table, twin, metric)
                if n:
                    axes = dict(zip(AXES, key, strict=True))
                    rows.append(
                        result(axes, f"{metric}_minus_{other}", *interval, n, "difference over the same photos")
                    )
    return rows


def _text(key: tuple) -> str:
    return ", ".join(f"{axis} {value}" for axis, value in zip(AXES, key, strict=True) if value is not None)
