"""What only a notebook's own code can judge, such as the networks it names, judged before a study begins.

A notebook says so in code cells tagged `check`, which see its parameters and raise an error that names the wrong one.
They run again where they stand when the notebook runs. Here they run in the study's order, where notebooks run, with
paths into an empty folder: what one leaves in its `out` the next finds, as a promise of the results to come.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cache
from pathlib import Path

from antidisrupt_lib.study.circumstances import python
from antidisrupt_lib.study.graph import Study
from antidisrupt_lib.study.params import code_cells
from antidisrupt_lib.study.processes import scratch

Cell = tuple[str, str, dict]  # node, code, values


def refusals(
    study: Study, asked: Collection[str], *, rehearse: Callable[[list[Cell], Path], dict[str, str]] | None = None
) -> dict[str, str]:
    """{node: why} of the `asked` nodes whose check cells refuse their parameters.

    Args:
        rehearse: runs the cells in order and gives the errors' texts by node; in a process of its own, if not given.

    Raises:
        ValueError: the process came to an end.
    """
    if not asked:
        return {}
    read = cache(_read_checks)
    with scratch() as folder:
        stage = replace(study, folder=Path(folder, "results"))
        tasks = []
        for node in stage.nodes.values():
            code, names = read(node.notebook.path)
            values = node.parameters | stage.paths(node) | {"out": str(stage.result(node.id))}
            if code:
                tasks.append((node.id, code, {name: value for name, value in values.items() if name in names}))
        refused = (rehearse or _in_a_process)(tasks, study.notebooks) if tasks else {}
        return {node: why for node, why in refused.items() if node in asked}


def shown(refused: dict[str, str]) -> str:
    """Each refusal in a line, with the first of the nodes that it is about."""
    first = {why: node for node, why in reversed(refused.items())}
    return "\n".join(f"{node}: {why}" for node, why in refused.items() if first[why] == node)


def _in_a_process(cells: list[Cell], notebooks: Path) -> dict[str, str]:
    """`run_cells` in a process of its own, which alone imports what the cells do, in the notebooks' folder."""
    command = python("antidisrupt_lib.study.checks")
    done = subprocess.run(command, input=json.dumps(cells), capture_output=True, text=True, cwd=notebooks)
    if done.returncode:
        last_words = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ValueError(f"The checks ended with exit status {done.returncode}. {last_words}")
    return json.loads(done.stdout.splitlines()[-1])


def _read_checks(path: Path) -> tuple[str, set[str]]:
    """The code of a notebook's `check` cells, and the names in it."""
    cells = [cell["source"] for cell in code_cells(path) if "check" in cell["metadata"].get("tags", [])]
    code = "\n".join(cells)
    return code, {name.id for name in ast.walk(ast.parse(code)) if isinstance(name, ast.Name)}


def run_cells(cells: list[Cell]) -> dict[str, str]:
    """Run cells in order; returns the texts of their errors by node."""
    errors = {}
    for node, code, values in cells:
        try:
            exec(code, dict(values))  # noqa: S102 (a notebook's cell, which runs anyway)
        except Exception as error:  # whatever the cell raises is its verdict
            errors[node] = str(error)
    return errors


if __name__ == "__main__":
    print("\n" + json.dumps(run_cells(json.load(sys.stdin))))
