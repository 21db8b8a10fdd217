"""How figures look, and where they and their captions are saved for the report.

Colours: one per arm and one for everything else, from a palette that colour-blind readers can tell apart.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

ARMS = {"clean": "#0072B2", "poisoned": "#D55E00", "purified": "#009E73"}
NEUTRAL = "#56748C"
PALETTE = ["#CC79A7", "#E69F00", "#56B4E9", "#882255", "#117733", "#332288", "#999933", "#444444"]

plt.rcParams.update({
    "figure.dpi": 110, "savefig.dpi": 150, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 10, "axes.titleweight": "bold", "axes.grid": False, "figure.constrained_layout.use": True,
})  # fmt: skip


def arm_colors(rows: pd.DataFrame) -> dict[str, str]:
    """A colour per `label` of some rows: the arm's own for its first label, others of the palette for further ones."""
    spare, colors, taken = iter(PALETTE * len(rows)), {}, set()
    for label, arm in rows[["label", "arm"]].drop_duplicates().itertuples(index=False):
        colors[label] = ARMS[arm] if arm in ARMS and arm not in taken else next(spare)
        taken.add(arm)
    return colors


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


def undefined(rows: pd.DataFrame, suffix: str = "") -> str:
    """Why the first value of some results rows that isn't defined has none: "– (the reason)"; "" if all are defined.

    Rows that were never measured have no note.
    """
    lost = rows[rows[f"value{suffix}"].isna()]
    if lost.empty:
        return ""
    note = lost[f"note{suffix}"].iloc[0] if f"note{suffix}" in lost else ""
    return f"– ({note})" if isinstance(note, str) and note else "– (not measured)"
