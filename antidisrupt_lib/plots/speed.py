"""What a task costs each contender, as it grows."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from antidisrupt_lib.plots.style import NEUTRAL, PALETTE


def growth(runs: pd.DataFrame, size: str) -> Figure:
    """CPU time against a task's size on logarithmic axes: median and range of each contender, a panel per task.

    Args:
        runs: rows of task, contender, cpu_s and the column `size`; each task at two sizes or more.
    """
    tasks = runs["task"].unique()
    figure, row = plt.subplots(1, len(tasks), figsize=(1 + 3.4 * len(tasks), 3.6), squeeze=False)
    for ax, task in zip(row[0], tasks, strict=True):
        others = iter(PALETTE * len(runs))
        for name, line in runs[runs["task"] == task].groupby("contender", sort=False):
            spread = line.groupby(size)["cpu_s"].quantile([0, 0.5, 1]).unstack()
            power = np.polyfit(np.log(spread.index), np.log(spread[0.5]), 1)[0]
            color = NEUTRAL if name == "ours" else next(others)
            label = f"{name.replace('_', ' ')}, power {power:.2f}"
            ax.plot(spread.index, spread[0.5], "o-", color=color, ms=4, lw=2 if name == "ours" else 1, label=label)
            ax.fill_between(spread.index, spread[0], spread[1], color=color, alpha=0.15, lw=0)
        ax.set(xscale="log", yscale="log", title=task.replace("_", " "), xlabel=size.replace("_", " "))
        ax.set_xticks(spread.index, [f"{at:g}" for at in spread.index])
        ax.xaxis.set_minor_locator(NullLocator())
        ax.legend(fontsize=7, frameon=False)
    row[0][0].set_ylabel("CPU seconds")
    return figure
