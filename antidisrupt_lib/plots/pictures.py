"""Figures of faces: grids, perturbations made visible, and the examples that notebook 05 keeps."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from torch import Tensor

from antidisrupt_lib.labels import forger_label, purifier_label
from antidisrupt_lib.plots.style import SMALL
from antidisrupt_lib.weights import missing


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
        ax.set_title(text.replace("_", " "), **SMALL)
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02)
    figure.suptitle(title, fontsize=10, fontweight="bold") if title else None
    return figure


def amplified(x: Tensor, reference: Tensor, eps: float) -> Tensor:
    """A perturbation made visible: grey where nothing changed, black and white at -eps and +eps."""
    return 0.5 + (x - reference) / (2 * eps)


def by_forger(folders: Sequence[Path | str]) -> dict[str, list[Path]]:
    """Folders of notebook 05 by the forger whose edits they keep."""
    groups: dict[str, list[Path]] = {}
    for folder in map(Path, folders):
        groups.setdefault(_axis_of(folder, "forger"), []).append(folder)
    return groups


def chain_strip(folders: Sequence[Path | str], count: int = 2) -> Figure:
    """Photo, disrupted photo and purified photo, each with the same deepfake of it: `count` rows for each forger.

    Args:
        folders: of notebook 05; the first of each forger is shown.
    """
    titles = {
        "photo": "photo", "fake": "its deepfake", "disrupted": "disrupted", "broken": "its deepfake",
        "purified": "purified", "recovered": "its deepfake",
    }  # fmt: skip
    rows = {}
    for forger, (first, *_) in by_forger(folders).items():
        kept = _examples(first)
        for i in range(min(count, len(kept["photo"]))):
            rows[forger_label(forger) + " " * i] = [kept[name][i] for name in titles]
    return strips(rows, list(titles.values()))


def purifier_strip(folders: Sequence[Path | str]) -> Figure:
    """One photo: disrupted, then as each purifier leaves it, above the edit of each; folders of one forger."""
    kept = {_purifier_of(folder): _examples(folder) for folder in folders}
    first = next(iter(kept.values()))
    photos = [first["photo"][0], first["disrupted"][0], *(e["purified"][0] for e in kept.values())]
    edits = [first["fake"][0], first["broken"][0], *(e["recovered"][0] for e in kept.values())]
    titles = ["clean", "disrupted", *(textwrap.fill(purifier_label(name), 14) for name in kept)]
    return strips({"photo": photos, "its edit": edits}, titles)


def difference_strip(folders: Sequence[Path | str], eps: float = 0.025, fake_eps: float = 0.25) -> Figure:
    """One photo and its edit through the chain of each purifier; below each image what changed, made visible.

    Photos are compared with the clean photo (black and white at -eps and +eps), edits with the clean edit (fake_eps).
    """
    names = ["photo", "disrupted", "purified", "fake", "broken", "recovered"]
    rows = {}
    for folder in folders:
        kept = {name: images[0] for name, images in _examples(folder).items()}
        purifier = textwrap.fill(purifier_label(_purifier_of(folder)), 18)
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
    return _axis_of(folder, "purifier")


def _axis_of(folder: Path | str, axis: str) -> str:
    return pd.read_csv(Path(folder) / "results.csv")[axis].iloc[0]
