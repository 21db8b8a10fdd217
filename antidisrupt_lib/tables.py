"""The study's tables in the papers' style, and its headline: text made from the results table."""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.results import pick

OF_PHOTOS = (
    r"l1|l2|share_disrupted|psnr|ssim|attributes_kept|frechet_((?!_minus_|_as_published).)+"
    "|seconds_per_image|network_calls"
)
OF_DETECTORS = "accuracy|auc|recall_real|recall_fake|drop|recovery"


def arm_labels(rows: pd.DataFrame) -> list[str]:
    """What to call the arms of some rows: "clean", "poisoned by pgd", "pgd, purified by ...", and the controls."""
    return [_arm_label(row.arm, row.attack, row.purifier) for row in rows.fillna("").itertuples()]


def _arm_label(arm: str, attack: str, purifier: str) -> str:
    match arm:
        case "clean":
            return "clean"
        case "poisoned":
            return f"poisoned by {attack}"
        case "purified":
            return f"{attack or 'never disrupted'}, purified by {purifier}"
    return f"{attack}, {arm}"


def fully_treated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of clean arms, and of the others those with the largest share of treated photos."""
    return rows[(rows["arm"] == "clean") | (rows["poison_ratio"] == rows["poison_ratio"].max())]


def purifier_table(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Paper-style table of the purifiers against one attack, a row each, the untreated disruption first."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    return _paper_table(rows.assign(purifier=rows["purifier"].fillna("none")), ["purifier"], OF_PHOTOS)


def attack_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the disruptions, a row each."""
    return _paper_table(pick(results, stage="disrupt"), ["attack"], OF_PHOTOS)


def arm_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the detectors, a row per detector and arm, means over seeds."""
    rows = pick(results, stage="detect", seed=None)
    return _paper_table(rows, ["detector", "arm", "attack", "purifier", "poison_ratio"], OF_DETECTORS)


def _paper_table(rows: pd.DataFrame, index: list[str], metrics: str) -> pd.DataFrame:
    rows = rows[rows["metric"].str.fullmatch(metrics)]
    text = [
        f"{row.value:.3g}" if np.isnan(row.low) else f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]"
        for row in rows.itertuples()
    ]
    rows = rows.assign(text=text, **{axis: rows[axis].fillna("") for axis in index})
    table = rows.pivot_table(index=index, columns="metric", values="text", aggfunc="first", sort=False)
    return table.fillna("").reset_index().rename_axis(columns=None)


def headline(results: pd.DataFrame, attack: str) -> str:
    """What was measured, in a few lines: the forger, one disruption, the detectors of each arm."""
    edits = pick(results, stage="forge", metric="edit_accuracy", purifier=None)
    rows = pick(results, metric="share_disrupted", attack=attack)
    left = pick(rows, stage="purify").sort_values("value")
    arms = fully_treated(pick(results, stage="detect", metric="accuracy", seed=None))
    said = [f"{label} {_value(arms[i : i + 1])}" for i, label in enumerate(arm_labels(arms))]
    return (
        f"The forger's edits take in {_value(edits)} of all cases.\n"
        f"{attack} disrupts {_value(pick(rows, stage='disrupt', purifier=None))} of them; after purification "
        f"{_value(left[:1])} ({left['purifier'].iloc[0]}) to {_value(left[-1:])} ({left['purifier'].iloc[-1]}) stay "
        f"disrupted.\nDetector accuracy on C: {'; '.join(said)}.\n"
    )


def _value(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
