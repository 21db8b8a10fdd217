"""Pages whose numbers come from the files of expected numbers: what stands between two marks is made from them.

<!-- numbers of quick: stage=detect metric=accuracy arm=clean seed= -->98.5 % [97.6, 99.3]<!-- end -->

Each word of a mark chooses rows of params/expected/quick.csv by a column's value, or by one of several, `a|b`; an empty
one is that of rows without a value. With `by=forger,arm` it is a table, a row for each of their values and a column for
each metric, above the command and commit that made the numbers.
"""

import math
import re
from pathlib import Path

from antidisrupt_lib.study.expected import Row, read_numbers

MARKED = re.compile(r"(<!-- numbers of (?P<study>[\w-]+):(?P<words>.*?)-->)(?P<text>.*?)(<!-- end -->)", re.DOTALL)
UNITS = {  # by how a unit begins: the factor, the format, and what stands behind the number
    "share": (100, "{:.1f}", " %"),
    "difference of shares": (100, "{:.1f}", " points"),
    "dB": (1, "{:.1f}", " dB"),
}
PLAIN = (1, "{:.3g}", "")
Words = dict[str, list[str]]


def refresh(page: Path, folder: Path) -> bool:
    """Make the numbers of a page those of the files in `folder`; returns whether any were others."""
    text = page.read_text(encoding="utf-8")
    new = filled(text, folder)
    if new != text:
        page.write_text(new, encoding="utf-8")
    return new != text


def filled(text: str, folder: Path) -> str:
    """A page with its numbers made from the files of expected numbers in `folder`.

    Raises:
        ValueError: a mark's words fit no row, or several where one is told.
        OSError: there is no such file.
    """

    def made(mark: re.Match) -> str:
        place = folder / f"{mark['study']}.csv"
        words = {name: value.split("|") for name, _, value in (word.partition("=") for word in mark["words"].split())}
        return f"{mark[1]}{_told(words, place)}{mark[5]}"

    return MARKED.sub(made, text)


def _told(words: Words, place: Path) -> str:
    by = words.pop("by", [""])[0]
    rows = [row for row in read_numbers(place).values() if _fits(row, words)]
    if not by or not rows:
        return _cell(rows, words, place)
    axes = by.split(",")
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    kinds = list(dict.fromkeys(tuple(row.get(axis) or "" for axis in axes) for row in rows))
    lines = [[*axes, *metrics], ["---"] * (len(axes) + len(metrics))]
    for kind in kinds:
        chosen = dict(zip(axes, ([value] for value in kind), strict=True))
        own = [row for row in rows if _fits(row, chosen)]
        known = {row["metric"] for row in own}
        cells = (_cell(own, chosen | {"metric": [metric]}, place) if metric in known else "" for metric in metrics)
        lines.append([*kind, *cells])
    table = "\n".join(f"| {' | '.join(cells)} |".replace("_", " ") for cells in lines)
    with open(place, encoding="utf-8") as file:
        return f"\n\n{table}\n\n{file.readline().removeprefix('#').strip()}\n"


def _fits(row: Row, words: Words) -> bool:
    return all((row.get(name) or "") in values for name, values in words.items())


def _cell(rows: list[Row], words: Words, place: Path) -> str:
    """The one number that these words choose."""
    found = [row for row in rows if _fits(row, words)]
    if len(found) != 1:
        shown = " ".join(f"{name}={'|'.join(values)}" for name, values in words.items())
        raise ValueError(f"{len(found)} numbers of {place} fit `{shown}`. Choose one by further columns.")
    return in_short(found[0])


def in_short(row: Row) -> str:
    """A number with its interval, as pages show it: '98.5 % [97.6, 99.3]', '34.6 dB', '0.0020'; – if undefined."""
    value, low, high = (float(row.get(name) or "nan") for name in ("value", "low", "high"))
    if math.isnan(value):
        return f"– ({row['note']})" if row.get("note") else "–"
    scale, form, unit = next((how for start, how in UNITS.items() if row["unit"].startswith(start)), PLAIN)
    value, low, high = (form.format(scale * number) for number in (value, low, high))
    return f"{value}{unit}" + ("" if low == "nan" else f" [{low}, {high}]")
