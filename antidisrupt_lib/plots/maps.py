"""Charts of a whole study: poison curves, heat maps, the trade-off between effect and cost."""

from collections.abc import Callable
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from antidisrupt_lib.labels import attack_label, forger_label, purifier_label, world_label
from antidisrupt_lib.metrics.arms import CURVE
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.curves import poison_curve, training_curves
from antidisrupt_lib.plots.grids import point_grid
from antidisrupt_lib.plots.style import PALETTE
from antidisrupt_lib.tables import arm_labels, purifiers_alone

QUALITY = {  # of a purifier: its label, and +1 where less is better, -1 where more is
    "share_disrupted": ("edits still disrupted", 1),
    "l2": ("L2 of the edits", 1),
    "psnr": ("PSNR of the photos (dB)", -1),
}
COSTS = {"seconds_per_image": "seconds per image", "network_calls": "network calls per image"}


def heat_map(results: pd.DataFrame, metric: str = "share_disrupted", title: str = "Edits still disrupted") -> Figure:
    """What each purifier leaves of each disruption: a row per purifier, a column per attack, the value in each cell.

    Of one attack alone a point for each purifier, with its interval.
    """
    rows = pick(results, stage=["disrupt", "purify"], metric=metric).dropna(subset="attack")
    rows = rows.assign(purifier=rows["purifier"].fillna("none"))
    table = rows.pivot_table(index="purifier", columns="attack", values="value", sort=False)
    table = table.reindex(["none", *table.index.drop("none", errors="ignore")])
    met = table.dropna(axis=1, thresh=min(3, len(table)))  # attacks that met one purifier only say little here,
    met = met.dropna(thresh=min(2, met.shape[1]))  # and so do purifiers that met one attack
    if met.shape[1] == 1:
        shown = pick(rows, attack=met.columns[0]).set_index("purifier").reindex(met.index).reset_index()
        title = f"{title}: {attack_label(met.columns[0])}"
        shown = shown.assign(purifier=shown["purifier"].map(purifier_label), panel=title)
        return point_grid(shown, label="purifier", col="panel").figure
    met = met.rename(index=purifier_label, columns=attack_label)
    return value_map(met, title, vmax=1.0 if metric.startswith("share") else None)


def value_map(table: pd.DataFrame, title: str, vmin: float = 0.0, vmax: float | None = None) -> Figure:
    """A table as a map of colours, the value written in each cell; a dash where there is none."""
    size = (2.2 + 0.07 * max(map(len, table.index)) + 0.75 * len(table.columns), 1.6 + 0.3 * len(table))
    figure, ax = plt.subplots(figsize=size)
    look = {"cmap": "cividis", "vmin": vmin, "vmax": vmax, "linewidths": 0.5, "annot_kws": {"fontsize": 8}}
    sns.heatmap(table.astype(float), annot=True, fmt=".2f", cbar_kws={"shrink": 0.8}, ax=ax, **look)
    for y, x in np.argwhere(table.isna().to_numpy()):
        ax.text(x + 0.5, y + 0.5, "–", ha="center", va="center", color="0.4")
    ax.set(xlabel="", ylabel="", title=title)
    ax.tick_params(length=0)
    plt.setp(ax.get_xticklabels(), rotation=35, ha="right", rotation_mode="anchor")
    plt.setp(ax.get_yticklabels(), rotation=0)
    return figure


