"""What a notebook declares, and the checks of values against it before anything runs.

A notebook declares its parameters in its first code cell, tagged `parameters`: plain literal assignments, annotated or
not. A parameter whose default lies under ../outputs/notebooks/ is an input, `out` is where the notebook writes, and all
others are plain values.
"""

import ast
import difflib
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from antidisrupt_lib.plug_ins import short_name
from antidisrupt_lib.study.paths import names_path
from antidisrupt_lib.study.yaml_files import shown

BY_HAND = "../outputs/notebooks/"  # where notebooks read and write when a person opens them
RESERVED = ("notebook", "grid", "skip", "only", "threads", "time_limit")
PLAIN = (
    ast.Name, ast.Load, ast.Constant, ast.Subscript, ast.Tuple, ast.BinOp, ast.BitOr, ast.UnaryOp, ast.USub
)  # what types are written with  # fmt: skip
TYPES = {t.__name__: t for t in (int, float, str, bool, list, dict)} | {"Any": Any, "Literal": Literal}


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook; `type` is anything that pydantic can check."""

    name: str
    default: object
    type: object

    @property
    def is_input(self) -> bool:
        """Whether the notebook reads another stage's result through this parameter."""
        leaves = list(self.default.values()) if isinstance(self.default, dict) else self.default
        leaves = leaves if isinstance(leaves, list) else [leaves]
        by_hand = [isinstance(leaf, str) and leaf.startswith(BY_HAND) for leaf in leaves]
        return self.name != "out" and bool(by_hand) and all(by_hand)

    @property
    def is_path(self) -> bool:
        """Whether its value, or each text in it, names a file or folder of the user's."""
        return names_path(self.name) and not self.is_input


@dataclass(frozen=True)
class Notebook:
    """A notebook and the parameters that it declares."""

    path: Path
    parameters: dict[str, Parameter]


def code_cells(path: Path) -> list[dict]:
    """The code cells of a notebook file, as it stores them, each `source` one string.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: the file is no notebook.
    """
    if not os.path.isfile(path):  # unlike Path.is_file, false of a name that is too long
        known = sorted(other.stem for other in path.parent.glob("*.ipynb"))
        raise FileNotFoundError(f"There is no notebook {path}. {suggestion(path.stem, known)}")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [cell | {"source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == "code"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no readable notebook ({error!r}). Restore it, e.g. with git checkout.") from error


def read_notebook(path: Path) -> Notebook:
    """Read the parameters that a notebook declares.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: its first code cell is not tagged `parameters`, or holds more than literal assignments.
    """
    cells = code_cells(path)
    if not cells or "parameters" not in cells[0].get("metadata", {}).get("tags", []):
        raise ValueError(f"{path}: its first code cell must declare its parameters and be tagged `parameters`.")
    try:
        statements = ast.parse(cells[0]["source"]).body
        declared = [_declaration(statement) for statement in statements]
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:  # Python's parser, of deep brackets
        raise ValueError(
            f"{path}, parameters cell: {error}. Only `name = literal` and `name: type = literal` may stand there."
        ) from error
    parameters = {p.name: Parameter(p.name, check(p, p.default, str(path)), p.type) for p in declared}
    if "out" not in parameters:
        raise ValueError(f'{path} declares no `out`. Add `out: str = "{BY_HAND}{path.stem}"` to its parameters.')
    return Notebook(path, parameters)


def _declaration(statement: ast.stmt) -> Parameter:
    match statement:
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as value):
            return Parameter(name, ast.literal_eval(value), _annotated_type(annotation))
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            default = ast.literal_eval(value)
            return Parameter(name, default, _type_of(default))
    raise ValueError(f"line {statement.lineno}, `{ast.unparse(statement)}`, declares no parameter")


def _annotated_type(annotation: ast.expr) -> object:
    unknown = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)} - TYPES.keys()
    if unknown or not all(isinstance(node, PLAIN) for node in ast.walk(annotation)):
        raise ValueError(f"the annotation `{ast.unparse(annotation)}` is not made of {', '.join(TYPES)} and None")
    return eval(ast.unparse(annotation), {"__builtins__": {}}, TYPES)  # noqa: S307 (of PLAIN nodes alone)


def _type_of(default: object) -> object:
    if default is None:
        return Any
    if isinstance(default, list) and default:
        return list[reduce(or_, map(_type_of, default))]
    if isinstance(default, dict) and default:
        return dict[str, reduce(or_, map(_type_of, default.values()))]
    return type(default)


# Checks


def check(parameter: Parameter, value: object, where: str) -> object:
    """The value as the parameter's type (an int becomes a float where one is declared).

    Raises:
        ValueError: it is not plain and finite, or of another type; the text names `where`.
    """
    if not _is_plain(value):
        raise ValueError(
            f"{where}: `{parameter.name}` is {shown(value)}, which JSON can't hold. Use finite numbers, text, true, "
            "false, null, and lists and tables of these."
        )
    try:
        return TypeAdapter(parameter.type).validate_python(value, strict=True)
    except ValidationError as error:
        name = getattr(parameter.type, "__name__", None) if isinstance(parameter.type, type) else None
        raise ValueError(
            f"{where}: `{parameter.name}` must be {name or parameter.type}, and {shown(value)} is not "
            f"({error.errors()[0]['msg']}).{_hint(value)}"
        ) from error


def _hint(value: object) -> str:
    """What to write instead of a text that isn't what it looks like."""
    if not isinstance(value, str):
        return ""
    if value.lower() in ("yes", "no", "on", "off"):
        return " Write true or false: the others are texts."
    return " Write the number without quotes and underscores." if _is_number(value) else ""


def _is_plain(value: object) -> bool:
    match value:
        case None | bool() | int() | str():
            return True
        case float():
            return math.isfinite(value)
        case list():
            return all(map(_is_plain, value))
        case dict():
            return all(isinstance(name, str) for name in value) and all(map(_is_plain, value.values()))
    return False


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def is_file_safe(value: object) -> bool:
    """Whether a value can be (part of) a folder's name on every system; the user's code goes by its callable's."""
    text = short_name(str(value))
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", text, re.IGNORECASE)  # Windows's devices
    fits = re.fullmatch(r"[\w+-]([\w.+-]*[\w+-])?", text) is not None
    return isinstance(value, str | int | float) and fits and not reserved


def folder_names(values: Iterable[object]) -> set[str]:
    """The names that values give folders, alike where a file system takes no notice of case or composition."""
    return {unicodedata.normalize("NFC", short_name(str(value))).casefold() for value in values}


def require_known(names: Iterable[str], known: Iterable[str], where: str, what: str = "name") -> None:
    """Refuse the first name that is not known, with the nearest one that is.

    Raises:
        ValueError: a name is unknown.
    """
    known = list(known)
    for name in names:
        if name not in known:
            raise ValueError(f"{where}: there is no {what} `{name}`. {suggestion(str(name), known)}")


def suggestion(name: str, known: list[str]) -> str:
    """'Did you mean ...?' with all that could have been meant."""
    nearest = difflib.get_close_matches(name, known, 1, cutoff=0)
    return f"Did you mean `{nearest[0]}`? There are: {', '.join(known)}." if nearest else "There are none."
