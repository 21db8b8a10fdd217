"""How figures look, and where they and their captions are saved for the report.

Colours: one per arm and one for everything else, from seaborn's palette that colour-blind readers can tell apart.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from IPython.display import Image
from matplotlib.figure import Figure

from antidisrupt_lib.tables import in_words

BLUE, ORANGE, GREEN, VERMILION, PURPLE, BROWN, PINK, GREY, YELLOW, SKY = sns.color_palette("colorblind").as_hex()
ARMS = {"clean": BLUE, "poisoned": VERMILION, "purified": GREEN}
NEUTRAL = "#56748C"
PALETTE = [PURPLE, ORANGE, SKY, BROWN, GREY, "#882255", "#332288", "#444444"]
MARKERS = "osD^vPX*"
SMALL = {"fontsize": 8, "fontweight": "normal"}  # titles of single faces

sns.set_theme(style="ticks", palette="colorblind", rc={
    "figure.dpi": 110, "savefig.dpi": 150, "savefig.bbox": "tight", "font.size": 9, "axes.labelsize": 9,
    "xtick.labelsize": 8, "ytick.labelsize": 8, "legend.fontsize": 8, "axes.titlesize": 10, "axes.titleweight": "bold",
    "axes.spines.top": False, "axes.spines.right": False, "figure.constrained_layout.use": True,
})  # fmt: skip


def arm_colors(rows: pd.DataFrame) -> dict[str, str]:
    """A colour per `label` of some rows: the arm's own for its first label, others of the palette for further ones."""
    spare, colors, taken = iter(PALETTE * len(rows)), {}, set()
    for label, arm in rows[["label", "arm"]].drop_duplicates().itertuples(index=False):
        colors[label] = ARMS[arm] if arm in ARMS and arm not in taken else next(spare)
        taken.add(arm)
    return colors


def save_figure(figure: Figure, out: Path | str, name: str, caption: str) -> Image:
    """Write figures/NAME.png and its caption below `out`, where the report looks for them.

    Returns:
        The picture as notebooks show it, with the caption for those who can't see it.

    >>> ad.save_figure(ad.plots.strips({"photo": x, "disrupted": x_adv}), out, "disruption", "Photos, and disrupted.")
    """
    path = Path(out) / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    plt.close(figure)
    return Image(filename=path, width=round(figure.get_figwidth() * figure.dpi), alt=caption)


def save_table(table: pd.DataFrame, out: Path | str, name: str, caption: str) -> pd.DataFrame:
    """Write tables/NAME.csv, in words for readers, and its caption below `out`; returns the table as it is written.

    >>> ad.save_table(results.round(4), out, "disruption", "What PGD does, with 95 % intervals.")
    """
    path = Path(out) / "tables" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = in_words(table)
    shown.to_csv(path, index=False)
    path.with_suffix(".txt").write_text(caption, encoding="utf-8")
    return shown


def undefined(rows: pd.DataFrame, suffix: str = "") -> str:
    """Why the first value of some results rows that isn't defined has none: "– (the reason)"; "" if all are defined.

    Rows that were never measured have no note.
    """
    lost = rows[rows[f"value{suffix}"].isna()]
    if lost.empty:
        return ""
    note = lost[f"note{suffix}"].iloc[0] if f"note{suffix}" in lost else ""
    return f"– ({note})" if isinstance(note, str) and note else "– (not measured)"
