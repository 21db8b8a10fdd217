"""Results rows of the arms of the study: each detector's measures, what poison costs it, what purification brings back.

Every arm is measured on the same bootstrap draws of people and the arms' seeds are paired by name, so that differences
are paired. Accuracy at 0.5, accuracy at 5 % false alarms and AUC are given side by side, and so are the drop and the
recovery of each. The forger, the purifier and the training photos B are held fixed.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.detection import AT_FPR, OURS, detection_measures, drop, recovery
from antidisrupt_lib.metrics.intervals import DIFFERENCE, DRAWS, FREE, Draws, interval, shared_seeds
from antidisrupt_lib.metrics.results import drawn_result, plain_result
from antidisrupt_lib.metrics.rows import measure_rows, seed_draws
from antidisrupt_lib.weights import find_below

ARM_AXES = ["faces", "forger", "attack", "purifier", "arm", "detector", "poison_ratio"]
COMPARED = {"accuracy": "", "auc": "_auc", f"accuracy{AT_FPR}": AT_FPR}  # measures, and what ends their drop's name
FIXED = "forger, purifier, B"
NO_SEED = "no seed in common"
CURVE = "train"  # the stage of detectors that were scored after several numbers of steps

Sampled = dict[tuple, tuple[dict[str, Draws], int]]  # by ARM_AXES: the measures' draws, and the number of images


def find_scores(folders: Iterable[Path | str]) -> pd.DataFrame:
    """All scores tables below some stages' folders, with empty axes as "" and steps that nobody noted as 0.

    Raises:
        FileNotFoundError: a folder has none; the text names the notebook that makes it.
    """
    paths = find_below(folders, "scores.parquet")
    scores = _with_all_axes(pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True))
    return scores.drop_duplicates([*ARM_AXES, "steps", "seed", "image_id"])


def _with_all_axes(scores: pd.DataFrame) -> pd.DataFrame:
    steps = scores.get("steps", pd.Series(0, scores.index)).fillna(0).astype(int)
    axes = {axis: scores.get(axis, pd.Series("", scores.index)).fillna("") for axis in ARM_AXES}
    return scores.assign(**axes, steps=steps)


def detector_results(scores: pd.DataFrame, draws: int = DRAWS) -> list[dict]:
    """Results rows of all detectors: measures per seed, then means over seeds with drop and recovery.

    A detector that was scored after several numbers of steps is judged by its last, and then has rows of `CURVE` too.
    """
    scores = _with_all_axes(scores)
    most = scores.groupby([*ARM_AXES, "seed"])["steps"].transform("max")
    sampled, rows = _sample(scores[scores["steps"] == most], draws)
    rows += _comparison_rows(sampled) + _difference_rows(sampled)
    return rows + curve_results(scores, draws)


def curve_results(scores: pd.DataFrame, draws: int = DRAWS) -> list[dict]:
    """Measures, drop and recovery at each number of steps, of the arms that were scored after more than one."""
    curves = scores[scores.groupby(ARM_AXES)["steps"].transform("nunique") > 1]
    rows = []
    for steps, table in curves.groupby("steps"):
        sampled, measured = _sample(table, draws)
        rows += [row | {"stage": CURVE, "steps": steps} for row in measured + _comparison_rows(sampled)]
    return rows


def _sample(scores: pd.DataFrame, draws: int) -> tuple[Sampled, list[dict]]:
    """The draws of each arm's measures, and the rows of the measures."""
    sampled, rows = {}, []
    for key, table in scores.groupby(ARM_AXES, sort=False):
        drawn = seed_draws(table, detection_measures, draws)
        rows += measure_rows(table, drawn, _axes(key), fixed=FIXED)
        sampled[key] = drawn, len(table) // table["seed"].nunique()
    return sampled, rows


def world_results(scores: pd.DataFrame, draws: int = DRAWS) -> list[dict]:
    """Results rows of detectors in other worlds than the clean one: `<measure>_in_<world>`, for the column `world`."""
    rows = []
    for (world, *key), table in _with_all_axes(scores).groupby(["world", *ARM_AXES], sort=False):
        measured = measure_rows(table, seed_draws(table, detection_measures, draws), _axes(tuple(key)), fixed=FIXED)
        rows += [row | {"metric": f"{row['metric']}_in_{world}"} for row in measured]
    return rows


def _axes(key: tuple) -> dict:
    return {"stage": "detect"} | {axis: value for axis, value in zip(ARM_AXES, key, strict=True) if value != ""}


