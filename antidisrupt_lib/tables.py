"""The study's tables in the papers' style, and its headline: text made from the results table."""

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.results import pick


def arm_labels(rows: pd.DataFrame) -> list[str]:
    """What to call the arms of some rows: "clean", "poisoned (pgd)", "pgd, purified by ..."."""
    return [
        "clean" if row.arm == "clean" else f"poisoned by {row.attack}" if row.arm == "poisoned"
        else f"{row.arm}: {row.purifier}" for row in rows.fillna("").itertuples()
    ]  # fmt: skip


def purifier_table(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Paper-style table of the purifiers against one attack, a row each, the untreated disruption first."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    return _paper_table(rows.assign(purifier=rows["purifier"].fillna("none")), ["purifier"])


def attack_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the disruptions, a row each."""
    return _paper_table(pick(results, stage="disrupt"), ["attack"])


def arm_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the detectors, a row per detector and arm, means over seeds."""
    rows = pick(results, stage="detect", seed=None)
    return _paper_table(rows, ["detector", "arm", "attack", "purifier", "poison_ratio"])


def _paper_table(rows: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    text = [
        f"{row.value:.3g}" if np.isnan(row.low) else f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]"
        for row in rows.itertuples()
    ]
    rows = rows.assign(text=text, **{axis: rows[axis].fillna("") for axis in index})
    table = rows.pivot_table(index=index, columns="metric", values="text", aggfunc="first", sort=False)
    return table.fillna("").reset_index().rename_axis(columns=None)


def headline(results: pd.DataFrame) -> str:
    """What was measured, in a few lines: the forger, the disruption, the detectors of each arm."""
    lines = [f"The forger's edits take in {_value(pick(results, metric='edit_accuracy'))} of all cases."]
    for attack in pick(results, stage="purify")["attack"].unique():
        rows = pick(results, metric="share_disrupted", attack=attack)
        left = pick(rows, stage="purify").sort_values("value")
        lines.append(
            f"{attack} disrupts {_value(pick(rows, stage='disrupt'))} of them; after purification {_value(left[:1])} "
            f"({left['purifier'].iloc[0]}) to {_value(left[-1:])} ({left['purifier'].iloc[-1]}) stay disrupted."
        )
    arms = pick(results, stage="detect", metric="accuracy", seed=None)
    said = [f"{label} {_value(arms[i : i + 1])}" for i, label in enumerate(arm_labels(arms))]
    return "\n".join([*lines, f"Detector accuracy on C: {'; '.join(said)}."]) + "\n"


def _value(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
