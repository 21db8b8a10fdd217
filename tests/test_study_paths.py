"""Paths: whatever they are called and wherever the user stands, a study runs or says why not."""

import importlib.util
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_study_graph import SPLIT, make_study, write_notebook
from test_study_runner import WRITE_SPLIT, go

from antidisrupt_lib.by_hand import result_folder
from antidisrupt_lib.study.graph import load_study, missing_files
from antidisrupt_lib.study.locks import lock
from antidisrupt_lib.study.manifest import read_manifest
from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.paths import absolute, portable
from antidisrupt_lib.study.study_file import said_in

ROOT = Path(__file__).parents[1]
GIVEN = f'faces: str = "drawn"\nstart_weights: str = ""\nvalue: str = "a"\nout = "{BY_HAND}01_split"'
read = pytest.mark.kind("paths and environment", "runs")
refused = pytest.mark.kind("paths and environment", "refused before anything is written")


def load(root, text="study: a\nstages: {01_split: {}}\n", outputs="outputs", **options):
    (root / "params").mkdir(exist_ok=True)
    (root / "params/study.yaml").write_text(text)
    if not (root / "notebooks").exists():
        write_notebook(root / "notebooks/01_split.ipynb", GIVEN)
    return load_study(root / "params/study.yaml", outputs=root / outputs, notebooks=root / "notebooks", **options)


def parameters(root, *words, **options):
    return load(root, *words, **options).nodes["01_split"].parameters


@pytest.fixture
def run_all():
    spec = importlib.util.spec_from_file_location("run_all", ROOT / "run_all.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..")
)


@pytest.mark.kind("paths and environment", "runs; the result is read back")
@settings(max_examples=10, deadline=None, derandomize=True)
@given(project=names, value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20))
def test_any_name_of_a_project_and_any_text_of_a_value(project, value):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, project)
        root.mkdir()
        cell = SPLIT + '\nword: str = ""'
        write_notebook(root / "notebooks/01_split.ipynb", cell, WRITE_SPLIT)
        stages = {"01_split": {"word": value}}
        assert go(root, stages).ran == ["01_split"] and go(root, stages).ran == []
        assert read_manifest(root / "outputs/tiny/01_split")["parameters"]["word"] == value


# What paths are relative to


@read
@pytest.mark.parametrize(
    "given, expected",
    [
        ("G.ckpt", "../stand/G.ckpt"), ("../G.ckpt", "../G.ckpt"), ("./zoo/G.ckpt", "../stand/zoo/G.ckpt"), ("", ""),
        ("zoo/G.ckpt", "zoo/G.ckpt"), ("./drawn", "../stand/drawn"), ("~/G.ckpt", "~/G.ckpt"), ("/a/b", "/a/b"),
        ("'a b'", "../stand/a b"), ('""', ""), ("a: {b} #c", "../stand/a: {b} #c"), ("null", "../stand/null"),
    ],
)  # fmt: skip
def test_a_path_on_the_command_line_is_relative_to_where_the_user_stands(tmp_path, monkeypatch, given, expected):
    (tmp_path / "stand").mkdir()
    monkeypatch.chdir(tmp_path / "stand")
    found = parameters(tmp_path, assignments=[f"01_split.start_weights={given}"])["start_weights"]
    assert found == os.path.expanduser(expected)


