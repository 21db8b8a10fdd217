"""Rooms know only the rooms before them, and notebooks are clean: both are read from the sources."""

import ast
from pathlib import Path

import nbformat
import pytest
import yaml

from antidisrupt_lib.study.sources import notebook_code

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "antidisrupt_lib"
CHAIN = ["faces", "deepfakes", "disruption", "purification", "detection"]
BASE = {
    "seeding",
    "weights",
    "training",
    "fingerprint",
    "naming",
    "images",
    "rehearsal",
    "plug_ins",
    "labels",
}  # for all rooms
ALLOWED = {room: BASE | set(CHAIN[: i + 1]) for i, room in enumerate(CHAIN)} | {
    "by_name": BASE | set(CHAIN),
    "photos": BASE | set(CHAIN) | {"metrics", "by_name", "photos"},  # they do and judge what studies do
    "__main__": {"photos"},
    "metrics": BASE | {"metrics"},
    "benchmarks": BASE | set(CHAIN) | {"metrics", "benchmarks"},
    "claims": {"metrics", "claims", "labels"},  # knows results rows, and none of what made them
    "tables": {"metrics", "claims", "labels"},
    "plots": BASE | {"metrics", "tables", "plots"},
    "study": {"study", "plug_ins", "fingerprint"},  # which need no tensors: what of a name is code, and whose it is
    "by_hand": set(),
    "labels": set(),
    "seeding": set(),
    "weights": set(),
    "training": {"seeding", "weights"},
    "fingerprint": set(),
    "naming": {"fingerprint"},
    "images": {"naming"},
    "plug_ins": {"fingerprint"},
    "rehearsal": {"weights"},
}
TENSORS = {"torch", "torchvision", "timm", "diffusers", "torchmetrics", "safetensors"}
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


def imported(path: Path) -> set[str]:
    """Full names of all that a module imports, also inside its functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def sources(room: str) -> list[Path]:
    return sorted((LIBRARY / room).rglob("*.py")) or [LIBRARY / f"{room}.py"]


def test_every_room_is_known():
    rooms = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert rooms - {"__init__", "zoo"} == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_rooms_before_it(room):
    for path in sources(room):
        names = [name.split(".") for name in imported(path)]
        rooms = {parts[1] for parts in names if parts[0] == "antidisrupt_lib" and len(parts) > 1}
        assert rooms <= ALLOWED[room], f"{path.relative_to(ROOT)} imports {rooms - ALLOWED[room]}"


def test_the_study_knows_notebooks_and_files_but_no_tensors():
    for path in sources("study"):
        assert not TENSORS & {name.partition(".")[0] for name in imported(path)}, path


def test_there_are_a_door_and_the_nine_notebooks_of_the_chain():
    assert [path.name[:2] for path in NOTEBOOKS][:10] == [f"{i:02d}" for i in range(10)]


def test_every_notebook_has_its_smoke_values():
    stages = yaml.safe_load((ROOT / "params/smoke.yaml").read_text(encoding="utf-8"))["stages"]
    assert {path.stem for path in NOTEBOOKS} <= set(stages)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_clean_and_begins_with_its_parameters(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    tagged = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1 and tagged[0] is code[0]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_needs_at_most_six_lines_of_imports_and_of_the_library_one(path):
    tree = ast.parse(notebook_code(path))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    assert sum(node.end_lineno - node.lineno + 1 for node in imports) <= 6
    ours = [text for text in map(ast.unparse, imports) if "antidisrupt_lib" in text]
    assert ours == ["import antidisrupt_lib as ad"]
