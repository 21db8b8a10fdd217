"""Figures of attacked and defended detectors: curves over the attack's budget, calibration, the price of a defence."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from antidisrupt_lib.labels import attack_label, defence_label, metric_label
from antidisrupt_lib.metrics.operating import Reliability
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.metrics.robustness import DEFENCES, STAGE, eps_of
from antidisrupt_lib.plots.grids import error_bars, facets, legend_below, line_grid
from antidisrupt_lib.plots.style import NEUTRAL, PALETTE, undefined
from antidisrupt_lib.tables import UNKNOWN


def eps_curve(results: pd.DataFrame, attack: str, metric: str = "attack_success") -> Figure:
    """A metric against the attack's budget, with 95 % bands: a panel per detector, a line per defence.

    Rows of the metric without an attack stand at budget 0.
    """
    rows = _undefended_input(results, metric)
    rows = rows.assign(eps=[eps_of(name, attack) for name in rows["attack"]]).dropna(subset="eps")
    rows, palette = _named_defences(rows)
    grid = line_grid(rows, x="eps", hue="defence", col="detector", palette=palette)
    grid.set(ylim=(-0.02, 1.02)).set_axis_labels("budget (1/255)", metric_label(metric))
    for ax in grid.axes.flat:
        ax.yaxis.set_major_formatter(PercentFormatter(1))
    grid.figure.suptitle(f"{attack_label(attack)}: {metric_label(metric)}", fontweight="bold")
    return legend_below(grid)


def robustness_trade_off(results: pd.DataFrame, attack: str, metric: str = "attack_success") -> Figure:
    """Accuracy on untouched images against an attack's success, with 95 % intervals: a panel per detector."""
    axes_of = ["detector", "arm"]
    clean = pick(_undefended_input(results, "accuracy"), attack="")
    both = clean.merge(pick(_undefended_input(results, metric), attack=attack), on=axes_of, suffixes=("", "_hit"))
    both = both.assign(note=both["note"].where(both["value"].isna(), both["note_hit"]))
    both, palette = _named_defences(both, lost=both["value"].isna() | both["value_hit"].isna())
    grid = facets(both, col="detector", hue="defence", hue_order=[*palette], palette=palette, height=3.3, aspect=1.15)
    grid.map_dataframe(_draw_crosses).set(ylim=(-0.04, 1.04))
    grid.set_axis_labels("accuracy on untouched images", f"{metric_label(metric)}, {attack_label(attack)}")
    for ax in grid.axes.flat:
        ax.margins(x=0.1)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_major_formatter(PercentFormatter(1, decimals=0))
    grid.figure.suptitle("What a defence costs and leaves (best: lower right)", fontweight="bold")
    return legend_below(grid)


def _draw_crosses(data: pd.DataFrame, color: object, label: str, **_: object) -> None:
    errors = {"xerr": error_bars(data), "yerr": error_bars(data, "_hit")}
    plt.errorbar(
        data["value"], data["value_hit"], **errors, fmt="o", ms=6, color=color, label=label, elinewidth=0.8, capsize=2
    )


def reliability_diagram(bins: Mapping[str, Reliability]) -> Figure:
    """The share of fakes at each score, a panel per detector; on the diagonal, P(fake) is honest.

    The grey bars are the share of images in each bin, classes weighing equally.
    """
    figure, axes = plt.subplots(1, len(bins), figsize=(max(6, 2.7 * len(bins)), 3.2), sharey=True, squeeze=False)
    for ax, (name, found) in zip(axes[0], bins.items(), strict=True):
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        ax.bar(found.score, found.weight, width=0.04, color="0.85", label="share of images")
        ax.plot(found.score, found.share_fake, color=NEUTRAL, marker="o", ms=4, label="share of fakes")
        ax.set_title(f"{name}: ECE " + (f"{found.error:.3f}" if len(found.weight) else UNKNOWN))
        ax.set(xlabel="P(fake)", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes[0, 0].set_ylabel("share")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    return figure


def _undefended_input(results: pd.DataFrame, metric: str) -> pd.DataFrame:
    """A metric's rows over all seeds, without input defences; an empty attack is ""."""
    rows = pick(results, stage=STAGE, metric=metric, seed=None)
    rows = rows[rows["purifier"].fillna("none") == "none"]
    return rows.assign(attack=rows["attack"].astype(object).fillna(""))


def _named_defences(rows: pd.DataFrame, lost: pd.Series | None = None) -> tuple[pd.DataFrame, dict[str, str]]:
    """Rows with a column `defence`, its words and why a value is lacking, and a colour for each, in DEFENCES' order.

    The undefended detector is grey.
    """
    order = [*DEFENCES, *sorted(set(rows["arm"]) - set(DEFENCES))]
    colors = dict(zip(order, [NEUTRAL, *PALETTE * len(order)], strict=False))
    rows = rows if lost is None else rows.assign(value=rows["value"].mask(lost))
    why = rows.groupby("arm")[["value", "note"]].apply(undefined)
    said = {arm: f"{defence_label(arm)} {why[arm]}".strip() for arm in order if arm in why}
    return rows.assign(defence=rows["arm"].map(said)), {said[arm]: colors[arm] for arm in said}
