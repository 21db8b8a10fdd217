"""Published numbers on our axes: each source's file holds its own, in percent, as printed."""

import pandas as pd

COLUMNS = ("detector", "arm", "attack", "purifier", "metric", "text")


def published(text: str) -> pd.DataFrame:
    """A table of COLUMNS from lines of cells between bars; what a source doesn't tell is "" there.

    Numbers that are only remembered are left out.
    """
    cells = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(cells, columns=list(COLUMNS))
