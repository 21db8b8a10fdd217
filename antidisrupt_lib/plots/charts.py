"""Charts of one stage: loss curves, bars with intervals, histograms of scores."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from antidisrupt_lib.metrics.leak import LEAK
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.style import ARMS, NEUTRAL, undefined
from antidisrupt_lib.tables import arm_labels, fully_treated


def losses(history: pd.DataFrame, title: str) -> Figure:
    """Loss curves: a panel per column of a training history, raw and as a moving average."""
    names = [name for name in history if name != "step"]
    figure, grid = plt.subplots(1, len(names), figsize=(max(3.4, 2.1 * len(names)), 2.3), squeeze=False)
    for ax, name in zip(grid[0], names, strict=True):
        curve = history[["step", name]].dropna()
        ax.plot(curve["step"], curve[name], color=NEUTRAL, alpha=0.3, lw=0.8)
        ax.plot(curve["step"], curve[name].rolling(max(1, len(curve) // 10), min_periods=1).mean(), color=NEUTRAL)
        ax.set(title=name, xlabel="step")
    figure.suptitle(title, fontsize=10, fontweight="bold")
    return figure


def interval_bars(ax: Axes, rows: pd.DataFrame, labels: Sequence[str], colors: Sequence[str] | str = NEUTRAL) -> None:
    """Horizontal bars of `value` with the interval from `low` to `high`, and the value written beside each.

    Where there is no value, the reason is written instead.
    """
    at = np.arange(len(rows))[::-1]
    ax.barh(at, rows["value"], color=colors, height=0.65)
    errors = np.stack([rows["value"] - rows["low"], rows["high"] - rows["value"]]).clip(0)
    ax.errorbar(rows["value"], at, xerr=np.nan_to_num(errors), fmt="none", ecolor="black", elinewidth=1, capsize=2)
    room = 0.02 * np.nanmax([*rows["value"], *rows["high"], 1e-9])
    for y, row in zip(at, rows.itertuples(), strict=True):
        end = np.nanmax([row.value, row.high, 0]) if np.isfinite(row.value) else 0
        text = f"{row.value:.3g}" if np.isfinite(row.value) else undefined(rows.loc[[row.Index]])
        ax.text(end + room, y, text, va="center", fontsize=8)
    ax.set_yticks(at, [label.replace("_", " ") for label in labels])
    ax.margins(x=0.15)
    ax.set_ylim(-0.6, len(rows) - 0.4)


def purifier_bars(results: pd.DataFrame, metrics: Mapping[str, str], attack: str) -> Figure:
    """What each purifier leaves of one attack: a row of panels per forger, a panel per metric (name: title)."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    rows = rows.assign(purifier=rows["purifier"].fillna("none"))
    met = {forger: _names(part) for forger, part in rows.groupby("forger", sort=False)}
    heights = [len(names) for names in met.values()]
    size = (3.4 * len(metrics) + 0.8, 0.32 * sum(heights) + 1.0 * len(met))
    figure, grid = plt.subplots(
        len(met), len(metrics), figsize=size, sharey="row", sharex="col", squeeze=False, height_ratios=heights
    )
    for axes, (forger, names) in zip(grid, met.items(), strict=True):
        for ax, (metric, title) in zip(axes, metrics.items(), strict=True):
            table = pick(rows, forger=forger, metric=metric).set_index("purifier")
            interval_bars(ax, table.reindex(names), names)
            ax.set_title(f"{forger.replace('_', ' ')}: {title}" if ax is axes[0] else title)
    return figure


def _names(rows: pd.DataFrame) -> list[str]:
    return ["none", *(name for name in rows["purifier"].unique() if name != "none")]


def arm_bars(results: pd.DataFrame, metric: str, title: str) -> Figure:
    """One metric of the detectors, over all seeds: a bar per arm at its full poison ratio, a panel per forger and
    detector.
    """
    rows = fully_treated(pick(results, stage="detect", metric=metric, seed=None)).fillna({"forger": "?"})
    panels = rows.groupby(["forger", "detector"], sort=False)
    most = panels.size().max()
    figure, grid = plt.subplots(
        1, len(panels), figsize=(4.4 * len(panels) + 0.8, 0.3 * most + 1), sharex=True, squeeze=False
    )
    for ax, ((forger, detector), table) in zip(grid[0], panels, strict=True):
        interval_bars(ax, table, arm_labels(table), [ARMS.get(arm, NEUTRAL) for arm in table["arm"]])
        ax.set(title=f"{detector}, fakes of {forger.replace('_', ' ')}", xlabel=title)
    return figure


def split_bars(results: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """What detectors reach by the way their crops were split: a panel per metric (name: title), a bar per split."""
    rows = pick(results, stage=LEAK, seed=None)
    splits = rows["arm"].unique()
    figure, grid = plt.subplots(
        1, len(metrics), figsize=(3.2 * len(metrics) + 0.8, 0.35 * len(splits) + 1), sharey=True
    )
    for ax, (metric, title) in zip(np.atleast_1d(grid), metrics.items(), strict=True):
        interval_bars(ax, pick(rows, metric=metric).set_index("arm").reindex(splits), splits)
        ax.set_title(title)
    return figure


def score_histograms(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """P(fake) on the photos and on the fakes of the test set, a panel per arm; it counts scores that aren't finite."""
    figure, grid = plt.subplots(1, len(scores), figsize=(2.9 * len(scores), 2.3), sharey=True, squeeze=False)
    for ax, (arm, table) in zip(grid[0], scores.items(), strict=True):
        for fake, label, color in ((0, "photos", NEUTRAL), (1, "fakes", "#D55E00")):
            values = table.loc[(table["fake"] == fake) & np.isfinite(table["score"]), "score"]
            share = np.full(len(values), 1 / max(1, len(values)))
            ax.hist(values, bins=np.linspace(0, 1, 21), weights=share, alpha=0.6, color=color, label=label)
        ax.axvline(0.5, color="black", lw=0.8, ls=":")
        lost = (~np.isfinite(table["score"])).sum()
        ax.set(
            title=f"{arm}\n{lost} scores are not finite" if lost else arm,
            xlabel="P(fake)",
            ylabel="share" if ax is grid[0][0] else "",
        )
    grid[0][-1].legend(frameon=False, fontsize=8, loc="upper center")
    return figure
