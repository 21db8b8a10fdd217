"""What a leak is worth: one recipe for detectors on the same crops of videos, which are split in several ways.

A split that lets frames of one video, or videos of one person, stand on both sides measures in part what the detector
remembers. By how much its number exceeds that of a split between people is what the leak is worth.
"""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import MEASURES
from antidisrupt_lib.metrics.intervals import DRAWS, Draws
from antidisrupt_lib.metrics.operating import operating_measures, per_video
from antidisrupt_lib.metrics.results import drawn_result, pick
from antidisrupt_lib.metrics.rows import PER_VIDEO, measure_rows, seed_draws

LEAK = "leak"  # the stage of these rows; their axis `arm` names the split
SHOWN = ("accuracy", "auc", "accuracy" + PER_VIDEO, "auc" + PER_VIDEO)
MINUS = "_minus_"
FIXED = "videos, recipe"


def leak_results(scores: pd.DataFrame, axes: dict, against: str, draws: int = DRAWS) -> list[dict]:
    """Results rows of each split as `operating_results` gives them, then `<measure>_minus_<against>` of the others.

    Seeds are paired by name: a seed deals the crops and begins the training in every split. Where the test sets of two
    splits differ, people (or videos) are drawn in each on their own. The videos and the recipe are held fixed.

    Args:
        scores: of test crops, with `video_id`, `seed`, and `arm`: the split.
        axes: the results' other axes but the seed.
        against: the split that the others are compared with.

    Raises:
        ValueError: no crop was judged by the split `against`, or the splits were trained with other seeds.
    """
    axes, splits = axes | {"stage": LEAK}, dict(list(scores.groupby("arm", sort=False)))
    _check(splits, against)
    videos = {split: per_video(table) for split, table in splits.items()}
    measured, worth = [], []
    for tables, suffix in ((splits, ""), (videos, PER_VIDEO)):
        drawn = {split: seed_draws(table, operating_measures, draws) for split, table in tables.items()}
        for split, table in tables.items():
            measured += measure_rows(table, drawn[split], axes | {"arm": split}, suffix, FIXED)
            if split != against:
                n = len(table) // table["seed"].nunique()
                worth += _differences(drawn[split], drawn[against], n, axes | {"arm": split}, suffix + MINUS + against)
    return measured + worth


def _differences(one: dict[str, Draws], other: dict[str, Draws], n: int, axes: dict, ending: str) -> list[dict]:
    why, unit = "undefined in one of the splits", "difference of shares"
    return [
        drawn_result(axes, name + ending, one[name].minus(other[name]), n, unit, fixed=FIXED, why=why)
        for name in MEASURES
    ]


def worth_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table: a row per split and per difference, accuracy and AUC of crops and of videos."""
    rows = pick(results, stage=LEAK, seed=None)
    names = rows["metric"].str.partition(MINUS)
    rows = rows.assign(
        split=rows["arm"] + names[2].where(names[2] == "", " minus " + names[2]),
        metric=names[0],
        text=[_text(row) for row in rows.itertuples()],
    )
    table = rows.pivot_table(index="split", columns="metric", values="text", aggfunc="first", sort=False)
    return table[list(SHOWN)].reset_index().rename_axis(columns=None)


def _text(row: tuple) -> str:
    if np.isnan(row.value):
        return f"– ({row.note})"
    return f"{row.value:z.3f}" + (f" [{row.low:z.3f}, {row.high:z.3f}]" if np.isfinite(row.low) else "")


def _check(splits: dict[str, pd.DataFrame], against: str) -> None:
    if against not in splits:
        raise ValueError(f"There are no scores of the split {against}, only of {', '.join(splits)}. Add it to them.")
    seeds = {split: set(table["seed"]) for split, table in splits.items()}
    if odd := [split for split in seeds if seeds[split] != seeds[against]]:
        raise ValueError(f"{odd[0]} was trained with the seeds {seeds[odd[0]]}, {against} with {seeds[against]}.")
