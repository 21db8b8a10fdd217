"""Figures of the adaptive standard: what eps it takes behind each purifier, and who breaks what."""

from collections.abc import Sequence
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from antidisrupt_lib.labels import purifier_label
from antidisrupt_lib.metrics.hardest import NOISE, NONE, attack_name, broken_up_to
from antidisrupt_lib.plots.maps import value_map
from antidisrupt_lib.plots.style import NEUTRAL, PALETTE


def eps_behind(smallest: pd.DataFrame, epsilons: Sequence[float]) -> Figure:
    """Share of edits broken by some eps up to each (n/255): a line per purifier, dashed where there is none."""
    table = broken_up_to(smallest, epsilons)
    figure, ax = plt.subplots(figsize=(5.6, 3.6))
    for (name, shares), color in zip(table.iterrows(), cycle(PALETTE), strict=False):
        line, color = ("o--", NEUTRAL) if name == NONE else ("o-", color)
        ax.plot([255 * eps for eps in epsilons], shares, line, color=color, ms=4, label=purifier_label(name))
    ax.set_xscale("log", base=2)
    ax.set_xticks([255 * eps for eps in epsilons], [f"{255 * eps:.3g}" for eps in epsilons])
    ax.minorticks_off()
    ax.set(xlabel="eps (n/255)", ylabel="share of edits broken", ylim=(-0.03, 1.03))
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def who_breaks_what(broken: pd.DataFrame, eps: float, rule: str = "majority") -> Figure:
    """Share of edits broken at one eps: a row per purifier that the disruptor knew, a column per purifier he met.

    Each cell is the worst over his attacks.
    """
    part = broken[(broken["eps"] == eps) & (broken["attack"] != NOISE)]
    each = part.groupby(["known", "purifier", "image_id", "answer"], sort=False)[rule].max().reset_index()
    matrix = each.pivot_table(index="known", columns="purifier", values=rule, aggfunc="mean", sort=False)
    matrix = matrix.rename(index=purifier_label, columns=purifier_label)
    return value_map(matrix, "Edits broken: knew the row, met the column", vmax=1.0)


def shares_by_attack(broken: pd.DataFrame, eps: float, rule: str = "majority") -> pd.DataFrame:
    """A row per attack with what it knew, a column per purifier that it met: the share of edits broken."""
    part = broken[broken["eps"] == eps]
    names = [attack_name(*pair) for pair in zip(part["attack"], part["known"], strict=True)]
    return part.assign(name=names).pivot_table(
        index="name", columns="purifier", values=rule, aggfunc="mean", sort=False
    )  # fmt: skip