def _named(key: tuple) -> dict:
    return dict(zip(ARM_AXES, key, strict=True))


def _find(sampled: Sampled, near: dict, **other: object) -> dict[str, Draws] | None:
    """The draws of the first arm that has `near`'s faces, forger and detector, and these other axes."""
    wanted = {axis: near[axis] for axis in ("faces", "forger", "detector")} | other
    arms = (draws for key, (draws, _) in sampled.items() if wanted.items() <= _named(key).items())
    return next(arms, None)


def _comparison_rows(sampled: Sampled) -> list[dict]:
    """Drop of every arm against the clean one, and recovery of the treated arms, for each of COMPARED."""
    rows = []
    for key, (arm, n) in sampled.items():
        axes = _named(key)
        clean = _find(sampled, axes, arm="clean")
        if clean is None or axes["arm"] == "clean":
            continue
        same = {"attack": axes["attack"], "poison_ratio": axes["poison_ratio"]}
        poisoned = None if axes["arm"] == "poisoned" else _find(sampled, axes, arm="poisoned", **same)
        for measure, ending in COMPARED.items():
            rows.append(_difference_row(_axes(key), f"drop{ending}", clean[measure], arm[measure], n, "against clean"))
            if poisoned is not None:
                three = clean[measure], poisoned[measure], arm[measure]
                rows.append(_recovery_row(_axes(key), f"recovery{ending}", *three, n))
    return rows


def _difference_row(axes: dict, name: str, one: Draws, other: Draws, n: int, unit: str) -> dict:
    shared = shared_seeds(one, other)
    why = "undefined on one side" if shared else NO_SEED
    fixed = FIXED if shared == one.seeds == other.seeds else f"{FIXED}; the {len(shared)} seeds that both have"
    return drawn_result(axes, name, one.minus(other), n, f"difference of shares, {unit}", fixed=fixed, why=why)


def _recovery_row(axes: dict, name: str, clean: Draws, poisoned: Draws, purified: Draws, n: int) -> dict:
    unit = "share of the drop, which may be exceeded"
    lost = interval(clean.minus(poisoned), DIFFERENCE)
    if not lost.low > 0:
        why = (
            "nothing was lost: the drop's interval contains 0" if np.isfinite(lost.low) else "the drop has no interval"
        )
        return plain_result(axes, name, np.nan, 0, unit, why)
    drawn = recovery_draws(clean, poisoned, purified)
    return drawn_result(
        axes, name, drawn, n, unit, fixed=FIXED, why=f"undefined on one side, or {NO_SEED}", bounds=FREE
    )


def recovery_draws(clean: Draws, poisoned: Draws, purified: Draws) -> Draws:
    """The recovery of the means over the seeds that all three share, and what each seed adds to it.

    A seed's own ratio may divide by almost nothing. So its part is the delta method's, r + (purified - poisoned -
    r (clean - poisoned)) / mean(clean - poisoned), whose mean over seeds is r.
    """
    if not (seeds := shared_seeds(clean, poisoned, purified)):
        return Draws(np.full((1, clean.values.shape[1]), np.nan), clean.units, clean.over)
    arms = [arm.of(seeds) for arm in (clean, poisoned, purified)]
    ratio = recovery(*(arm.mean for arm in arms))
    lost, regained = (drop(one.values[:, :1], arms[1].values[:, :1]) for one in (arms[0], arms[2]))
    parts = (regained - ratio[0] * lost) / lost.mean()
    return Draws(ratio + parts, min(arm.units for arm in arms), clean.over, seeds)


def _difference_rows(sampled: Sampled) -> list[dict]:
    """COMPARED of every treated arm minus the poisoned one's, and of OURS minus each other purifier's."""
    rows = []
    for key, (arm, n) in sampled.items():
        one = _named(key)
        for other_key, (reference, _) in sampled.items():
            other = _named(other_key)
            differ = {axis for axis in ARM_AXES if one[axis] != other[axis]}
            names = []
            if one["arm"] not in ("clean", "poisoned") and other["arm"] == "poisoned" and differ <= {"arm", "purifier"}:
                names.append("poisoned")
            if one["purifier"] == OURS and differ == {"purifier"}:
                names.append(other["purifier"])
            for name, measure in ((name, measure) for name in names for measure in COMPARED):
                pair = arm[measure], reference[measure]
                rows.append(_difference_row(_axes(key), f"{measure}_minus_{name}", *pair, n, "paired"))
    return rows
