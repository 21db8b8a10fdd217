"""Attribute tables: text in any common encoding and dialect to a table of image_id, 0/1 attributes and identity.

Every cell is read as it stands; one that could mean two things is refused with its file, column and row. Rows are
counted as a spreadsheet counts them: the header is row 1.
"""

import codecs
import csv
import io
import re
from itertools import islice
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

BYTE_CAP = 2**27  # of a table: CelebA's has 25 MiB
NAME_CAP = 1000  # characters of an image's path
COLUMN_CAP, ROW_CAP = 2000, 2_000_000
OWN = ("image_id", "identity")  # the columns that are no attributes
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LABELS = {"1": 1, "true": 1, "yes": 1, "0": 0, "-0": 0, "false": 0, "no": 0, "-1": -1}
EMPTY = {"", "nan", "na", "n/a", "<na>", "none", "null"}
MARKS = {  # byte order marks; UTF-32's little-endian one begins with UTF-16's
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, in UTF-16 or 32, or else in Windows' Western European (cp1252, almost Latin-1).

    Raises:
        ValueError: it's in none of these, or longer than any table of faces.
    """
    if (size := path.stat().st_size) > BYTE_CAP:
        raise ValueError(f"{path} has {size:,} bytes, more than {BYTE_CAP:,}. Give a table of fewer faces.")
    content = path.read_bytes()
    marked = next((name for mark, name in MARKS.items() if content.startswith(mark)), None)
    unmarked = "utf-16-be" if content[:1] == b"\0" else "utf-16-le" if content[1:2] == b"\0" else None
    for encoding in [marked or unmarked] if marked or unmarked else ["utf-8", "cp1252"]:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at byte {error.start}"
    raise ValueError(f"{path} is no text in UTF-8, UTF-16 or cp1252 ({reason}). Save it as UTF-8.")


def read_attributes(path: Path) -> pd.DataFrame:
    """Read a table with a header: a column `image_id`, attributes, and `identity`, if there are identities.

    Separated by commas, semicolons, tabs or bars; quoted or not; spaces around cells don't count. Attributes are read
    by `read_labels`, identities by `read_identities`.

    Returns:
        image_id as str, with the path's parts separated by "/"; attributes as int8, 0 or 1; identity as int64, where
        all are whole numbers, else as str.

    Raises:
        ValueError: something is missing, double, or has no plain meaning; the text names the file, column and row.
    """
    cells = _read_cells(path)
    table = pd.DataFrame({"image_id": read_ids(cells["image_id"], path)}, index=cells.index)
    for name in cells.columns.drop(list(OWN), errors="ignore"):
        table[name] = read_labels(cells[name], path)
    if "identity" in cells:
        table["identity"] = read_identities(cells["identity"], path)
    return table[cells.columns].reset_index(drop=True)


def read_ids(cells: pd.Series, path: Path) -> pd.Series:
    """Names of image files, in sub-folders or not, each once; `cells` is indexed by the rows of the file.

    Raises:
        ValueError: one is empty, leads out of the folder, or comes twice.
    """
    _refuse_empty(cells, path)
    ids = cells.map(lambda cell: PurePosixPath(cell).as_posix())
    for row, name in ids.items():
        if len(name) > NAME_CAP:
            raise ValueError(f"{_at(cells, path, row)}: a name of {len(name):,} characters. Give it a shorter one.")
        if name == "." or name.startswith("/") or ".." in name.split("/") or "\0" in name:
            raise ValueError(f"{_at(cells, path, row)}: {name!r} is no path below the folder of the images.")
    if (twice := ids[ids.duplicated()]).size:
        rows = ids.index[ids == twice.iloc[0]]
        raise ValueError(f"{path} lists {twice.iloc[0]} more than once, in rows {rows[0]} and {rows[1]}.")
    return ids


def read_labels(cells: pd.Series, path: Path) -> pd.Series:
    """Attributes as int8, 0 or 1: from 0/1, -1/1, 0.0/1.0, true/false or yes/no.

    Raises:
        ValueError: a cell is something else, or 0 and -1 are both there: one of them may mean "unknown".
    """
    plain = cells.str.lower().str.removeprefix("+").str.replace(r"(?<=\d)[.,]0*$", "", regex=True)
    labels = plain.map(LABELS)
    if labels.isna().any():
        row = labels.index[labels.isna()][0]
        raise ValueError(
            f"{_at(cells, path, row)}: {cells[row]!r} is no label. Column {cells.name} of {path} must hold 0/1 or "
            "-1/1 (also written 0.0/1.0, true/false, yes/no) in every row."
        )
    if {-1, 0} <= set(labels):
        row = max((labels == label).idxmax() for label in (-1, 0))
        raise ValueError(f"{_at(cells, path, row)}: {cells[row]!r}, though the column holds both 0 and -1. Use one.")
    return (labels > 0).astype(np.int8)


def read_identities(cells: pd.Series, path: Path) -> pd.Series:
    """Identities as int64, where all are whole numbers (1.0 is 1, but 007 is a name), else as str.

    Raises:
        ValueError: one is empty (its person might be in two parts), or a number that a spreadsheet has cut short.
    """
    _refuse_empty(cells, path)
    for row in cells.index[cells.str.fullmatch(r"\d+([.,]\d+)?[eE]\+?\d+")]:
        raise ValueError(f"{_at(cells, path, row)}: {cells[row]!r} has lost digits in a spreadsheet. Give it as text.")
    whole = cells.str.replace(r"(?<=\d)[.,]0+$", "", regex=True)
    whole = cells.where(~cells.str.fullmatch(r"-?\d+[.,]0+"), whole)
    return whole.astype(np.int64) if whole.str.fullmatch(r"0|-?[1-9]\d{0,17}").all() else whole


def read_celeba_attributes(path: Path) -> pd.DataFrame:
    """CelebA's list of attributes: a line of the count, a line of names, and rows of an image and its -1/1.

    Returns:
        As `read_attributes` does, without identities.

    Raises:
        ValueError: the count, the names and the rows disagree, or a row holds something else.
    """
    lines = read_text(path).split("\n", 2)
    if len(lines) < 3 or not lines[0].strip().isdigit():
        raise ValueError(f"{path} must begin with a line of the count and a line of names.")
    names = lines[1].split()
    _refuse_wide(len(names), path)
    table = _read_columns(path, lines[2])
    if table.shape != (int(lines[0]), len(names)) or len(set(names)) < len(names):
        raise ValueError(
            f"{path} announces {int(lines[0])} images and {len(names)} attributes, but holds {table.shape[0]} rows of "
            f"{table.shape[1]}. The file is cut off or was edited: get it again."
        )
    if not (fine := table.isin([-1, 1]).all(axis=1)).all():
        raise ValueError(f"{path}: the row of {table.index[~fine][0]} must hold -1 or 1 only. Get it again.")
    ids = read_ids(pd.Series(table.index, index=range(3, len(table) + 3), name="image_id"), path)
    return (table > 0).astype(np.int8).set_axis(names, axis=1).set_axis(ids, axis=0).reset_index(names="image_id")


def read_celeba_column(path: Path, ids: pd.Series) -> pd.Series:
    """What CelebA's list of identities or of parts says of the images `ids`: rows of an image and a number.

    In Kaggle's form it is a table with a header, `image_id` and one column more.

    Raises:
        ValueError: an image has no row, or two.
    """
    if path.suffix == ".csv":
        values = _read_cells(path)
        names = values.pop("image_id")
    else:
        values = _read_columns(path, read_text(path), dtype=str).fillna("").rename(columns={1: "identity"})
        names = pd.Series(values.index, range(1, len(values) + 1), name="image_id")
        values = values.set_axis(names.index)
    if not ids.isin(names).all() or values.shape[1] != 1:
        raise ValueError(f"{path} lacks rows for some images of CelebA's attributes. Get it again.")
    numbers = read_identities(values.iloc[:, 0], path)
    return numbers.set_axis(read_ids(names, path)).loc[ids].reset_index(drop=True)


def _read_columns(path: Path, text: str, dtype: type | None = None) -> pd.DataFrame:
    """Columns between any spaces, without a header; the first, str, is the index."""
    kinds = dtype or {0: str}
    try:
        return pd.read_csv(io.StringIO(text), sep=r"\s+", header=None, index_col=0, dtype=kinds, skip_blank_lines=True)
    except pd.errors.ParserError as error:
        raise ValueError(f"{path}: {str(error).split(': ')[-1].strip()}. Get it again.") from error


def _read_cells(path: Path) -> pd.DataFrame:
    """All cells as stripped str, indexed by their rows, with the columns that have names."""
    (first, header), *body = list(_split_rows(path).items()) or [(1, [])]
    _refuse_wide(len(header), path)
    header = [name.lower() if name.lower() in OWN else name for name in header]
    if "image_id" not in header:
        raise ValueError(
            f"{path} needs a column image_id; it has {', '.join(header) or 'nothing'}. Its first row must name the "
            f"columns, with a {', a '.join(SEPARATORS.values())} between them."
        )
    if odd := [(row, len(cells)) for row, cells in body if len(cells) != len(header)]:
        raise ValueError(f"{path}, row {odd[0][0]}: {odd[0][1]} cells, but row {first} names {len(header)} columns.")
    table = pd.DataFrame([cells for _, cells in body], index=[row for row, _ in body], columns=header, dtype=str)
    if (twice := table.columns[table.columns.duplicated() & (table.columns != "")]).size:
        raise ValueError(f"{path} has two columns {twice[0]}. Keep one of them.")
    if not len(table):
        raise ValueError(f"{path} has no rows below its header.")
    if "" in header:
        print(f"left out: column {header.index('') + 1} of {path.name}, which has no name")
    return table.drop(columns="", errors="ignore")


def _refuse_wide(columns: int, path: Path) -> None:
    if columns > COLUMN_CAP:
        raise ValueError(f"{path} names {columns:,} columns, more than {COLUMN_CAP:,}. Keep those that are needed.")


def _split_rows(path: Path) -> dict[int, list[str]]:
    """The rows that hold anything, by their numbers, as stripped cells."""
    text = read_text(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), skipinitialspace=True)
    try:
        rows = {row: [cell.strip() for cell in cells] for row, cells in enumerate(islice(reader, ROW_CAP), 1)}
        if next(reader, None) is not None:
            raise ValueError(f"{path} has more than {ROW_CAP:,} rows. Give a table of fewer faces.")
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}. Look for a quote that isn't closed.") from error
    if torn := next((row for row, cells in rows.items() if any("\n" in cell for cell in cells)), None):
        raise ValueError(f"{path}, row {torn}: a line break inside a cell. Look for a quote that isn't closed.")
    return {row: cells for row, cells in rows.items() if any(cells)}


def _separator(text: str) -> str:
    """The separator by which the first line has a column image_id; a comma, if none does."""
    for separator in SEPARATORS:
        first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0][: csv.field_size_limit()]
        header = next(csv.reader([first], delimiter=separator, skipinitialspace=True), [])
        if "image_id" in [name.strip().lower() for name in header]:
            return separator
    return ","


def _refuse_empty(cells: pd.Series, path: Path) -> None:
    for row in cells.index[cells.str.lower().isin(EMPTY)]:
        hint = " Fill it in, or leave the column out: each photo is then a person of its own."
        raise ValueError(f"{_at(cells, path, row)}: {cells[row]!r}.{hint if cells.name == 'identity' else ''}")


def _at(cells: pd.Series, path: Path, row: int) -> str:
    return f"{path}, column {cells.name}, row {row}"
