"""A study's graph: its stages multiplied over their grids into nodes, wired by their inputs.

A stage's variants are the natural join of its inputs' variants and its own grid: a scalar input (or each value of a
dict input) takes one variant and hands its axes on, axes in common must agree. A list input collects all variants of
the stages that it names and hands on none.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import product
from math import prod
from pathlib import Path, PurePosixPath

from antidisrupt_lib.plug_ins import short_name
from antidisrupt_lib.study.circumstances import LIBRARY
from antidisrupt_lib.study.params import Notebook, require_known
from antidisrupt_lib.study.paths import WORDS, ZOO, absolute, at_leaves, require_names, texts_in_table
from antidisrupt_lib.study.stages import Stage, path_in, read_stage, stage_of, texts_of
from antidisrupt_lib.study.study_file import EVALUATION, StudyFile, read_study

MOST = 2_000_000  # variants that are looked at for a stage


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
    time_limit: float | None = None

    @property
    def id(self) -> str:
        axes = _axes_text(self.variant)
        return f"{self.stage}[{axes}]" if axes else self.stage

    @property
    def folder(self) -> Path:
        """Where its result lies, relative to the study's folder; never inside another node's folder."""
        return Path(self.id)

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
    def texts(self) -> dict[str, str]:
        """All texts in its plain parameters by a label of their own: `attack`, `forgers.unpaired`, `parts.0`."""
        return texts_in_table(self.parameters)

    @property
    def given_paths(self) -> dict[str, str]:
        """The texts in plain parameters that name a user's file or folder, or one in the zoo."""
        paths = {name: value for name, value in self.parameters.items() if self.notebook.parameters[name].is_path}
        return {label: text for label, text in texts_in_table(paths).items() if text not in WORDS}

    @property
    def needs(self) -> set[str]:
        """The ids of the nodes whose results it reads."""
        return {read.node for read in self.reads.values()}


@dataclass(frozen=True)
class Study:
    """All nodes of a study in an order in which they can run, where their results go, and a note for who reads them."""

    name: str
    nodes: dict[str, Node]
    folder: Path
    notebooks: Path
    evaluation: str
    note: str = ""

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
    params: Path | str,
    *,
    outputs: Path,
    notebooks: Path,
    assignments: Iterable[str] = (),
    overrides: Path | None = None,
    faces: Path | None = None,
) -> Study:
    """Read a study file and check all of it against the notebooks it runs.

    Args:
        outputs: parent of the study's own folder.
        notebooks: where the notebooks lie.
        assignments: `stage.name=value` texts that change the file's values.
        overrides: a file with values for all stages of a notebook, which change the study's before `assignments` do.
        faces: the folder that stage 01_split reads, if not the file's.

    Raises:
        FileNotFoundError: the file or a notebook is not there.
        ValueError: names, values, grids or wiring are wrong; the text says where.
    """
    file, notebooks = read_study(params, assignments, overrides, faces), absolute(notebooks).resolve()
    nodes = build_nodes(file, notebooks)
    if file.evaluation != EVALUATION:
        single = [name for name, node in nodes.items() if not node.variant]
        require_known([file.evaluation], single, f"{file.path}, results", "stage without a grid")
    study = Study(file.name, nodes, absolute(outputs).resolve() / file.name, notebooks, file.evaluation, file.note)
    require_names([study.notebooks, *map(study.result, nodes)], nodes)
    return study


def missing_files(nodes: Iterable[Node]) -> dict[str, str]:
    """{node: what to do} of nodes whose plain parameters name files or folders that aren't there."""
    missing: dict[str, str] = {}
    for node in nodes:
        for name, text in node.given_paths.items():
            path = absolute(text, LIBRARY if text.startswith(ZOO) else node.notebook.path.parent)
            if not os.path.exists(path):
                hint = ", or give --faces DIR" if name == "faces" else ""
                missing[node.id] = f"`{name}` is {path}, and there is nothing. Correct the path{hint}."
    return missing


def build_nodes(file: StudyFile, notebooks: Path) -> dict[str, Node]:
    """All nodes of a study by id, each after those it needs; raises as `load_study` does."""
    stages = {name: read_stage(name, file, notebooks) for name in file.stages}
    declared = sorted({name for stage in stages.values() for name in stage.notebook.parameters})
    require_known(file.common, declared, f"{file.path}, common", "parameter")
    made: dict[str, list[Node]] = {}
    for name in _ordered(stages, file.path):
        made[name] = _make_nodes(stages[name], made)
    return {node.id: node for nodes in made.values() for node in nodes}


def _ordered(stages: dict[str, Stage], path: Path) -> list[str]:
    graph = {name: set(map(stage_of, texts_of(stage.sources))) for name, stage in stages.items()}
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ValueError(f"{path}: these stages need each other in a circle: {circle}. Rewire one input.") from error


@dataclass(frozen=True)
class _Row:
    """A row of the join: a variant, and the node that it takes of each joined stage."""

    variant: dict[str, object]
    picks: dict[str, str]


def _make_nodes(stage: Stage, made: dict[str, list[Node]]) -> list[Node]:
    rows = [_Row({}, {})]
    for name in _joined_stages(stage.sources):
        _refuse_many(stage, len(rows) * len(made[name]))
        rows = [
            _Row(row.variant | node.variant, row.picks | {name: node.id})
            for row in rows
            for node in made[name]
            if _agree(row.variant, node.variant)
        ]
    _refuse_many(stage, len(rows) * prod(map(len, stage.grid.values())))
    grid = [dict(zip(stage.grid, values, strict=True)) for values in product(*stage.grid.values())]
    rows = [_Row(row.variant | own, row.picks) for row in rows for own in grid if _agree(row.variant, own)]
    return [_make_node(stage, row, made) for row in _select(rows, stage)]


def _refuse_many(stage: Stage, count: int) -> None:
    if count > MOST:
        raise ValueError(f"{stage.where}: its inputs and grid make {count:,} variants, more than {MOST:,}. Use fewer.")


def _make_node(stage: Stage, row: _Row, made: dict[str, list[Node]]) -> Node:
    def one(source: str | None) -> Read | None:
        return source and Read(row.picks[stage_of(source)], path_in(source))

    def every(sources: list[str]) -> list[Read]:
        return [Read(node.id, path_in(source)) for source in sources for node in made[stage_of(source)]]

    inputs = {
        name: every(sources) if isinstance(sources, list) else at_leaves(one, sources)
        for name, sources in stage.sources.items()
    }
    own = {axis: row.variant[axis] for axis in stage.grid}
    parameters = stage.values | {axis: stage.places.get(axis, {}).get(value, value) for axis, value in own.items()}
    return Node(stage.name, row.variant, stage.notebook, parameters, inputs, stage.threads, stage.time_limit)


def _joined_stages(sources: dict[str, object]) -> list[str]:
    """The stages of which a node takes one variant: those that scalar and dict inputs name."""
    texts = texts_of({name: tree for name, tree in sources.items() if not isinstance(tree, list)})
    return list(dict.fromkeys(map(stage_of, texts)))


def _agree(one: dict, other: dict) -> bool:
    return all(_same(one[axis], other[axis]) for axis in one.keys() & other.keys())


def _same(one: object, other: object) -> bool:
    """Whether two values of an axis are one: 1 and 1.0 are, 1 and true are not."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _select(rows: list[_Row], stage: Stage) -> list[_Row]:
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
    return entry.keys() <= row.variant.keys() and _agree(entry, row.variant)


def _axes_text(variant: dict) -> str:
    return ",".join(f"{axis}={short_name(str(value))}" for axis, value in variant.items())
