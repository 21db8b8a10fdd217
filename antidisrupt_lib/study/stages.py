"""Stages: what a study file says of each, checked against the notebook that it runs."""

from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath

from pydantic import PositiveFloat, PositiveInt

from antidisrupt_lib.study.params import (
    BY_HAND,
    RESERVED,
    Notebook,
    Parameter,
    check,
    folder_names,
    is_file_safe,
    read_notebook,
    require_known,
)
from antidisrupt_lib.study.paths import at_leaves, placed
from antidisrupt_lib.study.study_file import StudyFile
from antidisrupt_lib.study.yaml_files import shown


@dataclass(frozen=True)
class Stage:
    """A stage as it was asked for: its notebook, all plain values, what its inputs read, its grid and choices of it.

    On an axis of paths the grid holds their names, and `places` the paths by name.
    """

    name: str
    where: str
    notebook: Notebook
    values: dict[str, object]
    sources: dict[str, object]  # per input parameter "stage/path", or a list or dict of these
    grid: dict[str, list]
    places: dict[str, dict[str, str]]
    skip: list[dict]
    only: list[dict]
    threads: int
    time_limit: float | None


def read_stage(name: str, file: StudyFile, notebooks: Path) -> Stage:
    """Check what a study file says of a stage against the notebook in the folder `notebooks` that it runs.

    Raises:
        FileNotFoundError: there is no such notebook.
        ValueError: a name, a value, the grid or an input is wrong; the text says where.
    """
    given, where = file.stages[name], f"{file.path}, stage {name}"
    notebook = read_notebook(notebooks / f"{given.get('notebook', name)}.ipynb")
    values = {key: value for key, value in given.items() if key not in RESERVED}
    grid, places = _check_grid(placed(given.get("grid", {}), notebooks), values, notebook, where)
    require_known(values, [*notebook.parameters, *RESERVED], where, "parameter")
    if "out" in values:
        raise ValueError(f"{where}: `out` is the runner's to give. Leave it out.")
    inputs = [parameter for parameter in notebook.parameters.values() if parameter.is_input]
    sources = {parameter.name: _sources(parameter, values, file, where) for parameter in inputs}
    plain = {p.name: p.default for p in notebook.parameters.values() if not p.is_input and p.name != "out"}
    for changes in (file.common, values):
        known = {key: value for key, value in changes.items() if key in plain}
        plain |= {key: _read_value(notebook.parameters[key], value, notebooks, where) for key, value in known.items()}
    variants = {key: _check_entries(placed(given.get(key, []), notebooks), key, where) for key in ("skip", "only")}
    threads = check(Parameter("threads", 1, PositiveInt), given.get("threads", file.threads), where)
    limit = Parameter("time_limit", None, PositiveFloat | None)
    time_limit = check(limit, given.get("time_limit", file.time_limit), where)
    return Stage(
        name, where, notebook, plain, sources, grid, places, **variants, threads=threads, time_limit=time_limit
    )


def _read_value(parameter: Parameter, value: object, notebooks: Path, where: str) -> object:
    """The value as its notebook gets it."""
    return check(parameter, placed(value, notebooks), where)


def _check_grid(
    grid: object, values: dict, notebook: Notebook, where: str
) -> tuple[dict[str, list], dict[str, dict[str, str]]]:
    """The grid with each value as its parameter's type, and the paths on it by the name that stands for each."""
    if not isinstance(grid, dict) or not all(isinstance(axis, list | dict) and axis for axis in grid.values()):
        raise ValueError(
            f"{where}: `grid` must list the values of each axis, e.g. {{seed: [0, 1]}}; found {shown(grid)}."
        )
    require_known(grid, notebook.parameters, f"{where}, grid", "parameter")
    checked, places = {}, {}
    for name, axis in grid.items():
        parameter = notebook.parameters[name]
        if parameter.is_input or name == "out":
            raise ValueError(f"{where}: the grid can't vary `{name}`, an input. Make a stage for each instead.")
        if name in values:
            raise ValueError(
                f"{where}: `{name}` is given twice, as a value and as an axis. For one value: grid={{{name}: [...]}}."
            )
        if isinstance(axis, dict) and not parameter.is_path:
            raise ValueError(f"{where}: only paths on a grid have names; list the values of `{name}` instead.")
        paths = [check(parameter, path, where) for path in _values(axis)] if parameter.is_path else []
        checked[name] = _check_axis(parameter, _names(axis) if parameter.is_path else axis, where)
        places[name] = dict(zip(checked[name], paths, strict=False))
    return checked, places


def _names(axis: list | dict) -> list[str]:
    """What to call the paths of an axis: as it says, or by their files, without the endings."""
    return [PurePath(str(path)).stem for path in axis] if isinstance(axis, list) else [*axis]


def _values(axis: list | dict) -> list:
    return axis if isinstance(axis, list) else [*axis.values()]


def _check_axis(parameter: Parameter, axis: list, where: str) -> list:
    """The values of an axis as their parameter's type, no two of which may name the same folder."""
    safe = all(map(is_file_safe, axis))
    values = [check(parameter, value, where) for value in axis] if safe else []
    if not safe or len(folder_names(axis)) < len(axis) or len(folder_names(values)) < len(axis):
        raise ValueError(
            f"{where}: the values of grid axis `{parameter.name}` name folders. Use distinct numbers and words of "
            f"letters, digits and -_.+ (that differ in more than type and case) instead of {shown(axis)}."
        )
    return values


def _check_entries(entries: object, key: str, where: str) -> list[dict]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry for entry in entries):
        raise ValueError(
            f"{where}: `{key}` must be a list of variants, e.g. [{{attack: fgsm}}]; found {shown(entries)}."
        )
    return entries


def _sources(parameter: Parameter, values: dict, file: StudyFile, where: str) -> object:
    """Where an input reads, as the study says or else by the notebook's default: "stage/path", or a tree of these."""
    given = parameter.name in values
    default = at_leaves(lambda path: path.removeprefix(BY_HAND), parameter.default)
    sources = check(parameter, values[parameter.name], where) if given else default
    for source in texts_of(sources):
        stage, path = stage_of(source), path_in(source)
        if given:
            require_known([stage], file.stages, f"{where}, input `{parameter.name}`", "stage")
        elif stage not in file.stages:
            raise ValueError(
                f"{where}: its notebook's input `{parameter.name}` reads stage {stage}, which the study doesn't have. "
                f"Add `{stage}: {{}}` to its stages, or wire the input: `{parameter.name}: <stage>/{path}`."
            )
        if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
            raise ValueError(f"{where}: the input `{parameter.name}` must stay inside its stage, unlike {source!r}.")
    return sources


def texts_of(tree: object) -> list[str]:
    """The leaves of a tree of sources; None stands for an input that is not used."""
    if isinstance(tree, dict | list):
        children = tree.values() if isinstance(tree, dict) else tree
        return [text for child in children for text in texts_of(child)]
    return [] if tree is None else [tree]


def stage_of(source: str) -> str:
    """The stage of "stage/path"."""
    return source.partition("/")[0]


def path_in(source: str) -> str:
    """The path of "stage/path"; "" where it names the stage alone."""
    return source.partition("/")[2]
