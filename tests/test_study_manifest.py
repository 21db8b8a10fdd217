"""What a result depends on, and the one line that says why it must be made again."""

import os
from pathlib import Path

import pytest
from test_study_graph import DISRUPT, SPLIT, make_study, write_notebook

from antidisrupt_lib.study.manifest import hash_outputs, recipe, recipe_key, why_run
from antidisrupt_lib.study.sources import hash_code, library_sources

STAGES = {"01_split": {}, "04_disrupt": {}}


@pytest.fixture
def root(tmp_path):
    """Two stages, a small library of three modules, and a finished result of the second stage."""
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", DISRUPT, "from library.attacks import pgd\npgd()")
    (tmp_path / "library").mkdir()
    (tmp_path / "library/__init__.py").write_text("")
    (tmp_path / "library/attacks.py").write_text("from library.steps import sign\n\ndef pgd():\n    '''PGD.'''\n")
    (tmp_path / "library/steps.py").write_text("sign = 1\n")
    (tmp_path / "library/detectors.py").write_text("other = 1\n")
    (tmp_path / "result").mkdir()
    (tmp_path / "result/images.npy").write_text("pixels")
    return tmp_path


UPSTREAM = {"stage": "01_split", "outputs": {"B/images.npy": {"sha256": "b"}, "C/images.npy": {"sha256": "c"}}}


def judge(root, old=None, stages=STAGES, upstream=UPSTREAM):
    """(the manifest that a run would write now, why it must run given `old`)."""
    node = make_study(root, stages).nodes["04_disrupt"]
    now = recipe(node, {"01_split": upstream}, root / "library")
    manifest = now | {"key": recipe_key(now), "outputs": hash_outputs(root / "result")}
    return manifest, why_run(node, now, old, root / "result")


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_what_stands_needs_no_run(root):
    assert judge(root)[1] == "never ran"
    assert judge(root, {})[1] == "its manifest is unreadable"
    done, _ = judge(root)
    assert judge(root, done)[1] is None
    assert list(done["library"]) == ["library/__init__.py", "library/attacks.py", "library/steps.py"]


def test_comments_layout_docstrings_and_the_rest_of_the_library_do_not_count(root):
    done, _ = judge(root)
    edit(root / "notebooks/04_disrupt.ipynb", "pgd()", "%matplotlib inline\\npgd( )  # attack")
    edit(root / "library/attacks.py", "PGD.", "Projected gradient descent.")
    edit(root / "library/detectors.py", "other = 1", "other = 2")
    assert judge(root, done)[1] is None


def test_each_change_has_its_reason(root):
    done, _ = judge(root)
    stages = STAGES | {"04_disrupt": {"eps": 0.03, "attack": "fgsm"}}
    assert judge(root, done, stages)[1] == "parameters changed: attack pgd -> fgsm, eps 0.025 -> 0.03"
    assert judge(root, done, STAGES | {"04_disrupt": {"threads": 2}})[1] == "threads changed: 1 -> 2"
    altered = {"stage": "01_split", "outputs": {"B/images.npy": {"sha256": "other"}}}
    assert judge(root, done, upstream=altered)[1] == "input changed: photos (01_split)"
    edit(root / "library/steps.py", "sign = 1", "sign = 2")
    assert judge(root, done)[1] == "library source changed: library/steps.py"
    edit(root / "notebooks/04_disrupt.ipynb", "pgd()", "pgd(1)")
    assert judge(root, done)[1] == "notebook source changed"


def test_only_the_path_that_is_read_counts_as_input(root):
    done, _ = judge(root)
    other = UPSTREAM["outputs"] | {"C/images.npy": {"sha256": "other"}, "figures/faces.png": {"sha256": "f"}}
    assert judge(root, done, upstream={"stage": "01_split", "outputs": other})[1] is None
    with pytest.raises(ValueError, match="01_split wrote no `B`, but: C"):
        judge(root, done, upstream={"stage": "01_split", "outputs": {"C/images.npy": {"sha256": "c"}}})


FOREIGN = DISRUPT + '\nstart_weights: str = ""\nfaces: str = "drawn"'


