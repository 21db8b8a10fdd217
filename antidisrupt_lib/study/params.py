"""What a study file asks for and what a notebook declares, both checked before anything runs.

A notebook declares its parameters in its first code cell, tagged `parameters`: plain literal assignments, annotated or
not. A parameter whose default lies under ../outputs/notebooks/ is an input, `out` is where the notebook writes, and all
others are plain values.
"""

import ast
import difflib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import TypeAdapter, ValidationError

BY_HAND = "../outputs/notebooks/"  # where notebooks read and write when a person opens them
EVALUATION = "08_evaluate"  # the stage whose results are the study's, unless its file names another: `results: STAGE`
RESERVED = ("notebook", "grid", "skip", "only", "threads")
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


@dataclass(frozen=True)
class Notebook:
    """A notebook and the parameters that it declares."""

    path: Path
    parameters: dict[str, Parameter]


@dataclass(frozen=True)
class StudyFile:
    """A study as its file states it: stages by name, each a table of reserved keys and parameters.

    `evaluation` is the stage whose results.csv is the study's.
    """

    name: str
    threads: int
    evaluation: str
    common: dict[str, object]
    stages: dict[str, dict[str, object]]


# Study files


def read_study(path: Path | str, assignments: Iterable[str] = (), overrides: Path | str | None = None) -> StudyFile:
    """Read a study file, change every stage as `overrides` says of its notebook, and apply `stage.name=value` texts.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its layout is wrong; the text says where.
    """
    path = Path(path)
    raw = _read_tables(path)
    study = StudyFile(
        raw.get("study"), raw.get("threads", 1), raw.get("results", EVALUATION), raw["common"], raw["stages"]
    )
    for notebook, values in read_overrides(overrides).items() if overrides else ():
        for name, stage in study.stages.items():
            if stage.get("notebook", name) == notebook:
                study.stages[name] = _overridden(stage, values)
    for assignment in assignments:
        _assign(study, assignment)
    _check_names(study, path)
    return study


def _read_tables(path: Path, above: tuple[Path, ...] = ()) -> dict:
    """A study file's tables, with those of its `base` file below: a stage keeps what isn't set anew."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no study file {path}. Give one of params/, or write your own.")
    if path.resolve() in above:
        raise ValueError(f"{path} builds on itself through its `base`. Let one of these files stand alone.")
    raw = _mapping(_parse_yaml(path.read_text(encoding="utf-8"), path), str(path))
    require_known(raw, ("study", "base", "threads", "results", "common", "stages"), f"{path}, top level")
    raw["common"] = _mapping(raw.get("common", {}), f"{path}, common")
    stages = _mapping(raw.get("stages"), f"{path}, stages")
    raw["stages"] = {name: _mapping(stage or {}, f"{path}, stage {name}") for name, stage in stages.items()}
    if "base" not in raw:
        return raw
    base = _read_tables(path.parent / str(raw.pop("base")), (*above, path.resolve()))
    merged = base["stages"] | {name: base["stages"].get(name, {}) | stage for name, stage in raw["stages"].items()}
    return base | raw | {"common": base["common"] | raw["common"], "stages": merged}


def _overridden(stage: dict, values: dict) -> dict:
    """The stage with other values, also on those axes of its grid that it has."""
    axes, given = (_mapping(table.get("grid", {}), "grid") for table in (stage, values))
    grid = {axis: given.get(axis, own) for axis, own in axes.items()}
    single = {name: value for name, value in values.items() if name != "grid" and name not in grid}
    return stage | single | ({"grid": grid} if grid else {})


def read_overrides(path: Path | str) -> dict[str, dict]:
    """{notebook: values} of a file of overrides, for the stages of any study that run these notebooks.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no table of tables.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of overrides {path}. See params/overrides/.")
    tables = _mapping(_parse_yaml(path.read_text(encoding="utf-8"), path), str(path))
    return {name: _mapping(values, f"{path}, notebook {name}") for name, values in tables.items()}


def _check_names(study: StudyFile, path: Path) -> None:
    if not is_file_safe(study.name) or study.name == "notebooks":
        raise ValueError(
            f"{path}: `study: {study.name}` can't name the study's folder. Use letters, digits and -_. (and not "
            "`notebooks`: there, notebooks write when they are opened by hand)."
        )
    for name in study.stages:
        if not isinstance(name, str) or not re.fullmatch(r"(?!report$)\w[\w-]*", name):
            raise ValueError(f"{path}: {name!r} can't name a stage. Use letters, digits, - and _ (and not `report`).")


def _assign(study: StudyFile, text: str) -> None:
    """Carry out one `--set stage.name=value`; `common.name=value` sets a common value."""
    target, equals, value = text.partition("=")
    stage, dot, name = target.partition(".")
    if not (equals and dot and name):
        raise ValueError(f"--set {text}: write it as stage.name=value, e.g. --set 04_disrupt.eps=0.05.")
    tables = study.stages | {"common": study.common}
    require_known([stage], tables, f"--set {text}", "stage")
    tables[stage][name] = _parse_yaml(value, f"--set {text}")


def _parse_yaml(text: str, where: object) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is no valid YAML: {' '.join(str(error).split())}.") from error


def _mapping(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected names with values, found {value!r}. See params/quick.yaml.")
    return value


# Notebooks


def code_cells(path: Path) -> list[dict]:
    """The code cells of a notebook file, as it stores them, each `source` one string.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: the file is no notebook.
    """
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.ipynb"))
        raise FileNotFoundError(f"There is no notebook {path}. {suggestion(path.stem, known)}")
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no readable notebook ({error!r}). Restore it, e.g. with git checkout.") from error
    return [cell | {"source": "".join(cell["source"])} for cell in cells if cell["cell_type"] == "code"]


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
    except (ValueError, SyntaxError) as error:
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
    if unknown or any(isinstance(node, ast.Call | ast.Attribute) for node in ast.walk(annotation)):
        raise ValueError(f"the annotation `{ast.unparse(annotation)}` is not made of {', '.join(TYPES)} and None")
    return eval(ast.unparse(annotation), {"__builtins__": {}}, TYPES)


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
            f"{where}: `{parameter.name}` is {value!r}, which JSON can't hold. Use finite numbers, text, true, false, "
            "null, and lists and tables of these."
        )
    try:
        return TypeAdapter(parameter.type).validate_python(value, strict=True)
    except ValidationError as error:
        name = getattr(parameter.type, "__name__", None) if isinstance(parameter.type, type) else None
        hint = " YAML reads 1e-4 as text: write 1.0e-4." if isinstance(value, str) and _is_number(value) else ""
        raise ValueError(
            f"{where}: `{parameter.name}` must be {name or parameter.type}, and {value!r} is not "
            f"({error.errors()[0]['msg']}).{hint}"
        ) from error


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
    """Whether a value can be (part of) a folder's name on every system."""
    return isinstance(value, str | int | float) and re.fullmatch(r"[\w+-][\w.+-]*", str(value)) is not None


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
