"""nbval runs each notebook with the values of params/smoke.yaml, in a folder that holds no person's results.

A cell tagged `nbval-check-output` must print what tests/notebook_outputs/ holds: notebooks are committed without them.
"""

from pathlib import Path

import yaml
from nbformat.v4 import new_output
from papermill.translators import PythonTranslator

from antidisrupt_lib.study.params import BY_HAND

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(items):
    stages = yaml.safe_load((ROOT / "params/smoke.yaml").read_text(encoding="utf-8"))["stages"]
    for item in items:
        tags = item.cell.metadata.get("tags", []) if item.path.suffix == ".ipynb" else []
        if "parameters" in tags:
            values = {name: value for name, value in stages[item.path.stem].items() if name != "grid"}
            own = item.cell.source.replace(BY_HAND, "../outputs/nbval/")
            item.cell.source = f"{own}\n{PythonTranslator.codify(values)}"
        if "nbval-check-output" in tags:
            text = (ROOT / f"tests/notebook_outputs/{item.path.stem}.txt").read_text(encoding="utf-8")
            item.cell.execution_count = 1
            item.cell.outputs = [new_output("execute_result", {"text/plain": text.rstrip("\n")})]
            item.parent.skip_compare += ("text/html",)
