"""What is released is whole: a wheel that protects a photo outside a clone, and metadata that agree."""

import json
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--skip-dependency-check", "--outdir", str(folder)]
    done = subprocess.run([*build, str(ROOT)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


def test_what_pypi_would_get_passes_twine(dist):
    made = sorted(map(str, dist.iterdir()))
    assert [Path(path).name.split("-")[1] for path in made] == [PROJECT["version"], f"{PROJECT['version']}.tar.gz"]
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *made], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_wheel_holds_the_zoo_the_templates_and_the_command(dist):
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        held = {name for name in file.namelist() if name.startswith("antidisrupt_lib/")}
        (command,) = [file.read(name).decode() for name in file.namelist() if name.endswith("entry_points.txt")]
    tracked = subprocess.run(["git", "ls-files", "antidisrupt_lib"], cwd=ROOT, capture_output=True, text=True)
    assert set(tracked.stdout.split()) == held and "antidisrupt = antidisrupt_lib.__main__:main" in command


def test_zenodo_and_the_citation_say_the_same():
    zenodo = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert (zenodo["title"], zenodo["license"]) == (citation["title"], citation["license"])
    assert zenodo["description"] == citation["abstract"]
    assert [one["name"] for one in zenodo["creators"]] == [one["name"] for one in citation["authors"]]
    assert zenodo["related_identifiers"][0]["identifier"] == citation["references"][0]["doi"]
    assert citation["repository-code"] == PROJECT["urls"]["Repository"]


def test_the_outputs_folder_says_what_appears_in_it_and_keeps_nothing_else():
    tracked = subprocess.run(["git", "ls-files", "outputs"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert tracked == ["outputs/README.md"]
