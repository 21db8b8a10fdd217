"""Charts of attacked detectors."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.plots.style import NEUTRAL, PALETTE


def eps_curves(results: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """A metric of white-box attacks against their eps: a panel per detector and kind of attack, a line per defence.

    An attack's name tells its kind and eps: pgd_2_255. The lines are means over seeds, and begin where nobody attacks.
    """
    rows = pick(results, stage="robust", metric=metric, purifier=None, seed=None)
    parts = rows["attack"].str.extract(r"^(?P<kind>[a-z]+)_(?P<levels>[\d.]+)_255$")
    rows = rows.assign(kind=parts["kind"], levels=parts["levels"].astype(float))
    panels = list(rows.dropna(subset="kind")[["detector", "kind"]].drop_duplicates().itertuples(index=False))
    figure, grid = plt.subplots(
        1, max(1, len(panels)), figsize=(3.4 * max(1, len(panels)), 2.8), sharey=True, squeeze=False
    )
    for ax, (detector, kind) in zip(grid[0], panels, strict=False):
        of_panel = pick(rows, detector=detector)
        for arm, color in zip(of_panel["arm"].unique(), [NEUTRAL, *PALETTE], strict=False):
            of_arm = pick(of_panel, arm=arm)
            clean = of_arm[of_arm["attack"].isna()].assign(levels=0.0)
            line = pd.concat([clean, pick(of_arm, kind=kind)]).sort_values("levels")
            ax.plot(line["levels"], line["value"], marker="o", ms=3, color=color, label=arm.replace("_", " "))
            ax.fill_between(line["levels"], line["low"], line["high"], color=color, alpha=0.15, lw=0)
        ax.set(title=f"{detector}: {kind}", xlabel="eps in 8-bit levels", ylim=(-0.02, 1.02))
    grid[0][0].set_ylabel(metric.replace("_", " "))
    grid[0][-1].legend(frameon=False, fontsize=7)
    return figure
