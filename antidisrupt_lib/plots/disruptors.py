"""Figures that compare disruptors: what they break of each forger, against eps, gradients, and everyday processing."""

from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from antidisrupt_lib.labels import attack_label, forger_label, purifier_label
from antidisrupt_lib.metrics.breaking import SHARES
from antidisrupt_lib.metrics.distances import DISRUPTED
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.maps import value_map
from antidisrupt_lib.plots.style import PALETTE

AS_IT_IS = "as it is"


def broken_shares(table: pd.DataFrame, measure: str, columns: str = "forger") -> pd.DataFrame:
    """Share of edits broken: a row per disruptor, a column per forger (or way)."""
    met = table.dropna(subset=measure)
    met = met.assign(broken=met[measure] >= DISRUPTED, way=met["way"].replace("", AS_IT_IS))
    return met.pivot_table(index="disruptor", columns=columns, values="broken", aggfunc="mean", sort=False)


def broken_map(table: pd.DataFrame, measure: str = "l2") -> Figure:
    """What each disruptor (rows) breaks of each forger (columns), photos as they are."""
    where = {"l2": "whole image", "l2_masked": "where the edit is"}[measure]
    shares = broken_shares(pick(table, way=""), measure).rename(index=attack_label, columns=forger_label)
    return value_map(shares, f"Edits broken, {where}", vmax=1.0)


def survival_map(table: pd.DataFrame, forger: str, measure: str = "l2") -> Figure:
    """What is left of each disruptor (rows) after each way (columns), of one forger's edits."""
    shares = broken_shares(pick(table, forger=forger), measure, "way")
    shares = shares.rename(index=attack_label, columns=purifier_label)
    return value_map(shares, f"Edits of {forger_label(forger)} broken", vmax=1.0)


def share_curves(table: pd.DataFrame, x: str, label: str, measure: str = "l2") -> Figure:
    """Share of edits broken against a column `x` of the table: a panel per forger, a line per disruptor."""
    forgers = list(dict.fromkeys(table["forger"]))
    figure, grid = plt.subplots(1, len(forgers), figsize=(2.3 * len(forgers) + 0.8, 3.2), sharey=True, squeeze=False)
    for ax, forger in zip(grid[0], forgers, strict=True):
        met = pick(table, forger=forger).dropna(subset=measure)
        for (disruptor, part), color in zip(met.groupby("disruptor", sort=False), cycle(PALETTE), strict=False):
            share = (part[measure] >= DISRUPTED).groupby(part[x]).mean()
            ax.plot(share.index, share, "o-", color=color, label=attack_label(disruptor), ms=4)
        ax.set(title=forger_label(forger), xlabel=label, ylim=(-0.03, 1.03))
    grid[0][0].set_ylabel(SHARES[measure].replace("_", " "))
    figure.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    return figure
