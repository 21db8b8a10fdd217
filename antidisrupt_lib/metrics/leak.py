"""What a leak is worth: one recipe for detectors on the same crops of videos, which are split in several ways.

A split that lets frames of one video, or videos of one person, stand on both sides measures in part what the detector
remembers. By how much its number exceeds that of a split between people is what the leak is worth.
"""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import DRAWS, MEASURES
from antidisrupt_lib.metrics.intervals import measure_draws, over_seeds, percentile_interval
from antidisrupt_lib.metrics.operating import PER_VIDEO, operating_measures, operating_results, per_video, unit_counts
from antidisrupt_lib.metrics.results import pick, result

LEAK = "leak"  # the stage of these rows; their axis `arm` names the split
SHOWN = ("accuracy", "auc", "accuracy" + PER_VIDEO, "auc" + PER_VIDEO)
MINUS = "_minus_"


def leak_results(scores: pd.DataFrame, axes: dict, against: str, draws: int = DRAWS) -> list[dict]:
    """Results rows of each split as `operating_results` gives them, then `<measure>_minus_<against>` of the others.

    Seeds are paired: a seed deals the crops and begins the training in every split. Test sets differ between splits,
    so videos are drawn in each on its own.

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
    measured = [operating_results(table, axes | {"arm": split}, draws) for split, table in splits.items()]
    worth = [_differences(tables, axes, against, draws, of) for tables, of in ((splits, ""), (videos, PER_VIDEO))]
    return sum(measured + worth, [])


def _differences(tables: dict[str, pd.DataFrame], axes: dict, against: str, draws: int, suffix: str) -> list[dict]:
    sampled, rows = {split: _sample(table, draws) for split, table in tables.items()}, []
    for split in [split for split in tables if split != against]:
        n = len(tables[split]) // tables[split]["seed"].nunique()
        for name in MEASURES:
            value, *drawn = sampled[split][name] - sampled[against][name]
            metric, interval = f"{name}{suffix}{MINUS}{against}", percentile_interval(np.array(drawn))
            rows.append(result(axes | {"arm": split}, metric, value, *interval, n, "difference of shares"))
    return rows


def worth_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table: a row per split and per difference, accuracy and AUC of crops and of videos."""
    rows = pick(results, stage=LEAK, seed=None)
    names = rows["metric"].str.partition(MINUS)
    rows = rows.assign(
        split=rows["arm"] + names[2].where(names[2] == "", " minus " + names[2]),
        metric=names[0],
        text=[f"{row.value:z.3f} [{row.low:z.3f}, {row.high:z.3f}]" for row in rows.itertuples()],
    )
    table = rows.pivot_table(index="split", columns="metric", values="text", aggfunc="first", sort=False)
    return table[list(SHOWN)].reset_index().rename_axis(columns=None)


def _sample(table: pd.DataFrame, draws: int) -> dict[str, np.ndarray]:
    """Each measure's mean over seeds, then its means on bootstrap draws."""
    seeds = {
        seed: measure_draws(one, operating_measures, unit_counts(one, "video_id", draws), "video_id")
        for seed, one in table.groupby("seed")
    }
    return over_seeds(seeds)


def _check(splits: dict[str, pd.DataFrame], against: str) -> None:
    if against not in splits:
        raise ValueError(f"There are no scores of the split {against}, only of {', '.join(splits)}. Add it to them.")
    seeds = {split: set(table["seed"]) for split, table in splits.items()}
    if odd := [split for split in seeds if seeds[split] != seeds[against]]:
        raise ValueError(f"{odd[0]} was trained with the seeds {seeds[odd[0]]}, {against} with {seeds[against]}.")