@read
def test_a_path_in_a_study_file_is_relative_to_that_file_also_in_its_base(tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    (tmp_path / "base/base.yaml").write_text("study: b\nstages: {01_split: {start_weights: G.ckpt, faces: drawn}}")
    monkeypatch.chdir("/")
    text = "study: a\nbase: ../base/base.yaml\ncommon: {faces: ../data}\nstages: {01_split: {value: text/like}}"
    found = parameters(tmp_path, text)
    assert found == {"start_weights": "../base/G.ckpt", "faces": "drawn", "value": "text/like"}


@read
def test_faces_and_files_outside_the_project_are_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    found = parameters(tmp_path / "inner", faces=Path("faces"), assignments=["common.start_weights=G"])
    assert found["faces"] == str(tmp_path / "faces") and found["start_weights"] == str(tmp_path / "G")


@read
def test_a_project_can_be_moved_without_new_parameters(tmp_path):
    text = "study: a\nstages: {01_split: {faces: ../data, start_weights: ../outputs/b/G}}"
    (tmp_path / "one").mkdir()
    before = parameters(tmp_path / "one", text)
    (tmp_path / "one").rename(tmp_path / "two")
    assert parameters(tmp_path / "two", text) == before


@read
@pytest.mark.parametrize(
    "assignment, said",
    [
        ("02_train.start_weights=G.ckpt", "02_train.start_weights=stand/G.ckpt"),
        ("02_train.start_weights=/x/G.ckpt", "02_train.start_weights=/x/G.ckpt"),
        ("02_train.start_weights=zoo/G", "02_train.start_weights=zoo/G"),
        ('02_train.start_weights=""', '02_train.start_weights=""'),
        ("04_disrupt.eps=0.05", "04_disrupt.eps=0.05"),
    ],
)
def test_the_reports_command_finds_the_same_paths_from_the_projects_folder(tmp_path, monkeypatch, assignment, said):
    (tmp_path / "stand").mkdir()
    monkeypatch.chdir(tmp_path / "stand")
    assert said_in(assignment, tmp_path) == said


@pytest.mark.kind("paths and environment", "named in full, as on another drive of Windows")
def test_a_study_file_outside_the_project(tmp_path):
    assert portable(tmp_path / "a/b.yaml", tmp_path) == "a/b.yaml"
    assert portable("/elsewhere/b.yaml", tmp_path) == "/elsewhere/b.yaml"  # ntpath.relpath would raise


# What is refused


@refused
@pytest.mark.parametrize(
    "option, given",
    [("params", "{bad}/study.yaml"), ("--outputs", "{bad}"), ("--faces", "{bad}"), ("--notebooks", "{bad}/notebooks"),
     ("--set", "01_split.start_weights={bad}/G")],
)  # fmt: skip
def test_a_path_with_bytes_that_are_no_text(tmp_path, capsys, run_all, option, given):
    bad = os.fsdecode(bytes(tmp_path / "x") + b"\xff")
    for root in (str(tmp_path / "fine"), bad):
        os.mkdir(root)
        write_notebook(Path(root, "notebooks/01_split.ipynb"), GIVEN)
        Path(root, "study.yaml").write_text("study: a\nstages: {01_split: {}}\n")
    fine = tmp_path / "fine"
    words = {"params": f"{fine}/study.yaml", "--outputs": f"{fine}/outputs", "--notebooks": f"{fine}/notebooks"}
    words |= {option: given.format(bad=bad)}
    assert run_all.main([words.pop("params"), *(word for pair in words.items() for word in pair)]) == 2
    said = capsys.readouterr().err
    assert "x\\udcff" in said and "bytes that are no text" in said and len(said.splitlines()) == 1
    assert {*os.listdir(fine), *os.listdir(bad)} == {"notebooks", "study.yaml"}


@refused
@pytest.mark.parametrize("outputs", ["new/" + "x" * 300, "x/" * 2000, "new/" + "é" * 130 + "/deep"])
def test_an_output_folder_that_is_too_long(tmp_path, outputs):
    with pytest.raises(ValueError, match="No file system takes|too long paths") as refusal:
        load(tmp_path, outputs=outputs)
    assert len(str(refusal.value)) < 200 and not (tmp_path / "new").exists()


@refused
def test_an_output_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"file/outputs/a can't be made: Not a directory. Give another --outputs."):
        lock(load(tmp_path, outputs="file/outputs"))


@refused
@pytest.mark.parametrize(
    "values, said",
    [
        ("{start_weights: ../G.ckpt}", "`start_weights` is {root}/G.ckpt, and there is nothing. Correct the path."),
        ("{faces: ../data}", "`faces` is {root}/data, and there is nothing. Correct the path, or give --faces DIR."),
        ("{start_weights: zoo/none.safetensors}", "zoo/none.safetensors, and there is nothing"),
    ],
)
def test_a_file_that_is_not_there(tmp_path, values, said):
    nodes = load(tmp_path, f"study: a\nstages: {{01_split: {values}}}").nodes
    assert said.format(root=tmp_path) in missing_files(nodes.values())["01_split"]
    fine = load(tmp_path, "study: a\nstages: {01_split: {start_weights: zoo/attention.safetensors, faces: drawn}}")
    assert missing_files(fine.nodes.values()) == {}


