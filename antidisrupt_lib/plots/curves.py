"""Detectors against the number of their training steps."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from antidisrupt_lib.metrics.arms import COMPARED, CURVE
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.style import arm_colors
from antidisrupt_lib.tables import arm_labels, fully_treated

READINGS = {"accuracy": "at 0.5", "accuracy_at_fpr_5": "at 5 % false alarms", "auc": "AUC"}  # of COMPARED


def training_curves(results: pd.DataFrame, attack: str, detector: str) -> Figure:
    """A detector's measures, their drop and its recovery against training steps, with 95 % bands, a line per arm.

    A column per reading of the scores, so that a loss that only the threshold 0.5 sees is told from one of knowledge.
    """
    rows = pick(results, stage=CURVE, detector=detector, seed=None)
    rows = fully_treated(rows[(rows["attack"] == attack) | (rows["arm"] == "clean")])
    rows = rows.assign(label=arm_labels(rows))
    figure, grid = plt.subplots(3, len(READINGS), figsize=(9.4, 6.4), sharex=True, sharey="row")
    for column, (measure, title) in zip(grid.T, READINGS.items(), strict=True):
        names = measure, f"drop{COMPARED[measure]}", f"recovery{COMPARED[measure]}"
        for ax, name in zip(column, names, strict=True):
            _draw_lines(ax, pick(rows, metric=name), arm_colors(rows))
        column[0].set_title(title)
        column[1].axhline(0, color="0.7", lw=0.8, zorder=0)
        column[2].axhline(1, color="0.7", lw=0.8, zorder=0)
        column[2].set(xlabel="training steps", ylim=(-0.5, 2))
    for ax, label in zip(grid[:, 0], ("accuracy, AUC", "drop", "recovery"), strict=True):
        ax.set_ylabel(label)
    steps = sorted(rows["steps"].unique())
    grid[0][0].set_xscale("log")
    grid[0][0].set_xticks(steps, [f"{at:g}" for at in steps])
    grid[0][0].xaxis.set_minor_locator(NullLocator())
    figure.suptitle(f"{detector}: what {attack} costs, and what comes back, as training goes on", fontweight="bold")
    figure.legend(*grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _draw_lines(ax: Axes, rows: pd.DataFrame, colors: dict[str, str]) -> None:
    """Values against steps, a line per label; nothing where a value is not defined."""
    for label, line in rows.groupby("label", sort=False):
        line = line.sort_values("steps")
        ax.plot(line["steps"], line["value"], "o-", ms=3.5, color=colors[label], label=label.replace("_", " "))
        ax.fill_between(line["steps"], line["low"], line["high"], color=colors[label], alpha=0.15, lw=0)
        ax.vlines(line["steps"], line["low"], line["high"], color=colors[label], alpha=0.4, lw=1)  # also between gaps
