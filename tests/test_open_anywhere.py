"""Colab, Binder and containers: what opens the project elsewhere is whole, agrees with the package, and is linted."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from test_study_graph import SPLIT, write_notebook

from antidisrupt_lib.study.sources import hash_code, notebook_code

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REPOSITORY, TAG = PROJECT["urls"]["Repository"], f"v{PROJECT['version']}"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
sys.path.append(str(ROOT / "notebooks"))


def cells(path: Path, tag: str) -> list[str]:
    found = nbformat.read(path, as_version=4).cells
    return [cell.source for cell in found if tag in cell.metadata.get("tags", [])]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_notebook_has_its_badges_and_the_set_up_cell_of_this_version(path):
    title = nbformat.read(path, as_version=4).cells[0].source
    slug = REPOSITORY.removeprefix("https://github.com/")
    assert f"](https://colab.research.google.com/github/{slug}/blob/{TAG}/notebooks/{path.name})" in title
    assert f"](https://mybinder.org/v2/gh/{slug}/{TAG}?urlpath=lab/tree/notebooks/{path.name})" in title
    assert cells(path, "set-up") == cells(NOTEBOOKS[0], "set-up")
    assert REPOSITORY in cells(path, "set-up")[0] and f"--branch {TAG} " in cells(path, "set-up")[0]


def test_where_the_library_is_the_set_up_cell_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    exec(cells(NOTEBOOKS[0], "set-up")[0], {})
    assert not list(tmp_path.iterdir()) and sys.path == before


def test_a_new_tag_makes_no_result_old(tmp_path):
    notebook = write_notebook(tmp_path / "01_split.ipynb", SPLIT, "print(1)")
    without = hash_code(notebook_code(notebook), "")
    book = json.loads(notebook.read_text())
    book["cells"].insert(1, {**book["cells"][1], "source": "tag = 2", "metadata": {"tags": ["set-up"]}})
    notebook.write_text(json.dumps(book))
    assert hash_code(notebook_code(notebook), "") == without


def test_the_set_up_installs_what_is_missing_or_too_old_and_never_another_torch(monkeypatch):
    import set_up

    run = []
    monkeypatch.setattr(set_up.subprocess, "run", lambda command, check: run.append((command, _constraints(command))))
    monkeypatch.setattr(set_up, "version", {"torch": "2.9.0", "numpy": "1.0", "pandas": "9.0"}.__getitem__)
    monkeypatch.setattr(set_up, "PackageNotFoundError", KeyError)
    wanted = map(Requirement, ["torch>=2.11", "numpy>=2.0", "pandas>=2.2", "timm>=1"])
    wanting = [one for one in wanted if set_up.missing(one)]
    assert [one.name for one in wanting] == ["numpy", "timm"]
    set_up.install(wanting)
    ((command, kept),) = run
    assert command[-2:] == ["numpy>=2.0", "timm>=1"] and kept == "torch==2.9.0\n"


def _constraints(command: list[str]) -> str:
    return Path(command[command.index("-c") + 1]).read_text()


def test_the_dockerfile_passes_hadolint():
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or "hadolint"
    ignored = ["--ignore", "DL3008", "--ignore", "DL3013"]  # versions: apt's are the image's, pip's in constraints.txt
    done = subprocess.run([linter, *ignored, str(ROOT / "Dockerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_containers_and_binder_agree_with_the_package():
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).samefile(ROOT / "Dockerfile")
    binder = yaml.safe_load((ROOT / "binder/environment.yml").read_text())
    home = yaml.safe_load((ROOT / "environment.yaml").read_text())
    assert binder["dependencies"] == home["dependencies"][:2] and binder["channels"] == home["channels"]
    script = ROOT / "binder/postBuild"
    assert script.stat().st_mode & 0o111 and subprocess.run(["bash", "-n", script]).returncode == 0
    images = [line.split()[1] for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("FROM")]
    assert images == ["python:3.12-slim"] and "python=3.12" in home["dependencies"]