@pytest.mark.kind("paths and environment", "read")
def test_a_grid_of_paths_is_called_by_the_names_of_its_files(tmp_path):
    grid = "{start_weights: [../G.ckpt, zoo/attention.safetensors]}"
    nodes = load(tmp_path, f"study: a\nstages: {{01_split: {{grid: {grid}}}}}").nodes
    assert [*nodes] == ["01_split[start_weights=G]", "01_split[start_weights=attention]"]
    given = [node.given_paths["start_weights"] for node in nodes.values()]
    assert Path(tmp_path, "notebooks", given[0]).resolve() == tmp_path / "G.ckpt"
    assert given[1] == "zoo/attention.safetensors"
    assert [*missing_files(nodes.values())] == ["01_split[start_weights=G]"]


@pytest.mark.kind("paths and environment", "read")
def test_a_grid_may_name_its_paths(tmp_path):
    grid = "{start_weights: {stargan: ../a/G.ckpt, attention: ../b/G.ckpt}}"
    only = "[{start_weights: attention}]"
    (node,) = load(tmp_path, f"study: a\nstages: {{01_split: {{grid: {grid}, only: {only}}}}}").nodes.values()
    assert node.id == "01_split[start_weights=attention]"
    assert Path(tmp_path, "notebooks", node.given_paths["start_weights"]).resolve() == tmp_path / "b/G.ckpt"


@refused
@pytest.mark.parametrize("axis", ["start_weights: [a/G.ckpt, b/G.ckpt]", "start_weights: ['', a]", "value: {a: 1}"])
def test_a_grid_of_paths_without_a_name_each(tmp_path, axis):
    with pytest.raises(ValueError, match="axis `start_weights` name folders|only paths on a grid have names"):
        load(tmp_path, f"study: a\nstages: {{01_split: {{grid: {{{axis}}}}}}}")


@refused
@pytest.mark.parametrize("source", ["01_split/../x", "01_split//etc", "01_split/.."])
def test_an_input_that_leaves_its_stage(tmp_path, source):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    write_notebook(tmp_path / "notebooks/next.ipynb", f'photos = "{BY_HAND}01_split"\nout = "{BY_HAND}next"')
    with pytest.raises(ValueError, match="must stay inside its stage"):
        make_study(tmp_path, {"01_split": {}, "next": {"photos": source}})


@refused
@pytest.mark.parametrize("jobs", ["0", "-1", "two", "1.5"])
def test_a_number_of_jobs_that_is_none(run_all, capsys, jobs):
    with pytest.raises(SystemExit):
        run_all.main(["--jobs", jobs])
    assert "is no number of jobs" in capsys.readouterr().err


@pytest.mark.kind("paths and environment", "as many jobs as what PyTorch uses has room for")
@pytest.mark.parametrize("used, jobs", [("cpu", 8), ("NVIDIA H100", 1)])
def test_the_number_of_jobs_follows_what_pytorch_uses(tmp_path, monkeypatch, run_all, used, jobs):
    monkeypatch.setattr(run_all, "torch_device", lambda: used)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert run_all.default_jobs(list(load(tmp_path).nodes.values())) == jobs


# Notebooks by hand


@pytest.mark.kind("paths and environment", "refused, with a word about --cwd")
@pytest.mark.parametrize("stand", [".", "elsewhere"])
def test_a_notebook_that_papermill_runs_outside_its_folder(tmp_path, monkeypatch, stand):
    (tmp_path / "project/elsewhere").mkdir(parents=True)
    write_notebook(tmp_path / "project/notebooks/01_split.ipynb", SPLIT)
    (tmp_path / "project/01_split.ipynb").touch()  # papermill's output may be called so
    monkeypatch.chdir(tmp_path / "project" / stand)
    with pytest.raises(ValueError, match="add `--cwd notebooks`; or give `out` as a full path"):
        result_folder(f"{BY_HAND}01_split")
    assert not list(tmp_path.glob("**/outputs"))


@read
def test_a_notebook_in_its_own_folder_or_with_a_path_in_full(tmp_path, monkeypatch):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    monkeypatch.chdir(tmp_path / "notebooks")
    assert result_folder(f"{BY_HAND}01_split").is_dir() and (tmp_path / "outputs/notebooks/01_split").is_dir()
    monkeypatch.chdir(tmp_path)
    assert result_folder(str(tmp_path / "mine")).is_dir() and result_folder("here").is_dir()


@read
def test_a_home_that_is_named_by_a_tilde():
    assert absolute("~/a/../b") == Path.home() / "b" and absolute("./~") == Path.cwd() / "~"
