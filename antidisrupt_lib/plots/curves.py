"""Detectors against the number of their training steps, and against the share of disrupted photos."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from antidisrupt_lib.labels import attack_label
from antidisrupt_lib.metrics.arms import COMPARED, CURVE
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.grids import legend_below, line_grid
from antidisrupt_lib.plots.style import arm_colors, undefined
from antidisrupt_lib.tables import arm_labels, fully_treated

READINGS = {"accuracy": "at 0.5", "accuracy_at_fpr_5": "at 5 % false alarms", "auc": "AUC"}  # of COMPARED
LINES = {"drop": 0, "recovery": 1}  # where nothing is lost, and where all of it comes back


def training_curves(results: pd.DataFrame, attack: str, detector: str) -> Figure:
    """A detector's measures, their drop and its recovery against training steps, with 95 % bands, a line per arm.

    A column per reading of the scores, so that a loss that only the threshold 0.5 sees is told from one of knowledge.
    """
    rows = pick(results, stage=CURVE, detector=detector, seed=None)
    rows = fully_treated(rows[(rows["attack"] == attack) | (rows["arm"] == "clean")])
    rows = rows.assign(label=arm_labels(rows)).merge(_panels(), on="metric")
    grid = line_grid(
        rows, x="steps", hue="label", col="reading", row="measure", palette=arm_colors(rows), height=2.1, sharey="row"
    )
    for (measure, _), ax in grid.axes_dict.items():
        if measure in LINES:
            ax.axhline(LINES[measure], color="0.7", lw=0.8, zorder=0)
    grid.axes[2, 0].set_ylim(-0.5, 2)
    grid.set(xscale="log").set_axis_labels("training steps", "")
    steps = sorted(rows["steps"].unique())
    grid.axes[0, 0].set_xticks(steps, [f"{at:g}" for at in steps])
    grid.axes[0, 0].xaxis.set_minor_locator(NullLocator())
    title = f"{detector}: what {attack_label(attack)} costs, and what comes back, as training goes on"
    grid.figure.suptitle(title, fontweight="bold")
    return legend_below(grid)


def _panels() -> pd.DataFrame:
    """In which panel each metric stands: row `measure`, column `reading`."""
    measures = ["accuracy, AUC", *LINES]
    panels = [
        (metric, measure, reading)
        for name, reading in READINGS.items()
        for measure, metric in zip(measures, (name, *(f"{kind}{COMPARED[name]}" for kind in LINES)), strict=True)
    ]
    table = pd.DataFrame(panels, columns=["metric", "measure", "reading"])
    order = {"measure": pd.CategoricalDtype(measures), "reading": pd.CategoricalDtype([*READINGS.values()])}
    return table.astype(order)


def poison_curve(results: pd.DataFrame, attack: str, metric: str = "accuracy") -> Figure:
    """A metric of the detectors against the share of poison, with 95 % bands: a panel per detector, a line per arm."""
    rows = pick(results, stage="detect", metric=metric, seed=None)
    rows = rows[(rows["attack"] == attack) | (rows["arm"] == "clean")]
    rows = rows.assign(label=arm_labels(rows))
    ratios = rows.groupby("label")["poison_ratio"].transform("nunique")
    rows = rows[(ratios > 1) | (rows["arm"] == "clean")]
    clean = rows[rows["arm"] == "clean"]  # whatever the others' share: a level line
    rows = pd.concat([rows, clean.assign(poison_ratio=rows["poison_ratio"].max())], ignore_index=True)
    reasons = rows.groupby("label", sort=False)[["value", "note"]].apply(undefined)
    said = {label: f"{label} {reasons[label]}".strip() for label in reasons.index}
    palette = {said[label]: color for label, color in arm_colors(rows).items()}
    rows = rows.assign(label=rows["label"].map(said))
    grid = line_grid(rows, x="poison_ratio", hue="label", col="detector", palette=palette)
    return legend_below(grid.set_axis_labels("share of photos disrupted", metric.replace("_", " ")), ncols=2)
