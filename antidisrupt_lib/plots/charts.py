"""Charts of one stage: loss curves, points with intervals, histograms of scores."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from antidisrupt_lib.labels import forger_label, purifier_label
from antidisrupt_lib.metrics.leak import LEAK
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.grids import facets, legend_below, point_grid
from antidisrupt_lib.plots.style import ARMS, NEUTRAL, VERMILION
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


def purifier_points(results: pd.DataFrame, metrics: Mapping[str, str], attack: str) -> Figure:
    """What each purifier leaves of one attack: a row of panels per forger, a panel per metric (name: title)."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack, metric=[*metrics])
    met = rows[["forger", "purifier"]].drop_duplicates().sort_values("purifier", key=pd.Series.notna, kind="stable")
    wanted = met.merge(pd.DataFrame({"metric": [*metrics]}), how="cross")  # what lacks a value says so
    rows = wanted.merge(rows, on=["forger", "purifier", "metric"], how="left")
    rows = rows.assign(
        purifier=rows["purifier"].fillna("none").map(purifier_label),
        forger=rows["forger"].map(forger_label),
        metric=rows["metric"].map(metrics),
    )
    return point_grid(rows, label="purifier", col="metric", row="forger").figure


def arm_points(results: pd.DataFrame, metric: str, title: str) -> Figure:
    """One metric of the detectors, over all seeds: a point per arm at its full poison ratio, a panel per detector and
    the forger of its fakes.
    """
    rows = fully_treated(pick(results, stage="detect", metric=metric, seed=None)).fillna({"forger": "?"})
    rows = rows.assign(
        label=arm_labels(rows),
        color=[ARMS.get(arm, NEUTRAL) for arm in rows["arm"]],
        panel=rows["detector"] + ", fakes of " + rows["forger"].map(forger_label),
    )
    grid = point_grid(rows, label="label", col="panel", share="all")
    return grid.set(xlabel=title).figure


def split_points(results: pd.DataFrame, metrics: Mapping[str, str]) -> Figure:
    """What detectors reach by the way their crops were split: a panel per metric (name: title), a point per split."""
    rows = pick(results, stage=LEAK, seed=None, metric=[*metrics])
    rows = rows.assign(arm=rows["arm"].str.replace("_", " "), metric=rows["metric"].map(metrics))
    return point_grid(rows, label="arm", col="metric").figure


def score_histograms(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """P(fake) on the photos and on the fakes of the test set, a panel per arm; it counts scores that aren't finite."""
    panels = []
    for arm, table in scores.items():
        lost = (~np.isfinite(table["score"])).sum()
        title = f"{arm}\n{lost} scores are not finite" if lost else arm
        panels.append(table.assign(panel=title, of=table["fake"].map({0: "photos", 1: "fakes"})))
    rows = pd.concat(panels, ignore_index=True).replace({"score": {np.inf: np.nan, -np.inf: np.nan}})
    grid = facets(rows, col="panel", hue="of", palette={"photos": NEUTRAL, "fakes": VERMILION}, height=2.3, aspect=1.25)
    shares = {"x": "score", "stat": "proportion", "bins": np.linspace(0, 1, 21), "alpha": 0.6}
    grid.map_dataframe(sns.histplot, **shares).refline(x=0.5, lw=0.8, ls=":", color="black")
    return legend_below(grid.set_axis_labels("P(fake)", "share"))
