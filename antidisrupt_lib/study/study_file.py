"""Study files: what a study asks for, as its file and the command line say it."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from antidisrupt_lib.study.params import is_file_safe, require_known
from antidisrupt_lib.study.paths import (
    absolute,
    is_fixed,
    located,
    names_path,
    names_paths,
    portable,
    require_text,
    with_code,
)
from antidisrupt_lib.study.yaml_files import parse_yaml, read_yaml, shown

EVALUATION = "08_evaluate"  # the stage whose results are the study's, unless its file names another: `results: STAGE`
TOP = ("study", "base", "note", "threads", "time_limit", "results", "common", "stages")


@dataclass(frozen=True)
class StudyFile:
    """A study as its file states it: stages by name, each a table of reserved keys and parameters.

    `note` is for readers of its results, `evaluation` the stage whose results.csv is the study's, `time_limit` the
    seconds that a node may take, if there is a limit. What may be a path is a PathText.
    """

    path: Path
    name: str
    note: str
    threads: int
    time_limit: float | None
    evaluation: str
    common: dict[str, object]
    stages: dict[str, dict[str, object]]


def read_study(
    path: Path | str, assignments: Iterable[str] = (), overrides: Path | None = None, faces: Path | None = None
) -> StudyFile:
    """Read a study file, change every stage as `overrides` says of its notebook, and apply `stage.name=value` texts.

    Args:
        assignments: their paths are relative to where the user stands.
        faces: the folder that stage 01_split reads, if not the file's.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: its layout is wrong; the text says where.
    """
    path = Path(path)
    raw = _read_tables(path)
    study = StudyFile(
        path, raw.get("study"), raw.get("note", ""), raw.get("threads", 1), raw.get("time_limit"),
        raw.get("results", EVALUATION), raw["common"], raw["stages"],
    )  # fmt: skip
    for notebook, values in read_overrides(overrides).items() if overrides else ():
        for name, stage in study.stages.items():
            if stage.get("notebook", name) == notebook:
                study.stages[name] = _overridden(stage, values)
    for assignment in assignments:
        _assign(study, assignment)
    if faces is not None:
        require_text(faces)
        _set(study, "01_split", "faces", str(absolute(faces)), f"--faces {faces}")
    _check_names(study)
    if not isinstance(study.note, str):
        raise ValueError(f"{path}: `note: {shown(study.note)}` is no text.")
    return study


def _read_tables(path: Path, above: tuple[Path, ...] = ()) -> dict:
    """A study file's tables, with those of its `base` file below: a stage keeps what isn't set anew."""
    require_text(path)
    if not os.path.isfile(path):  # unlike Path.is_file, false of a name that is too long
        raise FileNotFoundError(f"There is no study file {path}. Give one of params/, or write your own.")
    if path.resolve() in above:
        raise ValueError(f"{path} builds on itself through its `base`. Let one of these files stand alone.")
    raw = _table(read_yaml(path), str(path))
    require_known(raw, TOP, f"{path}, top level")
    folder = absolute(path.parent)
    raw["common"] = _read_values(raw.get("common"), f"{path}, common", folder)
    stages = _table(raw.get("stages"), f"{path}, stages")
    raw["stages"] = {name: _read_values(stage, f"{path}, stage {name}", folder) for name, stage in stages.items()}
    if "base" not in raw:
        return raw
    base = raw.pop("base")
    if not isinstance(base, str):
        raise ValueError(f"{path}: `base: {shown(base)}` names no study file. Write it as text, e.g. quick.yaml.")
    below = _read_tables(path.parent / os.path.expanduser(base), (*above, path.resolve()))
    merged = below["stages"] | {name: below["stages"].get(name, {}) | stage for name, stage in raw["stages"].items()}
    return below | raw | {"common": below["common"] | raw["common"], "stages": merged}


def _read_values(values: object, where: str, folder: Path) -> dict[str, object]:
    return located(_table({} if values is None else values, where), folder)


def _overridden(stage: dict, values: dict) -> dict:
    """The stage with other values, also on those axes of its grid that it has."""
    axes, given = (_table(table.get("grid", {}), "grid") for table in (stage, values))
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
    require_text(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file of overrides {path}. See params/overrides/.")
    tables, folder = _table(read_yaml(path), str(path)), absolute(path.parent)
    return {name: _read_values(values, f"{path}, notebook {name}", folder) for name, values in tables.items()}


def _check_names(study: StudyFile) -> None:
    if not isinstance(study.name, str) or not is_file_safe(study.name) or study.name == "notebooks":
        raise ValueError(
            f"{study.path}: `study: {shown(study.name)}` can't name the study's folder. Use a text of letters, digits "
            "and -_. (and not `notebooks`: there, notebooks write when they are opened by hand)."
        )
    if not study.stages:
        raise ValueError(f"{study.path} has no stages. See params/quick.yaml.")
    for name in study.stages:
        if not re.fullmatch(r"(?!report$)\w[\w-]*", name) or not is_file_safe(name):
            raise ValueError(
                f"{study.path}: {shown(name)} can't name a stage. Use letters, digits, - and _ (and not `report`)."
            )


def _assign(study: StudyFile, text: str) -> None:
    """Carry out one `--set stage.name=value`; `common.name=value` sets a common value."""
    _set(study, *_read_assignment(text), f"--set {text}")


def _set(study: StudyFile, stage: str, name: str, value: object, where: str) -> None:
    tables = study.stages | {"common": study.common}
    require_known([stage], tables, where, "stage")
    tables[stage] |= located({name: value}, Path.cwd())


def _read_assignment(text: str) -> tuple[str, str, object]:
    """The (stage, name, value) of `stage.name=value`; what must be a path is taken as it is, unless it is in quotes."""
    target, equals, value = text.partition("=")
    stage, dot, name = target.partition(".")
    if not (equals and dot and name):
        raise ValueError(f"--set {text}: write it as stage.name=value, e.g. --set 04_disrupt.eps=0.05.")
    require_text(text)
    if names_path(name) and not names_paths(name) and not re.fullmatch(r"(['\"]).*\1", value, re.DOTALL):
        return stage, name, value
    return stage, name, parse_yaml(value, f"--set {text}")


def said_in(assignment: str, folder: Path) -> str:
    """An assignment that means in `folder` what the given one means where the user stands."""
    stage, name, value = _read_assignment(assignment)
    if (there := with_code(value, lambda path: portable(path, folder))) != value:
        return f"{stage}.{name}={json.dumps(there)}"
    if not names_path(name) or not isinstance(value, str) or is_fixed(value):
        return assignment
    return f"{stage}.{name}={portable(value, folder)}"


def _table(value: object, where: str) -> dict:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: expected names with values, found {shown(value)}. See params/quick.yaml.")
    return value
