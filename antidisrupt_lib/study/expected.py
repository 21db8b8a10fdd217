"""Expected numbers of a study, and whether those of a run are the same.

A file of expected numbers is a results table with a column `tolerance`: by how much a value may differ on another
machine, where sums are taken in another order. Beyond it, a value inside the expected 95 % interval decides nothing,
and one outside fails. Seconds are no results.
"""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

NUMBERS = ("value", "low", "high", "n", "tolerance")
TOLD = (*NUMBERS, "unit", "over", "note")  # the other columns say what a row is about
TOLERANCES = {"share": 0.01, "difference of shares": 0.01, "dB": 0.1}  # by the beginning of the unit
RELATIVE = 0.01  # tolerance of other values
Row = dict[str, str]


def read_numbers(path: Path) -> dict[tuple, Row]:
    """The rows of a results table by what they are about, without seconds.

    Raises:
        ValueError: it is no such table, or two rows are about the same.
    """
    rows: dict[tuple, Row] = {}
    for row in _read_rows(path):
        about = tuple((name, text) for name, text in row.items() if name and name not in TOLD and text)
        if row["unit"] == "s":
            continue
        if about in rows:
            raise ValueError(f"{path} tells of {in_words(about)} twice. Make it anew.")
        rows[about] = row
    return rows


def _read_rows(path: Path) -> list[Row]:
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = [line for line in file if not line.startswith("#")]
    try:
        reader = csv.DictReader(lines)
        if not {"metric", "value", "unit"} <= set(reader.fieldnames or ()):
            raise csv.Error("it has no columns metric, value and unit")
        return list(reader)
    except csv.Error as error:
        raise ValueError(f"{path} is no table of results: {error}.") from error


def write_expected(results: Path, place: Path, made_by: str) -> Path:
    """Make a finished study's numbers the expected ones.

    Args:
        made_by: commit and command, for the file's first line.
    """
    rows = list(read_numbers(results).values())
    for row in rows:
        row["tolerance"] = f"{_tolerance(row):.6g}"
    place.parent.mkdir(parents=True, exist_ok=True)
    with open(place, "w", newline="", encoding="utf-8") as file:
        file.write(f"# {made_by}\n")
        table = csv.DictWriter(file, list(rows[0]) if rows else ["metric", *TOLD], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    return place


def _tolerance(row: Row) -> float:
    value = _number(row, "value")
    known = next((most for unit, most in TOLERANCES.items() if row["unit"].startswith(unit)), None)
    return known if known is not None else 0.0 if math.isnan(value) else abs(value) * RELATIVE


def compare_with_expected(results: Path, expected: Path) -> Iterator[tuple[bool, str]]:
    """(whether it fails, in words) for each number that isn't the expected one."""
    found, wanted = read_numbers(results), read_numbers(expected)
    for about in wanted.keys() - found.keys():
        yield True, f"{in_words(about)}: expected {wanted[about]['value'] or 'undefined'}, and not there"
    for about in found.keys() - wanted.keys():
        yield False, f"{in_words(about)}: nothing is expected"
    for about in wanted.keys() & found.keys():
        value, want = _number(found[about], "value"), _number(wanted[about], "value")
        if _same(value, want, _number(wanted[about], "tolerance")):
            continue
        inside = _number(wanted[about], "low") <= value <= _number(wanted[about], "high")
        text = f"{in_words(about)}: {value:.6g}, expected {want:.6g} within {wanted[about].get('tolerance')}"
        yield not inside, text + (", still inside its interval" if inside else "")


def _same(one: float, other: float, tolerance: float) -> bool:
    both_undefined = math.isnan(one) and math.isnan(other)
    return both_undefined or one == other or abs(one - other) <= tolerance


def _number(row: Row, name: str) -> float:
    """A number of a row; NaN where there is none."""
    try:
        return float(row.get(name) or "nan")
    except ValueError:
        return math.nan


def agree(one: Row, other: Row) -> bool:
    """Whether two measurements are one: equal to the last digits, or with intervals that overlap."""
    a, b = _number(one, "value"), _number(other, "value")
    low, high = max(_number(one, "low"), _number(other, "low")), min(_number(one, "high"), _number(other, "high"))
    return _same(a, b, 1e-9 * max(abs(a), abs(b), 1)) or low <= high


def in_words(about: tuple) -> str:
    """'metric=psnr, stage=disrupt, attack=pgd', the metric first."""
    return ", ".join(f"{name}={text}" for name, text in sorted(about, key=lambda pair: pair[0] != "metric"))
