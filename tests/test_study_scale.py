"""Thousands of nodes: what the driver itself costs, in CPU time; nodes are simulated.

NODES=100000 python -m pytest -s -n 0 tests/test_study_scale.py prints the facts of so many.
"""

import io
import os
import resource
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

import nbformat
import pytest
from test_study_graph import DISRUPT, SPLIT, make_study, write_notebook

from antidisrupt_lib.study.circumstances import device
from antidisrupt_lib.study.manifest import hash_outputs
from antidisrupt_lib.study.node import Result
from antidisrupt_lib.study.progress import Progress
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.runner import plan, run

NODES = int(os.environ.get("NODES", 2000))
BUSY = 2  # shared cores stretch CPU time as well: what is promised of a quiet machine is told, not asserted
REAL = Path(__file__).parents[1] / "notebooks/04_disrupt.ipynb"


def simulated(task):
    """Stands for `run_node`: leaves a file."""
    out = Path(task.folder)
    (out / "B").mkdir()
    (out / "B/n").write_text(task.folder)
    return Result("2026-01-01T00:00:00+00:00", 0.1, 1.0, hash_outputs(out), None)


def tell(fact: str) -> None:
    print(f"\n{NODES:,} nodes: {fact}")


def peak() -> float:
    """The most memory that this process has held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


BEFORE = peak()


def cpu(action) -> tuple[float, object]:
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A study of 2,001 nodes that import what the real notebook does, its outcome, and what the run cost."""
    root = tmp_path_factory.mktemp("scale")
    cells = [cell.source for cell in nbformat.read(REAL, as_version=4).cells if cell.cell_type == "code"]
    write_notebook(root / "notebooks/01_split.ipynb", SPLIT)
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT, *cells[1:])
    grid = {"attack": [f"attack_{i}" for i in range(100)], "seed": list(range(NODES // 100))}
    study = make_study(root, {"01_split": {}, "04_disrupt": {"grid": grid}})
    device()
    return study, *cpu(lambda: go(study))


def go(study):
    with redirect_stdout(io.StringIO()), ThreadPoolExecutor(2) as executor:
        return run(study, executor=executor, jobs=2, execute=simulated)


def test_the_driver_costs_milliseconds_a_node(finished):
    _, seconds, outcome = finished
    tell(f"run {seconds:.1f} s of CPU, {1000 * seconds / NODES:.2f} ms a node")
    assert len(outcome.ran) == NODES + 1 and seconds / NODES < 0.005 * BUSY


def test_2000_nodes_are_planned_and_checked_in_seconds(finished):
    study, _, _ = finished
    seconds, steps = cpu(lambda: plan(study, study.stages))
    tell(f"planned and checked in {seconds:.1f} s of CPU")
    assert {step.verdict for step in steps} == {"skip"} and seconds < 3 * BUSY * NODES / 2000
    seconds, outcome = cpu(lambda: go(study))
    tell(f"a run that has nothing to do {seconds:.1f} s of CPU, {peak() - BEFORE:.0f} MiB at most")
    assert outcome.ran == [] and seconds < 6 * BUSY * NODES / 2000


def test_the_report_links_what_it_does_not_copy(finished):
    study, _, outcome = finished
    index = write_report(study, outcome, "")
    assert [path.name for path in index.parent.iterdir()] == ["index.html"]


def test_the_status_of_2000_nodes_takes_microseconds():
    todo = {f"04_disrupt[seed={i}]": "04_disrupt" for i in range(NODES)}
    progress = Progress(todo, {f"04_disrupt[seed={i}]": 2.0 for i in range(0, NODES, 2)}, jobs=2, out=io.StringIO())
    seconds, left = cpu(lambda: [progress.seconds_left([]) for _ in range(100)][0])
    assert left == NODES and seconds < 1 * NODES / 2000
