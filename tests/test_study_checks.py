"""What only a notebook's own code can judge is judged before the study begins."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from test_study_graph import DISRUPT, SPLIT, make_study, write_notebook

from antidisrupt_lib.study.checks import refusals, shown

ROOT = Path(__file__).parents[1]


def tag_last_cell(path, tag="check"):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = [tag]
    nbformat.write(notebook, path)


@pytest.fixture
def study(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    code = "if attack not in ('pgd', 'bim'):\n    raise ValueError(f'There is no attack {attack!r}.')"
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", DISRUPT, code)
    tag_last_cell(tmp_path / "notebooks/04_disrupt.ipynb")
    return lambda attack: make_study(tmp_path, {"01_split": {}, "04_disrupt": {"attack": attack}})


def test_a_value_that_a_check_cell_refuses_stops_the_study_by_its_words(study):
    assert refusals(study("pgd"), ["01_split", "04_disrupt"]) == {}
    assert refusals(study("pdg"), ["01_split", "04_disrupt"]) == {"04_disrupt": "There is no attack 'pdg'."}


def test_only_what_is_asked_for_is_refused(study):
    assert refusals(study("pdg"), ["01_split"]) == {} == refusals(study("pdg"), [])


def test_a_refusal_of_many_nodes_is_shown_once():
    assert shown({"a": "too large", "b": "too small", "c": "too large"}) == "a: too large\nb: too small"


def test_names_that_only_the_libraries_know_are_refused_before_anything_is_written(tmp_path):
    changes = ["07_train_detectors.detector=resnet19", "05_purify.purifier=blur", "04_disrupt.objective=pink"]
    command = [sys.executable, ROOT / "run_all.py", ROOT / "params/smoke.yaml", "--outputs", tmp_path]
    done = subprocess.run([*command, *(word for change in changes for word in ("--set", change))],
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 2 and not any(tmp_path.iterdir())
    said = ["04_disrupt: There is no objective 'pink'", "05_purify: There is no purifier 'blur'", "called 'resnet19'"]
    assert all(words in done.stderr for words in said) and len(done.stderr.splitlines()) == 3
