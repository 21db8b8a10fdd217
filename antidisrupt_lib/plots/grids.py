"""Panels over forgers, detectors or metrics: points and lines with their intervals, on seaborn's grids."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from seaborn import FacetGrid

from antidisrupt_lib.plots.style import MARKERS, NEUTRAL, undefined


def point_grid(rows: pd.DataFrame, *, label: str, col: str, row: str | None = None, share: str = "col") -> FacetGrid:
    """Values with their intervals: a point for each `label`, the value beside it, or why there is none.

    Args:
        rows: columns value, low, high, note, those named here, and `color`, if points are to have one of their own.
        share: which panels have one x axis: those of a "col", or "all".
    """
    by_row = row or (lambda _: 0)
    labels = rows.groupby(by_row, sort=False)[label]
    rows, counts = rows.assign(at=labels.transform(_places)), labels.nunique()
    grid = facets(
        rows, row=row, col=col, sharex=True if share == "all" else share, sharey="row", aspect=1,
        height=0.26 * counts.mean() + 0.9, gridspec_kws={"height_ratios": counts + 2},
    )  # fmt: skip
    grid.figure.set_figwidth(3.1 * rows[col].nunique() + 0.07 * rows[label].map(len).max())
    grid.map_dataframe(_draw_points)
    for (_, here), panels in zip(rows.groupby(by_row, sort=False), grid.axes, strict=True):
        places = here.drop_duplicates("at")  # of all panels: none has to show every label
        panels[0].set_yticks(places["at"], places[label])
        panels[0].set_ylim(places["at"].min() - 0.6, 0.6)
    return grid.set(xlabel="", ylabel="").tight_layout()


def line_grid(
    rows: pd.DataFrame, *, x: str, hue: str, col: str, row: str | None = None, palette: Mapping[str, str],
    height: float = 3.0, sharey: bool | str = True,
) -> FacetGrid:  # fmt: skip
    """Values against `x`, a line per `hue` with its 95 % band; gaps where a value is not defined."""
    order = [*dict.fromkeys(rows[hue])]
    markers = [MARKERS[i % len(MARKERS)] for i in range(len(order))]
    grid = facets(
        rows, row=row, col=col, hue=hue, hue_order=order, hue_kws={"marker": markers}, palette=palette,
        height=height, aspect=1.15, sharey=sharey,
    )  # fmt: skip
    return grid.map_dataframe(_draw_line, x=x)


def facets(rows: pd.DataFrame, *, row: str | None = None, **how: object) -> FacetGrid:
    """A grid whose panels are called by what they show."""
    with plt.rc_context({"figure.constrained_layout.use": False}):  # a grid lays itself out
        grid = sns.FacetGrid(rows, row=row, **how)
    return grid.set_titles("{row_name}: {col_name}" if row else "{col_name}")


def legend_below(grid: FacetGrid, ncols: int = 3) -> Figure:
    """The grid's figure, with one legend for all its panels below them."""
    pairs = [pair for ax in grid.axes.flat for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in pairs}
    grid.tight_layout()
    grid.figure.legend(
        handles.values(), handles.keys(), loc="upper center", bbox_to_anchor=(0.5, 0), ncols=ncols, frameon=False
    )
    return grid.figure


def error_bars(rows: pd.DataFrame, suffix: str = "") -> np.ndarray:
    """2 x N lengths of error bars; none where an interval is not known."""
    value, low, high = (rows[f"{name}{suffix}"] for name in ("value", "low", "high"))
    return np.nan_to_num([value - low, high - value]).clip(0)


def _places(labels: pd.Series) -> np.ndarray:
    """Where each label stands, from the top down."""
    return -pd.factorize(labels)[0]


def _draw_points(data: pd.DataFrame, color: object = NEUTRAL, **_: object) -> None:
    ax = plt.gca()
    colors = data["color"] if "color" in data else [NEUTRAL] * len(data)
    for i, color in zip(data.index, colors, strict=True):
        one = data.loc[[i]]
        value, high, at = (one[name].iloc[0] for name in ("value", "high", "at"))
        if np.isfinite(value):
            ax.errorbar(value, at, xerr=error_bars(one), fmt="o", ms=5, color=color, elinewidth=1.4, capsize=2.5)
        said, end = (f"{value:.3g}", np.nanmax([value, high])) if np.isfinite(value) else (undefined(one), 0)
        ax.annotate(said, (end, at), xytext=(5, 0), textcoords="offset points", va="center", fontsize=8)
    ax.margins(x=0.2)


def _draw_line(data: pd.DataFrame, x: str, color: object, label: str, marker: str, **_: object) -> None:
    ax, line = plt.gca(), data.sort_values(x)
    ax.plot(line[x], line["value"], marker=marker, ms=4, color=color, label=label)
    ax.fill_between(line[x], line["low"], line["high"], color=color, alpha=0.15, lw=0)
    ax.vlines(line[x], line["low"], line["high"], color=color, alpha=0.4, lw=1)  # also between gaps
