"""Charts of a whole study: poison curves, heat maps, the trade-off between effect and cost."""

from collections.abc import Callable, Sequence
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from antidisrupt_lib.metrics.arms import CURVE
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.curves import training_curves
from antidisrupt_lib.plots.style import PALETTE, arm_colors, undefined
from antidisrupt_lib.tables import arm_labels

QUALITY = {  # of a purifier: its label, and +1 where less is better, -1 where more is
    "share_disrupted": ("edits still disrupted", 1),
    "l2": ("L2 of the edits", 1),
    "psnr": ("PSNR of the photos (dB)", -1),
}
COSTS = {"seconds_per_image": "seconds per image", "network_calls": "network calls per image"}


def poison_curve(results: pd.DataFrame, attack: str, metric: str = "accuracy") -> Figure:
    """A metric of the detectors against the share of poison, with 95 % bands: a panel per detector, a line per arm."""
    rows = pick(results, stage="detect", metric=metric, seed=None)
    rows = rows[(rows["attack"] == attack) | (rows["arm"] == "clean")]
    rows = rows.assign(label=arm_labels(rows))
    ratios = rows.groupby("label")["poison_ratio"].transform("nunique")
    rows = rows[(ratios > 1) | (rows["arm"] == "clean")]
    colors = arm_colors(rows)
    detectors = rows["detector"].unique()
    width = 3.6 * len(detectors)
    figure, grid = plt.subplots(1, len(detectors), figsize=(width, 3.1), sharey=True, squeeze=False)
    for ax, detector in zip(grid[0], detectors, strict=True):
        for i, (label, line) in enumerate(pick(rows, detector=detector).groupby("label", sort=False)):
            line = line.sort_values("poison_ratio")
            style = {"color": colors[label], "marker": "osD^vP"[i % 6], "ms": 4}
            if (line["arm"] == "clean").all():
                line = pd.concat([line, line.assign(poison_ratio=rows["poison_ratio"].max())])
                style |= {"marker": "", "ls": "--"}
            label = f"{label.replace('_', ' ')} {undefined(line)}".strip()
            ax.plot(line["poison_ratio"], line["value"], label=label, **style)
            ax.fill_between(line["poison_ratio"], line["low"], line["high"], color=style["color"], alpha=0.15, lw=0)
        ax.set(title=detector, xlabel="share of photos disrupted")
    grid[0][0].set_ylabel(metric.replace("_", " "))
    lines = {line.get_label(): line for ax in grid[0] for line in ax.lines}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=len(detectors), frameon=False)
    return figure


def heat_map(results: pd.DataFrame, metric: str = "share_disrupted", title: str = "Edits still disrupted") -> Figure:
    """What each purifier leaves of each disruption: a row per purifier, a column per attack, the value in each cell."""
    rows = pick(results, stage=["disrupt", "purify"], metric=metric).dropna(subset="attack")
    rows = rows.assign(purifier=rows["purifier"].fillna("none"))
    table = rows.pivot_table(index="purifier", columns="attack", values="value", sort=False)
    table = table.reindex(["none", *table.index.drop("none", errors="ignore")])
    met = table.dropna(axis=1, thresh=min(3, len(table)))  # attacks that met one purifier only say little here,
    met = met.dropna(thresh=min(2, met.shape[1]))  # and so do purifiers that met one attack
    return value_map(met, title, vmax=1.0 if metric.startswith("share") else None)


