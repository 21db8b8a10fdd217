"""Figures that compare forgers: what it takes to break them, what transfers, and their sensitivity."""

import re
from itertools import cycle

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from antidisrupt_lib.labels import forger_label
from antidisrupt_lib.metrics.breaking import SHARES
from antidisrupt_lib.metrics.distances import DISRUPTED
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.grids import legend_below, line_grid
from antidisrupt_lib.plots.maps import value_map
from antidisrupt_lib.plots.style import PALETTE


def broken_curves(sweep: pd.DataFrame) -> Figure:
    """Share of edits broken against eps (n/255): a panel per measure, a line per forger; dashed, noise of that size."""
    shares = []
    for measure, title in zip(SHARES, ("whole image", "where the edit is"), strict=True):
        defined = sweep.dropna(subset=measure)
        defined = defined[(defined["aim"] == defined["forger"]) | (defined["aim"] == "noise")]
        kinds = (defined["aim"] == "noise").map({True: "noise", False: "PGD"})
        broken = (defined[measure] >= DISRUPTED).groupby([defined["forger"], kinds, 255 * defined["eps"]], sort=False)
        shares.append(broken.mean().rename("share").reset_index().assign(measure=title))
    rows = pd.concat(shares).rename(columns={"aim": "disrupted by"})
    rows = rows.assign(forger=rows["forger"].map(forger_label))
    with plt.rc_context({"figure.constrained_layout.use": False}):  # a grid lays itself out
        grid = sns.relplot(
            rows, x="eps", y="share", hue="forger", style="disrupted by", style_order=["PGD", "noise"], col="measure",
            kind="line", markers=True, palette=PALETTE[: rows["forger"].nunique()], height=3.2, aspect=1.1,
        )  # fmt: skip
    sizes = sorted(rows["eps"].unique())
    grid.set(xscale="log", ylim=(-0.03, 1.03)).set_titles("{col_name}")
    for ax in grid.axes.flat:
        ax.set_xticks(sizes, [f"{size:.3g}" for size in sizes])
        ax.minorticks_off()
    return grid.set_axis_labels("eps (n/255)", "share of edits broken").figure


def transfer_map(matrix: pd.DataFrame) -> Figure:
    """A transfer matrix with its values: rows are what the disruptor knew, columns who forged."""
    matrix = matrix.rename(index=forger_label, columns=forger_label)
    return value_map(matrix, "Edits broken: disrupted for the row, forged by the column", vmax=1.0)


def ages_of(results: pd.DataFrame) -> dict[str, dict[int, str]]:
    """{forger: {training steps: its name in the results}} of forgers that are here at several ages, `NAME_500` say."""
    ages: dict[str, dict[int, str]] = {}
    for name in results["forger"].dropna().unique():
        if found := re.fullmatch(r"(.+)_(\d+)", name):
            ages.setdefault(found[1], {})[int(found[2])] = name
    return {forger: dict(sorted(known.items())) for forger, known in ages.items() if len(known) > 1}


def sensitivity_against_breaking(results: pd.DataFrame, eps: float) -> Figure:
    """Each forger's sensitivity, with its interval, against the share of its edits that PGD breaks at one eps.

    The ages of one forger are joined by a line from the youngest on.
    """
    share = f"share_disrupted_masked_at_{eps:g}"
    rows = {
        name: (pick(results, metric="sensitivity", forger=name), pick(results, metric=share, forger=name, attack="pgd"))
        for name in pick(results, metric="sensitivity")["forger"]
    }
    points = {name: (x.iloc[0], y.iloc[0]) for name, (x, y) in rows.items() if len(y)}
    figure, ax = plt.subplots(figsize=(5.6, 4.0))
    lines = ages_of(results)
    aged = {name for ages in lines.values() for name in ages.values()}
    lines |= {name: {0: name} for name in points if name not in aged}
    for (forger, ages), color in zip(lines.items(), cycle(PALETTE), strict=False):
        known = {steps: points[name] for steps, name in ages.items() if name in points}
        _draw_path(ax, known, color, forger_label(forger))
    ax.set(xlabel="largest singular value of the Jacobian", ylabel=f"share broken at eps {eps:g} (masked)")
    ax.set_xscale("log")
    ax.set_ylim(-0.05, 1.05)
    ax.margins(x=0.15)
    ax.legend(frameon=False, fontsize=8)
    return figure


def _draw_path(ax: Axes, points: dict[int, tuple], color: str, label: str) -> None:
    """Points with both intervals, joined; the first and the last called by their steps, if there are several."""
    for steps, pair in points.items():
        spread = [[[row["value"] - row["low"]], [row["high"] - row["value"]]] for row in pair]
        at = [row["value"] for row in pair]
        ax.errorbar(*at, xerr=spread[0], yerr=spread[1], fmt="o", ms=4, color=color, capsize=2, lw=0.8)
        if len(points) > 1 and steps in (min(points), max(points)):
            ax.annotate(f"{steps:,}", at, textcoords="offset points", xytext=(4, 3), fontsize=7, color=color)
    ax.plot(*([pair[i]["value"] for pair in points.values()] for i in (0, 1)), "o-", ms=4, color=color, label=label)


def age_curves(results: pd.DataFrame, eps: float) -> Figure:
    """Forgers while they train: do their edits take, how near the truth, how sensitive, how many broken; 95 % bands."""
    panels = {
        "edit_accuracy": "edits that take",
        "edit_gain": "nearer to the truth than the photo (dB)",
        "sensitivity": "sensitivity",
        f"share_disrupted_masked_at_{eps:g}": f"broken at eps {eps:g} (masked)",
    }
    panels = {metric: title for metric, title in panels.items() if metric in set(results["metric"])}
    named = {name: (forger, steps) for forger, ages in ages_of(results).items() for steps, name in ages.items()}
    rows = results[results["forger"].isin(named) & (results["attack"].isna() | (results["attack"] == "pgd"))]
    rows = rows[rows["metric"].isin(panels)]
    rows = rows.assign(
        steps=[named[name][1] for name in rows["forger"]],
        forger=[forger_label(named[name][0]) for name in rows["forger"]],
        panel=pd.Categorical(rows["metric"].map(panels), [*panels.values()]),
    )
    palette = dict(zip(rows["forger"].unique(), cycle(PALETTE), strict=False))
    grid = line_grid(rows, x="steps", hue="forger", col="panel", palette=palette, height=2.6, sharey=False)
    return legend_below(grid.set(xscale="log").set_axis_labels("training steps", ""))
