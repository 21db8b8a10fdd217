"""A study's graph: its stages multiplied over their grids into nodes, wired by their inputs.

A stage's variants are the natural join of its inputs' variants and its own grid: a scalar input (or each value of a
dict input) takes one variant and hands its axes on, axes in common must agree. A list input collects all variants of
the stages that it names and hands on none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import product
from pathlib import Path, PurePosixPath

from pydantic import PositiveInt

from antidisrupt_lib.study.params import (
    BY_HAND,
    EVALUATION,
    RESERVED,
    Notebook,
    Parameter,
    StudyFile,
    check,
    is_file_safe,
    read_notebook,
    read_study,
    require_known,
)


@dataclass(frozen=True)
class Read:
    """What an input reads: a node's folder, or a path in it."""

    node: str
    path: str


@dataclass(frozen=True)
class Node:
    """One run of one notebook. `inputs` holds a Read, a list or a dict of Reads for each input parameter."""

    stage: str
    variant: dict[str, object]
    notebook: Notebook
    parameters: dict[str, object]
    inputs: dict[str, object]
    threads: int

    @property
    def id(self) -> str:
        axes = _axes_text(self.variant)
        return f"{self.stage}[{axes}]" if axes else self.stage

    @property
    def folder(self) -> Path:
        """Where its result lies, relative to the study's folder."""
        return Path(self.stage, _axes_text(self.variant))

    @property
    def reads(self) -> dict[str, Read]:
        """All Reads by a label of their own: `photos`, `arms.purified`, `tables.08_evaluate[seed=0]`."""
        labelled = {}
        for name, tree in self.inputs.items():
            match tree:
                case Read():
                    labelled[name] = tree
                case dict():
                    labelled |= {f"{name}.{key}": read for key, read in tree.items()}
                case list():
                    labelled |= {f"{name}.{PurePosixPath(read.node, read.path)}": read for read in tree}
        return labelled

    @property
    def needs(self) -> set[str]:
        """The ids of the nodes whose results it reads."""
        return {read.node for read in self.reads.values()}


@dataclass(frozen=True)
class Study:
    """All nodes of a study in an order in which they can run, and where their results go."""

    name: str
    nodes: dict[str, Node]
    folder: Path
    notebooks: Path
    evaluation: str

    @property
    def results(self) -> Path:
        """The table of all measured numbers, if the study has the stage that makes it."""
        return self.folder / self.evaluation / "results.csv"

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(node.stage for node in self.nodes.values()))

    def result(self, node_id: str) -> Path:
        """The folder of a node's result."""
        return self.folder / self.nodes[node_id].folder

    def paths(self, node: Node) -> dict[str, object]:
        """The node's inputs as absolute paths, shaped as its notebook expects them."""
        return at_leaves(lambda read: read and str(self.result(read.node) / read.path), node.inputs)


def load_study(
    params: Path | str, *, outputs: Path, notebooks: Path, assignments: Iterable[str] = (),
    overrides: Path | str | None = None,
) -> Study:  # fmt: skip
    """Read a study file and check all of it against the notebooks it runs.

    Args:
        outputs: parent of the study's own folder.
        notebooks: where the notebooks lie.
        assignments: `stage.name=value` texts that change the file's values.
        overrides: a file with values for all stages of a notebook, which change the study's before `assignments` do.

    Raises:
        FileNotFoundError: the file or a notebook is not there.
        ValueError: names, values, grids or wiring are wrong; the text says where.
    """
    file, notebooks = read_study(params, assignments, overrides), Path(notebooks).resolve()
    nodes = build_nodes(file, notebooks)
    if file.evaluation != EVALUATION:
        single = [name for name, node in nodes.items() if not node.variant]
        require_known([file.evaluation], single, f"study {file.name}, results", "stage without a grid")
    return Study(file.name, nodes, Path(outputs).resolve() / file.name, notebooks, file.evaluation)