def value_map(table: pd.DataFrame, title: str, vmin: float = 0.0, vmax: float | None = None) -> Figure:
    """A table as a map of colours, the value written in each cell; a dash where there is none."""
    size = (1.6 + 0.16 * max(map(len, table.index)) * 0.5 + 0.7 * len(table.columns), 1.5 + 0.27 * len(table))
    figure, ax = plt.subplots(figsize=size)
    image = ax.imshow(table, cmap="cividis", vmin=vmin, vmax=vmax, aspect="auto")
    for (y, x), value in np.ndenumerate(table.to_numpy()):
        dark = image.norm(value) < 0.55
        text = "–" if np.isnan(value) else f"{value:.2f}"
        color = "0.5" if np.isnan(value) else "white" if dark else "black"
        ax.text(x, y, text, ha="center", va="center", fontsize=8, color=color)
    ax.set_xticks(range(len(table.columns)), _words(table.columns), rotation=35, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(table)), _words(table.index))
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    figure.colorbar(image, shrink=0.8)
    return figure


def world_map(results: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Detectors in other worlds: a row per detector, a column per world, the metric in each cell."""
    rows = pick(results, seed=None)
    rows = rows[rows["metric"].str.startswith(f"{metric}_in_")]
    rows = rows.assign(label=arm_labels(rows), world=rows["metric"].str.removeprefix(f"{metric}_in_"))
    if rows["forger"].nunique() > 1:
        rows["label"] += ", fakes of " + rows["forger"]
    table = rows.pivot_table(index="label", columns="world", values="value", sort=False)
    return value_map(table, f"{metric.capitalize()} of each detector in each world", vmin=0.5, vmax=1.0)


def _words(names: Sequence[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def trade_off(results: pd.DataFrame, attack: str) -> Figure:
    """What a purifier leaves, against its time and its network calls; a line joins those that none beats in both.

    Adversarially trained forgers are left out: their time is spent before.
    """
    rows = pick(results, stage="purify", attack=attack)
    rows = rows[~rows["purifier"].str.startswith("adversarial")]
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
                    label=f"{row['number']:.0f} {_words([name])[0]}",
                    **styles[name],
                )
            _draw_front(ax, table.dropna(subset=[cost, metric]), cost, metric, sign)
            if metric == "l2":
                ax.set_yscale("log")
            ax.set_xscale("symlog" if cost == "network_calls" else "log")  # filters make no network call
            ax.margins(x=0.12, y=0.12)
            ax.set_xlabel(cost_label if metric == list(QUALITY)[-1] else "")
        axes[0].set_ylabel(label)
    figure.suptitle(f"What purification of {attack.replace('_', ' ')} costs, and what it leaves", fontweight="bold")
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
        figures |= {f"{name}_{forger}": drawn for name, drawn in _figures_of(here, forger.replace("_", " ")).items()}
    return figures


def _figures_of(results: pd.DataFrame, forger: str) -> dict[str, tuple[Callable[[], Figure], str]]:
    figures = {}
    purified = pick(results, stage="purify", metric="share_disrupted")
    if purified["attack"].nunique() > 1:
        caption = f"Share of {forger} edits still disrupted. Dashes: not measured, or not defined."
        title = f"Edits of {forger} still disrupted"
        figures["heat_map"] = (partial(heat_map, results, title=title), caption)
    for attack, rows in purified.groupby("attack", sort=False):
        if rows["purifier"].nunique() > 3:
            caption = f"Cost and effect of purifying {attack}, forger {forger}. Joined: those that none beats in both."
            figures[f"trade_off_{attack}"] = (partial(trade_off, results, attack), caption)
    for attack, rows in pick(results, stage="detect", arm="poisoned").groupby("attack", sort=False):
        if rows["poison_ratio"].nunique() > 1:
            caption = f"Accuracy on C against the share of photos disrupted by {attack}, fakes of {forger}: 95 % bands."
            figures[f"poison_ratio_{attack}"] = (partial(poison_curve, results, attack), caption)
    for (attack, detector), _ in pick(results, stage=CURVE, arm="poisoned").groupby(["attack", "detector"], sort=False):
        caption = f"{detector}, fakes of {forger}, against training steps: 95 % bands. Gaps: nothing certain was lost."
        figures[f"training_{attack}_{detector}"] = (partial(training_curves, results, attack, detector), caption)
    return figures
