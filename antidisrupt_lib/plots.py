"""Every figure of the study, from images or from the results table.

Colours: one per arm and one for everything else, from a palette that colour-blind readers can tell apart.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.tables import arm_labels
from antidisrupt_lib.weights import missing

ARMS = {"clean": "#0072B2", "poisoned": "#D55E00", "purified": "#009E73"}
NEUTRAL = "#56748C"
PALETTE = ["#CC79A7", "#E69F00", "#56B4E9", "#882255", "#117733", "#332288", "#999933", "#444444"]
QUALITY = {  # of a purifier: its label, and +1 where less is better, -1 where more is
    "share_disrupted": ("edits still disrupted", 1),
    "l2": ("L2 of the edits", 1),
    "psnr": ("PSNR of the photos (dB)", -1),
}
COSTS = {"seconds_per_image": "seconds per image", "network_calls": "network calls per image"}

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


def poison_curve(results: pd.DataFrame, attack: str, metric: str = "accuracy") -> Figure:
    """A metric of the detectors against the share of poison, with 95 % bands: a panel per detector, a line per arm."""
    rows = pick(results, stage="detect", metric=metric, seed=None)
    rows = rows[(rows["attack"] == attack) | (rows["arm"] == "clean")]
    rows = rows.assign(label=arm_labels(rows))
    colors = _arm_colors(rows)
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
            ax.plot(line["poison_ratio"], line["value"], label=label.replace("_", " "), **style)
            ax.fill_between(line["poison_ratio"], line["low"], line["high"], color=colors[label], alpha=0.15, lw=0)
        ax.set(title=detector, xlabel="share of photos disrupted")
    grid[0][0].set_ylabel(metric.replace("_", " "))
    lines = {line.get_label(): line for ax in grid[0] for line in ax.lines}
    figure.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=3, frameon=False)
    return figure


def _arm_colors(rows: pd.DataFrame) -> dict[str, str]:
    """A colour per label: the arm's own for its first label, and others of the palette for its further ones."""
    spare, colors, taken = iter(PALETTE * len(rows)), {}, set()
    for label, arm in rows[["label", "arm"]].drop_duplicates().itertuples(index=False):
        colors[label] = ARMS[arm] if arm in ARMS and arm not in taken else next(spare)
        taken.add(arm)
    return colors


def heat_map(results: pd.DataFrame, metric: str = "share_disrupted", title: str = "Edits still disrupted") -> Figure:
    """What each purifier leaves of each disruption: a row per purifier, a column per attack, the value in each cell."""
    rows = pick(results, stage=["disrupt", "purify"], metric=metric).dropna(subset="attack")
    rows = rows.assign(purifier=rows["purifier"].fillna("none"))
    table = rows.pivot_table(index="purifier", columns="attack", values="value", sort=False)
    table = table.reindex(["none", *table.index.drop("none", errors="ignore")])
    size = (1.6 + 0.16 * max(map(len, table.index)) * 0.5 + 0.7 * len(table.columns), 1.5 + 0.27 * len(table))
    figure, ax = plt.subplots(figsize=size)
    top = 1.0 if metric.startswith("share") else None
    image = ax.imshow(table, cmap="cividis", vmin=0, vmax=top, aspect="auto")
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


def _words(names: Sequence[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]


def trade_off(results: pd.DataFrame, attack: str) -> Figure:
    """What a purifier leaves, against its time and its network calls; a line joins those that none beats in both."""
    rows = pick(results, stage="purify", attack=attack)
    table = rows.pivot_table(index="purifier", columns="metric", values="value", sort=False)
    table = table.reindex(columns=[*QUALITY, *COSTS])
    table["number"] = np.arange(1, len(table) + 1)
    styles = _family_styles(table.index)
    figure, grid = plt.subplots(3, 2, figsize=(8.6, 8.4 + 0.05 * len(table)), sharey="row", sharex="col")
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
            ax.set_xscale("symlog" if cost == "network_calls" else "log")  # filters make no network call
            ax.margins(x=0.12, y=0.12)
            ax.set_xlabel(cost_label if metric == list(QUALITY)[-1] else "")
        axes[0].set_ylabel(label)
    figure.suptitle(f"What purification of {attack.replace('_', ' ')} costs, and what it leaves", fontweight="bold")
    figure.legend(
        *grid[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
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


def difference_strip(folders: Sequence[Path | str], eps: float = 0.025, fake_eps: float = 0.25) -> Figure:
    """One photo and its edit through the chain of each purifier; below each image what changed, made visible.

    Photos are compared with the clean photo (black and white at -eps and +eps), edits with the clean edit (fake_eps).
    """
    names = ["photo", "disrupted", "purified", "fake", "broken", "recovered"]
    rows = {}
    for folder in folders:
        kept = {name: images[0] for name, images in _examples(folder).items()}
        purifier = textwrap.fill(_purifier_of(folder).replace("_", " ").replace("+", " + "), 18)
        rows[purifier] = [kept[name] for name in names]
        rows[f"{purifier}\n(difference)"] = [
            amplified(kept[name], kept["photo" if i < 3 else "fake"], eps if i < 3 else fake_eps)
            for i, name in enumerate(names)
        ]
    return strips(rows, ["photo", "disrupted", "purified", "edit", "broken", "recovered"])


def _examples(folder: Path | str) -> dict[str, Tensor]:
    if not (path := Path(folder) / "examples.npz").is_file():
        raise FileNotFoundError(missing(path))
    with np.load(path) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def _purifier_of(folder: Path | str) -> str:
    return pd.read_csv(Path(folder) / "results.csv")["purifier"].iloc[0]


def possible_figures(results: pd.DataFrame) -> dict[str, tuple[Callable[[], Figure], str]]:
    """The study-wide figures that these results can fill, by name: (draw, caption)."""
    figures = {}
    purified = pick(results, stage="purify", metric="share_disrupted")
    if len(purified):
        caption = "Share of edits still disrupted, by disruptor and purifier. Dashes: not measured."
        figures["heat_map"] = (partial(heat_map, results), caption)
    for attack, rows in purified.groupby("attack", sort=False):
        if rows["purifier"].nunique() > 1:
            caption = f"Cost and effect of purifying {attack}. Named and joined: purifiers that none beats in both."
            figures[f"trade_off_{attack}"] = (partial(trade_off, results, attack), caption)
    for attack, rows in pick(results, stage="detect", arm="poisoned").groupby("attack", sort=False):
        if rows["poison_ratio"].nunique() > 1:
            caption = f"Accuracy on C against the share of photos disrupted by {attack}: mean over seeds, 95 % bands."
            figures[f"poison_ratio_{attack}"] = (partial(poison_curve, results, attack), caption)
    return figures
