"""What only a notebook's own code can judge, such as the name of a network, judged before a study begins.

A notebook says so in code cells tagged `check`, which see its parameters and raise an error that names the wrong one.
They run again where they stand when the notebook runs.
"""

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from antidisrupt_lib.study.graph import Node
from antidisrupt_lib.study.params import code_cells


def check_values(nodes: Iterable[Node]) -> None:
    """Run the `check` cells of the nodes' notebooks with the nodes' parameters, in one process.

    Raises:
        ValueError: a cell raised an error; the text is its own, after the node's id.
    """
    tasks: dict[str, str] = {}
    read = cache(_read_checks)
    for node in nodes:
        code, names = read(node.notebook.path)
        values = {name: value for name, value in node.parameters.items() if name in names}
        if code:
            tasks.setdefault(json.dumps([code, values]), node.id)
    if not tasks:
        return
    request = json.dumps([[node, *json.loads(task)] for task, node in tasks.items()])
    command = [sys.executable, "-m", "antidisrupt_lib.study.checks"]
    done = subprocess.run(command, input=request, capture_output=True, text=True)
    if done.returncode:
        raise ValueError(done.stderr.strip())


def _read_checks(path: Path) -> tuple[str, set[str]]:
    """The code of a notebook's `check` cells, and the names in it."""
    cells = [cell["source"] for cell in code_cells(path) if "check" in cell["metadata"].get("tags", [])]
    code = "\n".join(cells)
    return code, {name.id for name in ast.walk(ast.parse(code)) if isinstance(name, ast.Name)}


def _main() -> int:
    """Run the cells that come in; 1 and the errors' texts on standard error, if there are any."""
    errors = []
    for node, code, values in json.load(sys.stdin):
        try:
            exec(code, dict(values))
        except Exception as error:  # whatever the cell raises is its verdict
            errors.append(f"{node}: {error}")
    print("\n".join(errors), file=sys.stderr)
    return bool(errors)


if __name__ == "__main__":
    sys.exit(_main())