def build_nodes(file: StudyFile, notebooks: Path) -> dict[str, Node]:
    """All nodes of a study by id, each after those it needs; raises as `load_study` does."""
    stages = {name: _read_stage(name, file, notebooks) for name in file.stages}
    declared = sorted({name for stage in stages.values() for name in stage.notebook.parameters})
    require_known(file.common, declared, f"study {file.name}, common", "parameter")
    made: dict[str, list[Node]] = {}
    for name in _ordered(stages):
        made[name] = _make_nodes(stages[name], made)
    return {node.id: node for nodes in made.values() for node in nodes}


@dataclass(frozen=True)
class _Stage:
    name: str
    where: str
    notebook: Notebook
    values: dict[str, object]
    sources: dict[str, object]  # per input parameter "stage/path", or a list or dict of these
    grid: dict[str, list]
    skip: list[dict]
    only: list[dict]
    threads: int


def _read_stage(name: str, file: StudyFile, notebooks: Path) -> _Stage:
    given, where = file.stages[name], f"study {file.name}, stage {name}"
    notebook = read_notebook(notebooks / f"{given.get('notebook', name)}.ipynb")
    values = {key: value for key, value in given.items() if key not in RESERVED}
    grid = _check_grid(given.get("grid", {}), values, notebook, where)
    require_known(values, [*notebook.parameters, *RESERVED], where, "parameter")
    if "out" in values:
        raise ValueError(f"{where}: `out` is the runner's to give. Leave it out.")
    inputs = [parameter for parameter in notebook.parameters.values() if parameter.is_input]
    sources = {parameter.name: _sources(parameter, values, file, where) for parameter in inputs}
    plain = {p.name: p.default for p in notebook.parameters.values() if not p.is_input and p.name != "out"}
    for changes in (file.common, values):
        plain |= {key: check(notebook.parameters[key], value, where) for key, value in changes.items() if key in plain}
    variants = {key: _check_entries(given.get(key, []), key, where) for key in ("skip", "only")}
    threads = check(Parameter("threads", 1, PositiveInt), given.get("threads", file.threads), where)
    return _Stage(name, where, notebook, plain, sources, grid, **variants, threads=threads)


def _check_grid(grid: object, values: dict, notebook: Notebook, where: str) -> dict[str, list]:
    """The grid with each value as its parameter's type."""
    if not isinstance(grid, dict) or not all(isinstance(axis, list) and axis for axis in grid.values()):
        raise ValueError(f"{where}: `grid` must list the values of each axis, e.g. {{seed: [0, 1]}}; found {grid!r}.")
    require_known(grid, notebook.parameters, f"{where}, grid", "parameter")
    for name, axis in grid.items():
        if notebook.parameters[name].is_input or name == "out":
            raise ValueError(f"{where}: the grid can't vary `{name}`, a path. Make a stage for each instead.")
        if name in values:
            raise ValueError(
                f"{where}: `{name}` is given twice, as a value and as an axis. For one value: grid={{{name}: [...]}}."
            )
        if not all(map(is_file_safe, axis)) or len(set(axis)) < len(axis):
            raise ValueError(
                f"{where}: the values of grid axis `{name}` name folders. Use distinct numbers and words of letters, "
                f"digits and -_.+ instead of {axis!r}."
            )
    return {name: [check(notebook.parameters[name], value, where) for value in axis] for name, axis in grid.items()}


def _check_entries(entries: object, key: str, where: str) -> list[dict]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) and entry for entry in entries):
        raise ValueError(f"{where}: `{key}` must be a list of variants, e.g. [{{attack: fgsm}}]; found {entries!r}.")
    return entries


def _sources(parameter: Parameter, values: dict, file: StudyFile, where: str) -> object:
    """Where an input reads, as the study says or else by the notebook's default: "stage/path", or a tree of these."""
    given = parameter.name in values
    default = at_leaves(lambda path: path.removeprefix(BY_HAND), parameter.default)
    sources = check(parameter, values[parameter.name], where) if given else default
    for source in _texts(sources):
        stage, path = _stage_of(source), _path_in(source)
        if given:
            require_known([stage], file.stages, f"{where}, input `{parameter.name}`", "stage")
        elif stage not in file.stages:
            raise ValueError(
                f"{where}: its notebook's input `{parameter.name}` reads stage {stage}, which the study doesn't have. "
                f"Add `{stage}: {{}}` to its stages, or wire the input: `{parameter.name}: <stage>/{path}`."
            )
        if ".." in PurePosixPath(path).parts:
            raise ValueError(f"{where}: the input `{parameter.name}` must stay inside its stage, unlike {source!r}.")
    return sources


