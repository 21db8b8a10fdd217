"""What the originals' defects change: a number as published beside the corrected one.

Each source's file holds its own DEFECTS.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from antidisrupt_lib.claims.table import sources
from antidisrupt_lib.metrics.results import pick

PGD = {"stage": "disrupt", "attack": "pgd", "purifier": None}
PURIFIED = {"stage": "purify", "attack": "pgd"}


@dataclass(frozen=True)
class Defect:
    """A defect, the metric it shows in, the axes of its two rows; `published_metric` where the metric is at fault."""

    section: str
    text: str
    metric: str
    published: dict
    corrected: dict
    published_metric: str = ""


def find_defects() -> list[Defect]:
    """The defects of all sources."""
    return [defect for module in sources().values() for defect in getattr(module, "DEFECTS", ())]


def defects_table(results: pd.DataFrame) -> pd.DataFrame:
    """A row per defect whose two numbers were measured and are defined, and their difference."""
    rows = []
    for defect in find_defects():
        published = pick(results, metric=defect.published_metric or defect.metric, **defect.published)["value"]
        corrected = pick(results, metric=defect.metric, **defect.corrected)["value"]
        both = [*published[:1], *corrected[:1]]
        if len(both) == 2 and np.isfinite(both).all():
            before, after = both
            numbers = {"as_published": before, "corrected": after, "difference": before - after}
            rows.append({"section": defect.section, "defect": defect.text, "metric": defect.metric} | numbers)
    return pd.DataFrame(rows, columns=["section", "defect", "metric", "as_published", "corrected", "difference"])
