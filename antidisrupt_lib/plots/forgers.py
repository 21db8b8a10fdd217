"""Figures that compare forgers: what it takes to break them, what transfers, and their sensitivity."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from antidisrupt_lib.metrics.breaking import SHARES
from antidisrupt_lib.metrics.distances import DISRUPTED
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.maps import value_map
from antidisrupt_lib.plots.style import PALETTE


def broken_curves(sweep: pd.DataFrame) -> Figure:
    """Share of edits broken against eps (n/255): a panel per measure, a line per forger; dotted, noise of that size."""
    figure, grid = plt.subplots(1, len(SHARES), figsize=(7.6, 3.2), sharey=True)
    forgers = list(dict.fromkeys(sweep["forger"]))
    for ax, (measure, title) in zip(grid, zip(SHARES, ("whole image", "where the edit is"), strict=True), strict=True):
        defined = sweep.dropna(subset=measure)
        for forger, color in zip(forgers, PALETTE, strict=False):
            for aim, style in ((forger, "o-"), ("noise", ":")):
                part = pick(defined, forger=forger, aim=aim)
                share = (part[measure] >= DISRUPTED).groupby(part["eps"]).mean()
                label = forger.replace("_", " ") if aim == forger else None
                ax.plot(255 * share.index, share, style, color=color, label=label, ms=4)
        ax.set(title=title, xlabel="eps (n/255)", ylim=(-0.03, 1.03))
        ax.set_xscale("log", base=2)
        sizes = sorted(255 * defined["eps"].unique())
        ax.set_xticks(sizes, [f"{size:.3g}" for size in sizes])
        ax.minorticks_off()
    grid[0].set_ylabel("share of edits broken")
    grid[0].legend(frameon=False, fontsize=8)
    return figure


def transfer_map(matrix: pd.DataFrame) -> Figure:
    """A transfer matrix with its values: rows are what the disruptor knew, columns who forged."""
    return value_map(matrix, "Edits broken: disrupted for the row, forged by the column", vmax=1.0)


def sensitivity_against_breaking(results: pd.DataFrame, eps: float) -> Figure:
    """Each forger's sensitivity, with its interval, against the share of its edits that PGD breaks at one eps."""
    figure, ax = plt.subplots(figsize=(4.6, 3.4))
    for (forger, sensitive), color in zip(pick(results, metric="sensitivity").groupby("forger"), PALETTE, strict=False):
        share = pick(results, metric=f"share_disrupted_masked_at_{eps:g}", forger=forger, attack="pgd")
        x, y = sensitive.iloc[0], share.iloc[0]
        spread = [[[row["value"] - row["low"]], [row["high"] - row["value"]]] for row in (x, y)]
        ax.errorbar(x["value"], y["value"], xerr=spread[0], yerr=spread[1], fmt="o", color=color, capsize=2)
        ax.annotate(forger.replace("_", " "), (x["value"], y["value"]), textcoords="offset points", xytext=(6, 4))
    ax.set(xlabel="largest singular value of the Jacobian", ylabel=f"share broken at eps {eps:g} (masked)")
    ax.set_xscale("log")
    ax.set_ylim(-0.05, 1.05)
    ax.margins(x=0.25)
    return figure