def _ordered(stages: dict[str, _Stage]) -> list[str]:
    graph = {name: set(map(_stage_of, _texts(stage.sources))) for name, stage in stages.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ValueError(f"These stages need each other in a circle: {circle}. Rewire one input.") from error


def _texts(tree: object) -> list[str]:
    """The leaves of a tree of sources; None stands for an input that is not used."""
    if isinstance(tree, dict | list):
        children = tree.values() if isinstance(tree, dict) else tree
        return [text for child in children for text in _texts(child)]
    return [] if tree is None else [tree]


@dataclass(frozen=True)
class _Row:
    """A row of the join: a variant, and the node that it takes of each joined stage."""

    variant: dict[str, object]
    picks: dict[str, str]


def _make_nodes(stage: _Stage, made: dict[str, list[Node]]) -> list[Node]:
    rows = [_Row({}, {})]
    for name in _joined_stages(stage.sources):
        rows = [
            _Row(row.variant | node.variant, row.picks | {name: node.id})
            for row in rows
            for node in made[name]
            if _agree(row.variant, node.variant)
        ]
    grid = [dict(zip(stage.grid, values, strict=True)) for values in product(*stage.grid.values())]
    rows = [_Row(row.variant | own, row.picks) for row in rows for own in grid if _agree(row.variant, own)]
    return [_make_node(stage, row, made) for row in _select(rows, stage)]


def _make_node(stage: _Stage, row: _Row, made: dict[str, list[Node]]) -> Node:
    def one(source: str | None) -> Read | None:
        return source and Read(row.picks[_stage_of(source)], _path_in(source))

    def every(sources: list[str]) -> list[Read]:
        return [Read(node.id, _path_in(source)) for source in sources for node in made[_stage_of(source)]]

    inputs = {
        name: every(sources) if isinstance(sources, list) else at_leaves(one, sources)
        for name, sources in stage.sources.items()
    }
    parameters = stage.values | {axis: row.variant[axis] for axis in stage.grid}
    return Node(stage.name, row.variant, stage.notebook, parameters, inputs, stage.threads)


def _joined_stages(sources: dict[str, object]) -> list[str]:
    """The stages of which a node takes one variant: those that scalar and dict inputs name."""
    texts = _texts({name: tree for name, tree in sources.items() if not isinstance(tree, list)})
    return list(dict.fromkeys(map(_stage_of, texts)))


def _stage_of(source: str) -> str:
    return source.partition("/")[0]


def _path_in(source: str) -> str:
    return source.partition("/")[2]


def _agree(one: dict, other: dict) -> bool:
    return all(one[axis] == other[axis] for axis in one.keys() & other.keys())


def _select(rows: list[_Row], stage: _Stage) -> list[_Row]:
    """The rows that `skip` and `only` leave."""
    for entry in [*stage.skip, *stage.only]:
        if not any(_has(row, entry) for row in rows):
            there_are = "; ".join(_axes_text(row.variant) for row in rows)
            raise ValueError(f"{stage.where}: no variant has {_axes_text(entry)}. There are: {there_are}.")
    kept = [row for row in rows if not any(_has(row, entry) for entry in stage.skip)]
    kept = [row for row in kept if not stage.only or any(_has(row, entry) for entry in stage.only)]
    if not kept:
        raise ValueError(
            f"{stage.where}: no variant is left. Its inputs agree on no axis value, or `skip` and `only` exclude all."
        )
    return kept


def _has(row: _Row, entry: dict) -> bool:
    return entry.items() <= row.variant.items()


def _axes_text(variant: dict) -> str:
    return ",".join(f"{axis}={value}" for axis, value in variant.items())


def at_leaves(function: Callable, tree: object) -> object:
    """The same lists and dicts with `function` of each leaf."""
    if isinstance(tree, dict):
        return {name: at_leaves(function, child) for name, child in tree.items()}
    return [at_leaves(function, child) for child in tree] if isinstance(tree, list) else function(tree)
