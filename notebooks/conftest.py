"""nbval runs each notebook with the values of params/smoke.yaml, in a folder that holds no person's results."""

from pathlib import Path

import yaml
from papermill.translators import PythonTranslator

from antidisrupt_lib.study.params import BY_HAND

SMOKE = Path(__file__).parents[1] / "params/smoke.yaml"


def pytest_collection_modifyitems(items):
    stages = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))["stages"]
    for item in items:
        if item.path.suffix == ".ipynb" and "parameters" in item.cell.metadata.get("tags", []):
            values = {name: value for name, value in stages[item.path.stem].items() if name != "grid"}
            own = item.cell.source.replace(BY_HAND, "../outputs/nbval/")
            item.cell.source = f"{own}\n{PythonTranslator.codify(values)}"
