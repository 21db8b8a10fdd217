"""Figures of attacked and defended detectors: curves over the attack's budget, calibration, the price of a defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from antidisrupt_lib.metrics.operating import Reliability
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.metrics.robustness import DEFENCES, STAGE, attack_label, eps_of
from antidisrupt_lib.plots.style import NEUTRAL, PALETTE, undefined
from antidisrupt_lib.tables import UNKNOWN

MARKERS = "osD^vPX*"


def eps_curve(results: pd.DataFrame, attack: str, metric: str = "attack_success") -> Figure:
    """A metric against the attack's budget, with 95 % bands: a panel per detector, a line per defence.

    Rows of the metric without an attack stand at budget 0.
    """
    rows = _undefended_input(results, metric)
    rows = rows.assign(eps=[eps_of(name, attack) for name in rows["attack"]]).dropna(subset="eps")
    panels = rows.groupby("detector", sort=False)
    styles = _styles(rows["arm"])
    figure, axes = _panels(len(panels))
    for ax, (detector, table) in zip(axes, panels, strict=True):
        for arm in styles:
            line = pick(table, arm=arm).sort_values("eps")
            ax.plot(line["eps"], line["value"], label=f"{_words(arm)} {undefined(line)}".strip(), ms=4, **styles[arm])
            ax.fill_between(line["eps"], line["low"], line["high"], color=styles[arm]["color"], alpha=0.15, lw=0)
        ax.set(title=detector, xlabel="budget (1/255)", ylim=(-0.02, 1.02))
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    axes[0].set_ylabel(_words(metric))
    figure.suptitle(f"{attack_label(attack)}: {_words(metric)}", fontweight="bold")
    _legend(figure, axes)
    return figure


def robustness_trade_off(results: pd.DataFrame, attack: str, metric: str = "attack_success") -> Figure:
    """Accuracy on untouched images against an attack's success, with 95 % intervals: a panel per detector."""
    axes_of = ["detector", "arm"]
    clean = pick(_undefended_input(results, "accuracy"), attack="")
    both = clean.merge(pick(_undefended_input(results, metric), attack=attack), on=axes_of, suffixes=("", "_hit"))
    panels, styles = both.groupby("detector", sort=False), _styles(both["arm"])
    figure, axes = _panels(len(panels))
    for ax, (detector, table) in zip(axes, panels, strict=True):
        for row in table.itertuples():
            errors = {
                "xerr": _arms(row.value, row.low, row.high),
                "yerr": _arms(row.value_hit, row.low_hit, row.high_hit),
            }
            why = undefined(table.loc[[row.Index]]) or undefined(table.loc[[row.Index]], "_hit")
            style = styles[row.arm] | {
                "label": f"{_words(row.arm)} {why}".strip(),
                "ls": "",
                "ms": 6,
                "elinewidth": 0.8,
            }
            ax.errorbar(row.value, row.value_hit, **errors, **style)
        ax.set(title=detector, xlabel="accuracy on untouched images", ylim=(-0.04, 1.04))
        ax.margins(x=0.1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes[0].set_ylabel(f"{_words(metric)}, {attack_label(attack)}")
    figure.suptitle("What a defence costs and leaves (best: lower right)", fontweight="bold")
    _legend(figure, axes)
    return figure


def reliability_diagram(bins: Mapping[str, Reliability]) -> Figure:
    """The share of fakes at each score, a panel per detector; on the diagonal, P(fake) is honest.

    The grey bars are the share of images in each bin, classes weighing equally.
    """
    figure, axes = _panels(len(bins), width=2.7)
    for ax, (name, found) in zip(axes, bins.items(), strict=True):
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        ax.bar(found.score, found.weight, width=0.04, color="0.85", label="share of images")
        ax.plot(found.score, found.share_fake, color=NEUTRAL, marker="o", ms=4, label="share of fakes")
        ax.set_title(f"{_words(name)}: ECE " + (f"{found.error:.3f}" if len(found.weight) else UNKNOWN))
        ax.set(xlabel="P(fake)", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0].set_ylabel("share")
    _legend(figure, axes)
    return figure


def _undefended_input(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric's rows over all seeds, without input defences; an empty attack is ""."""
    rows = pick(results, stage=STAGE, metric=metric, seed=None)
    rows = rows[rows["purifier"].fillna("none") == "none"]
    return rows.assign(attack=rows["attack"].astype(object).fillna(""))


def _styles(arms: pd.Series) -> dict[str, dict]:
    """A colour and a marker for each defence that occurs, in the order of DEFENCES; the undefended detector is grey."""
    order = [*DEFENCES, *sorted(set(arms) - set(DEFENCES))]
    colors = [NEUTRAL, *PALETTE * len(order)]
    return {
        arm: {"color": colors[at], "marker": MARKERS[at % len(MARKERS)]}
        for at, arm in enumerate(order)
        if arm in set(arms)
    }


def _legend(figure: Figure, axes: list[Axes]) -> None:
    """One legend below all panels, each label once."""
    handles = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False)


def _panels(count: int, width: float = 3.6) -> tuple[Figure, list[Axes]]:
    figure, grid = plt.subplots(1, count, figsize=(max(6.0, width * count), 3.5), sharey=True, squeeze=False)
    return figure, list(grid[0])


def _arms(value: float, low: float, high: float) -> np.ndarray:
    """The lengths of an error bar; none where the interval is not known."""
    return np.nan_to_num([[value - low], [high - value]]).clip(0)


def _words(name: str) -> str:
    return name.replace("_", " ")
