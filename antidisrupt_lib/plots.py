"""Every figure and table of the study, from images or from the results table.

Colours: one per arm and one for everything else, from a palette that colour-blind readers can tell apart.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.weights import missing

ARMS = {"clean": "#0072B2", "poisoned": "#D55E00", "purified": "#009E73"}
NEUTRAL = "#56748C"

plt.rcParams.update({
    "figure.dpi": 110, "savefig.dpi": 150, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.grid": False, "figure.constrained_layout.use": True,
})  # fmt: skip


def save_figure(figure: Figure, out: Path | str, name: str, caption: str) -> Figure:
    """Write figures/NAME.png and its caption below `out`, where the report looks for them; returns the figure."""
    folder = Path(out) / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    figure.savefig(folder / f"{name}.png")
    (folder / f"{name}.txt").write_text(caption)
    plt.close(figure)
    return figure


def save_table(table: pd.DataFrame, out: Path | str, name: str, caption: str) -> pd.DataFrame:
    """Write tables/NAME.csv and its caption below `out`, where the report looks for them; returns the table."""
    folder = Path(out) / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / f"{name}.csv", index=False)
    (folder / f"{name}.txt").write_text(caption)
    return table


def strips(
    rows: Mapping[str, Tensor | Sequence[Tensor]], titles: Sequence[str] | None = None, title: str = ""
) -> Figure:
    """A grid of faces: a labelled row per entry, each N x 3 x H x W in [0, 1], optionally with column titles."""
    count = max(len(images) for images in rows.values())
    figure, grid = plt.subplots(
        len(rows),
        count,
        figsize=(1.1 * count + (1.5 if any(map(str.strip, rows)) else 0.3), 1.1 * len(rows) + 0.3),
        squeeze=False,
    )
    for axes, (label, images) in zip(grid, rows.items(), strict=True):
        for ax, image in zip(axes, images, strict=True):
            ax.imshow(image.permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
        axes[0].set_ylabel(label.replace("_", " "), rotation=0, ha="right", va="center")
    for ax, text in zip(grid[0], titles or [], strict=False):
        ax.set_title(text.replace("_", " "), fontsize=8, fontweight="normal")
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    figure.suptitle(title, fontsize=10, fontweight="bold") if title else None
    return figure


def amplified(x: Tensor, reference: Tensor, eps: float) -> Tensor:
    """A perturbation made visible: grey where nothing changed, black and white at -eps and +eps."""
    return 0.5 + (x - reference) / (2 * eps)


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
    """Horizontal bars of `value` with the interval from `low` to `high`, and the value written beside each."""
    at = np.arange(len(rows))[::-1]
    ax.barh(at, rows["value"], color=colors, height=0.65)
    errors = np.stack([rows["value"] - rows["low"], rows["high"] - rows["value"]]).clip(0)
    ax.errorbar(rows["value"], at, xerr=np.nan_to_num(errors), fmt="none", ecolor="black", elinewidth=1, capsize=2)
    room = 0.02 * max(rows[["value", "high"]].max().max(), 1e-9)
    for y, value, high in zip(at, rows["value"], rows["high"], strict=True):
        ax.text(np.nanmax([value, high]) + room, y, f"{value:.3g}", va="center", fontsize=8)
    ax.set_yticks(at, [label.replace("_", " ") for label in labels])
    ax.margins(x=0.15)


def purifier_bars(results: pd.DataFrame, metrics: Mapping[str, str], attack: str) -> Figure:
    """What each purifier leaves of one attack: a panel per metric (name: title), a bar per purifier."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    names = ["none", *rows["purifier"].dropna().unique()]
    figure, grid = plt.subplots(1, len(metrics), figsize=(3.4 * len(metrics) + 0.8, 0.32 * len(names) + 1), sharey=True)
    for ax, (metric, title) in zip(np.atleast_1d(grid), metrics.items(), strict=True):
        table = pick(rows, metric=metric).assign(purifier=lambda t: t["purifier"].fillna("none"))
        interval_bars(ax, table.set_index("purifier").reindex(names), names)
        ax.set_title(title)
    return figure


def arm_bars(results: pd.DataFrame, metric: str, title: str) -> Figure:
    """One metric of the detectors, over all seeds: a bar per arm and purifier, a panel per detector."""
    rows = pick(results, stage="detect", metric=metric, seed=None)
    detectors = rows["detector"].unique()
    figure, grid = plt.subplots(
        1, len(detectors), figsize=(4.4 * len(detectors) + 0.8, 0.3 * len(rows) + 1), squeeze=False
    )
    for ax, detector in zip(grid[0], detectors, strict=True):
        table = pick(rows, detector=detector)
        interval_bars(ax, table, arm_labels(table), [ARMS.get(arm, NEUTRAL) for arm in table["arm"]])
        ax.set(title=f"{title}: {detector}", xlabel=metric.replace("_", " "))
    return figure


def score_histograms(scores: Mapping[str, pd.DataFrame]) -> Figure:
    """P(fake) on the photos and on the fakes of the test set, a panel per arm."""
    figure, grid = plt.subplots(1, len(scores), figsize=(2.9 * len(scores), 2.3), sharey=True, squeeze=False)
    for ax, (arm, table) in zip(grid[0], scores.items(), strict=True):
        for fake, label, color in ((0, "photos", NEUTRAL), (1, "fakes", "#D55E00")):
            values = table.loc[table["fake"] == fake, "score"]
            ax.hist(
                values,
                bins=np.linspace(0, 1, 21),
                weights=np.full(len(values), 1 / len(values)),
                alpha=0.6,
                color=color,
                label=label,
            )
        ax.axvline(0.5, color="black", lw=0.8, ls=":")
        ax.set(title=arm, xlabel="P(fake)", ylabel="share" if ax is grid[0][0] else "")
    grid[0][-1].legend(frameon=False, fontsize=8, loc="upper center")
    return figure