def world_map(results: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Detectors in other worlds: a row per detector, a column per world, the metric in each cell."""
    rows = pick(results, seed=None)
    rows = rows[rows["metric"].str.startswith(f"{metric}_in_")]
    worlds = rows["metric"].str.removeprefix(f"{metric}_in_").map(world_label)
    rows = rows.assign(label=arm_labels(rows), world=worlds)
    if rows["forger"].nunique() > 1:
        rows["label"] += ", fakes of " + rows["forger"].map(forger_label)
    if rows["detector"].nunique() > 1:
        rows["label"] += ", " + rows["detector"].str.replace("_", " ")
    if rows["world"].nunique() == 1:
        return point_grid(rows, label="label", col="world").set(xlabel=metric).figure
    table = rows.pivot_table(index="label", columns="world", values="value", sort=False)
    return value_map(table, f"{metric.capitalize()} of each detector in each world", vmin=0.5, vmax=1.0)


def trade_off(results: pd.DataFrame, attack: str) -> Figure:
    """What a purifier leaves, against its time and its network calls; a line joins those that none beats in both.

    Adversarially trained forgers are left out: their time is spent before.
    """
    rows = purifiers_alone(pick(results, stage="purify", attack=attack))
    table = rows.pivot_table(index="purifier", columns="metric", values="value", sort=False)
    table = table.reindex(columns=[*QUALITY, *COSTS])
    table["number"] = np.arange(1, len(table) + 1)
    styles = _family_styles(table.index)
    figure, grid = plt.subplots(3, 2, figsize=(8.6, 8.4 + 0.07 * len(table)), sharey="row", sharex="col")
    for axes, (metric, (label, sign)) in zip(grid, QUALITY.items(), strict=True):
        for ax, (cost, cost_label) in zip(axes, COSTS.items(), strict=True):
            for name, row in table.iterrows():
                ax.plot(
                    row[cost],
                    row[metric],
                    ls="",
                    ms=5,
                    label=f"{row['number']:.0f} {purifier_label(name)}",
                    **styles[name],
                )
            _draw_front(ax, table.dropna(subset=[cost, metric]), cost, metric, sign)
            if metric == "l2":
                ax.set_yscale("log")
            ax.set_xscale("symlog" if cost == "network_calls" else "log")  # filters make no network call
            ax.margins(x=0.12, y=0.12)
            ax.set_xlabel(cost_label if metric == list(QUALITY)[-1] else "")
        axes[0].set_ylabel(label)
    grid[0][0].set_ylim(-0.1, 1.1)  # a share
    of = forger_label(rows["forger"].iloc[0])
    figure.suptitle(f"{of}: what purification of {attack_label(attack)} costs, and what it leaves", fontweight="bold")
    figure.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=8
    )
    return figure


def pareto_front(cost: np.ndarray, loss: np.ndarray) -> np.ndarray:
    """The indices of the points that no other equals or beats in both, ordered by cost."""
    order = np.lexsort((loss, cost))
    best = np.minimum.accumulate(loss[order])
    return order[best < np.append(np.inf, best)[:-1]]


def _draw_front(ax: Axes, points: pd.DataFrame, cost: str, metric: str, sign: int) -> None:
    front = points.iloc[pareto_front(points[cost].to_numpy(), sign * points[metric].to_numpy())]
    ax.step(front[cost], front[metric], where="post", color="0.6", lw=1, zorder=1)
    best = {"xytext": (4, 4), "fontsize": 8, "fontweight": "bold"}
    other = {"xytext": (-4, -3), "fontsize": 7, "color": "0.4", "ha": "right", "va": "top"}
    for name, row in points.iterrows():
        style = best if name in front.index else other
        ax.annotate(f"{row['number']:.0f}", (row[cost], row[metric]), textcoords="offset points", **style)


def _family_styles(names: pd.Index) -> dict[str, dict]:
    """A colour and a marker for each purifier, shared by those that differ only in a setting: diffpure, diffpure_10."""
    families = names.str.replace(r"_[\d.]+(x\d+)?|_as_published", "", regex=True)
    order = list(dict.fromkeys(families))
    return {
        name: {"color": PALETTE[order.index(family) % 8], "marker": "osD^vPX"[order.index(family) % 7]}
        for name, family in zip(names, families, strict=True)
    }


def possible_figures(results: pd.DataFrame) -> dict[str, tuple[Callable[[], Figure], str]]:
    """The study-wide figures that these results can fill, by name: (draw, caption). Each is of one forger."""
    figures = {}
    for forger, here in results.groupby("forger", sort=False):
        figures |= {f"{name}_{forger}": drawn for name, drawn in _figures_of(here, forger_label(forger)).items()}
    return figures


def _figures_of(results: pd.DataFrame, forger: str) -> dict[str, tuple[Callable[[], Figure], str]]:
    figures = {}
    purified = pick(results, stage="purify", metric="share_disrupted")
    if purified["attack"].nunique() > 1:
        caption = (
            f"Share of the edits of {forger} still disrupted: a good purifier's row is dark. Dashes: not measured, or "
            "not defined."
        )
        title = f"Edits of {forger} still disrupted"
        figures["heat_map"] = (partial(heat_map, results, title=title), caption)
    for attack, rows in purified.groupby("attack", sort=False):
        if rows["purifier"].nunique() > 3:
            caption = (
                f"Cost and effect of purifying {attack_label(attack)}, forger {forger}: the best are at the lower left "
                "(of PSNR, the upper left). Joined: those that none beats in both."
            )
            figures[f"trade_off_{attack}"] = (partial(trade_off, results, attack), caption)
    for attack, rows in pick(results, stage="detect", arm="poisoned").groupby("attack", sort=False):
        if rows["poison_ratio"].nunique() > 1:
            caption = (
                f"Accuracy on C against the share of photos disrupted by {attack_label(attack)}, fakes of {forger}: "
                "95 % bands. Where the poisoned line falls, poison harms."
            )
            figures[f"poison_ratio_{attack}"] = (partial(poison_curve, results, attack), caption)
    for (attack, detector), _ in pick(results, stage=CURVE, arm="poisoned").groupby(["attack", "detector"], sort=False):
        caption = f"{detector}, fakes of {forger}, against training steps: 95 % bands. Gaps: nothing certain was lost."
        figures[f"training_{attack}_{detector}"] = (partial(training_curves, results, attack, detector), caption)
    return figures