def test_a_file_that_a_parameter_names_counts_by_its_content(root):
    write_notebook(root / "notebooks/04_disrupt.ipynb", FOREIGN)
    stages = STAGES | {"04_disrupt": {"start_weights": "zoo/start.bin"}}
    (root / "library/zoo").mkdir()
    (root / "library/zoo/start.bin").write_text("weights")
    done, _ = judge(root, stages=stages)
    assert judge(root, done, stages)[1] is None
    (root / "library/zoo/start.bin").write_text("others")
    assert judge(root, done, stages)[1] == "input changed: start_weights (zoo/start.bin)"


def test_a_folder_that_a_parameter_names_counts_by_its_files(root):
    write_notebook(root / "notebooks/04_disrupt.ipynb", FOREIGN)
    stages = STAGES | {"04_disrupt": {"faces": "faces"}}  # beside the study file
    (root / "faces").mkdir()
    (root / "faces/1.jpg").write_bytes(b"photo")
    done, _ = judge(root, stages=stages)
    assert judge(root, done, stages)[1] is None
    (root / "faces/2.jpg").write_bytes(b"photo")
    assert judge(root, done, stages)[1] == "input changed: faces (../faces)"


def test_a_missing_or_altered_output_is_noticed_and_a_touched_one_is_not(root):
    done, _ = judge(root)
    os.utime(root / "result/images.npy", (0, 0))
    assert judge(root, done)[1] is None
    (root / "result/images.npy").write_text("pixelz")
    assert judge(root, done)[1] == "an output is missing or altered: images.npy"
    (root / "result/images.npy").unlink()
    assert judge(root, done)[1] == "an output is missing or altered: images.npy"


def test_imports_are_followed_through_packages_relative_names_and_their_data(tmp_path):
    (tmp_path / "library/zoo").mkdir(parents=True)
    (tmp_path / "library/__init__.py").write_text("")
    (tmp_path / "library/zoo/__init__.py").write_text("from ..steps import sign\nfrom . import cards\n")
    (tmp_path / "library/zoo/cards.py").write_text("import torch\n")
    (tmp_path / "library/zoo/weights.bin").write_bytes(b"1")
    (tmp_path / "library/steps.py").write_text("sign = 1\n")
    found = library_sources("import library.zoo as zoo\nimport numpy", library=tmp_path / "library")
    assert [name.removeprefix("library/") for name in found] == [
        "__init__.py", "steps.py", "zoo/__init__.py", "zoo/cards.py", "zoo/weights.bin"
    ]  # fmt: skip


LAZY = {  # of a library that is one, and has rooms that are
    "__init__.py": "",
    "__init__.pyi": "from . import rooms as rooms\nfrom .rooms.walls import paint as paint\n",
    "rooms/__init__.py": "",
    "rooms/__init__.pyi": "from .walls import paint as paint\nfrom .floor import tile as tile\n",
    "rooms/walls.py": "from library.tools import brush",
    "rooms/floor.py": "",
    "rooms/cellar.py": "",
    "tools.py": "",
    "attic.py": "",
}
WALLS = ["tools", "walls"]
ROOMS = ["cellar", "floor", *WALLS]
ALL = ["attic", *ROOMS]


@pytest.mark.parametrize(
    ("code", "needed"),
    [("import library as l; l.paint()", WALLS), ("import library; library.rooms.paint.colour", WALLS),
     ("from library import rooms as r\ndef f(): f'{r.paint}'", WALLS), ("from library.rooms import paint", WALLS),
     ("import library.rooms as r; r.walls.paint()", WALLS), ("from library import paint", WALLS),
     ("import library as l; l.rooms.tile(l.paint)", ["floor", *WALLS]), ("import library as l; l.attic.x", ["attic"]),
     ("from library import rooms; f(rooms)", ROOMS), ("import library as l; getattr(l.rooms, 'paint')", ROOMS),
     ("from library.rooms import *", ROOMS), ("import library as l; l.rooms.__path__", ROOMS),
     ("import library as l; l.tools.x; f(l)", ALL), ("import library as l", ALL)],
)  # fmt: skip
def test_of_lazy_packages_that_counts_which_is_taken_and_all_where_that_is_unknown(code, needed, tmp_path):
    for name, content in LAZY.items():
        (tmp_path / "library" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "library" / name).write_text(content)
    found = [Path(path) for path in library_sources(code, library=tmp_path / "library")]
    assert sorted(path.stem for path in found if path.name != "__init__.py") == needed


def test_code_that_is_no_python_is_refused_by_name():
    with pytest.raises(ValueError, match="04_disrupt.ipynb is no valid Python"):
        hash_code("def", "04_disrupt.ipynb")