def arm_labels(rows: pd.DataFrame) -> list[str]:
    """What to call the arms of some rows: "clean", "poisoned (pgd)", "pgd, purified by ..."."""
    return [
        "clean" if row.arm == "clean" else f"poisoned by {row.attack}" if row.arm == "poisoned"
        else f"{row.arm}: {row.purifier}" for row in rows.fillna("").itertuples()
    ]  # fmt: skip


def cost_curve(results: pd.DataFrame, attack: str, metric: str = "share_disrupted") -> Figure:
    """What a purifier leaves, against what it costs in network calls."""
    rows = pick(results, stage="purify", attack=attack)
    table = rows.pivot_table(index="purifier", columns="metric", values="value", sort=False)
    figure, ax = plt.subplots(figsize=(5, 3.2))
    ax.scatter(table["network_calls"], table[metric], color=NEUTRAL)
    near = table.groupby([table["network_calls"], table[metric].round(1)])  # one text for points that touch
    for _, some in near:
        names = "\n".join(name.replace("_", " ") for name in some.index)
        at = (some["network_calls"].iloc[0], some[metric].mean())
        ax.annotate(names, at, xytext=(7, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set(
        xscale="log",
        xlabel="network calls per image",
        ylabel=metric.replace("_", " "),
        title=f"Cost and effect against {attack}",
    )
    ax.margins(x=0.35, y=0.2)
    return figure


def chain_strip(folder: Path | str, count: int = 4) -> Figure:
    """A row per person: photo, disrupted photo and purified photo, each with the same deepfake of it."""
    titles = {
        "photo": "photo", "fake": "its deepfake", "disrupted": "disrupted", "broken": "its deepfake",
        "purified": "purified", "recovered": "its deepfake",
    }  # fmt: skip
    kept = _examples(folder)
    people = range(min(count, len(kept["photo"])))
    return strips({" " * (i + 1): [kept[name][i] for name in titles] for i in people}, list(titles.values()))


def purifier_strip(folders: Sequence[Path | str]) -> Figure:
    """One photo: disrupted, then as each purifier leaves it, above the edit of each."""
    kept = {_purifier_of(folder): _examples(folder) for folder in folders}
    first = next(iter(kept.values()))
    photos = [first["photo"][0], first["disrupted"][0], *(e["purified"][0] for e in kept.values())]
    edits = [first["fake"][0], first["broken"][0], *(e["recovered"][0] for e in kept.values())]
    return strips(
        {"photo": photos, "its edit": edits}, ["clean", "disrupted", *(name.replace("_", "\n") for name in kept)]
    )


def _examples(folder: Path | str) -> dict[str, Tensor]:
    if not (path := Path(folder) / "examples.npz").is_file():
        raise FileNotFoundError(missing(path))
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def _purifier_of(folder: Path | str) -> str:
    return pd.read_csv(Path(folder) / "results.csv")["purifier"].iloc[0]


def purifier_table(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Paper-style table of the purifiers against one attack, a row each, the untreated disruption first."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    return _paper_table(rows.assign(purifier=rows["purifier"].fillna("none")), ["purifier"])


def attack_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the disruptions, a row each."""
    return _paper_table(pick(results, stage="disrupt"), ["attack"])


def arm_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the detectors, a row per detector and arm, means over seeds."""
    rows = pick(results, stage="detect", seed=None)
    return _paper_table(rows, ["detector", "arm", "attack", "purifier", "poison_ratio"])


def _paper_table(rows: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    text = [
        f"{row.value:.3g}" if np.isnan(row.low) else f"{row.value:.3g} [{row.low:.3g}, {row.high:.3g}]"
        for row in rows.itertuples()
    ]
    rows = rows.assign(text=text, **{axis: rows[axis].fillna("") for axis in index})
    table = rows.pivot_table(index=index, columns="metric", values="text", aggfunc="first", sort=False)
    return table.fillna("").reset_index().rename_axis(columns=None)


def headline(results: pd.DataFrame) -> str:
    """What was measured, in a few lines: the forger, the disruption, the detectors of each arm."""
    lines = [f"The forger's edits take in {_value(pick(results, metric='edit_accuracy'))} of all cases."]
    for attack in pick(results, stage="purify")["attack"].unique():
        rows = pick(results, metric="share_disrupted", attack=attack)
        left = pick(rows, stage="purify").sort_values("value")
        lines.append(
            f"{attack} disrupts {_value(pick(rows, stage='disrupt'))} of them; after purification {_value(left[:1])} "
            f"({left['purifier'].iloc[0]}) to {_value(left[-1:])} ({left['purifier'].iloc[-1]}) stay disrupted."
        )
    arms = pick(results, stage="detect", metric="accuracy", seed=None)
    said = [f"{label} {_value(arms[i : i + 1])}" for i, label in enumerate(arm_labels(arms))]
    return "\n".join([*lines, f"Detector accuracy on C: {'; '.join(said)}."]) + "\n"


def _value(rows: pd.DataFrame) -> str:
    row = rows.iloc[0]
    return f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}]"
