"""What lies around a study: a site's kernels, modules, GPUs and file systems change nothing, and are recorded."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from test_study_graph import write_notebook
from test_study_paths import GIVEN, ROOT, read
from torch import nn

from antidisrupt_lib.study.circumstances import in_words
from antidisrupt_lib.study.kernel import LONGEST_SOCKET, OwnKernel, private_sockets
from antidisrupt_lib.study.manifest import read_manifest, write_manifest
from antidisrupt_lib.training import device_name
from antidisrupt_lib.weights import atomic_path, save_weights

ODD = "work {x} {} {0} 'q' \"d\" \\b $HOME %s #é 100%:c \n *?[a] ~"
SURROUNDINGS = """
import json, os, sys
from pathlib import Path
import antidisrupt_lib
found = {"python": sys.executable, "library": antidisrupt_lib.__file__, "cwd": os.getcwd(), "value": value}
found |= {"faces": sorted(os.listdir(faces)), "weights": Path(start_weights).read_text()}
(Path(out) / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def surrounded(tmp_path_factory):
    root = tmp_path_factory.mktemp("study") / ODD
    write_notebook(root.parent / "notebooks/01_split.ipynb", GIVEN, SURROUNDINGS)
    stand = root / "where the user stands"
    (stand / "faces {x}").mkdir(parents=True)
    (root.parent / "notebooks").rename(root / "notebooks")
    (stand / "faces {x}" / "1 é.jpg").touch()
    (stand / "G {1} #.ckpt").write_text("weights")
    (stand / "my {study}.yaml").write_text("study: tiny\nstages: {01_split: {value: '{x} \\ \" $HOME é'}}")
    for module in ("json", "papermill", "antidisrupt_lib"):
        (stand / f"{module}.py").write_text("raise SystemExit('a module of the folder where the user stands')")
    spec = {"argv": ["/bin/false", "{connection_file}"], "display_name": "a site's own", "language": "python"}
    (root / "kernels/python3").mkdir(parents=True)
    (root / "kernels/python3/kernel.json").write_text(json.dumps(spec))
    driver = tmp_path_factory.mktemp("bin") / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho NVIDIA GeForce RTX 3090\n")
    driver.chmod(0o755)
    long = root / ("t" * 120)
    long.mkdir()
    around = {"JUPYTER_PATH": str(root), "TMPDIR": str(long), "LC_ALL": "C"}
    around["PATH"] = f"{driver.parent}:{os.environ['PATH']}"
    words = [
        "my {study}.yaml",
        "--faces",
        "faces {x}",
        "--set",
        "01_split.start_weights=G {1} #.ckpt",
        "--outputs",
        "o {y}",
    ]
    command = [sys.executable, ROOT / "run_all.py", *words, "--notebooks", root / "notebooks"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=stand, env=environment | around)
    assert done.returncode == 0, done.stdout + done.stderr
    result = stand / "o {y}/tiny/01_split"
    return root, done, json.loads((result / "found.json").read_text()), read_manifest(result), result


@read
def test_odd_characters_in_every_path_and_value(surrounded):
    root, done, found, manifest, result = surrounded
    assert found["faces"] == ["1 é.jpg"] and found["weights"] == "weights" and found["value"] == '{x} \\ " $HOME é'
    assert found["cwd"] == str(root / "notebooks") and "1 made: 1 results stand" in done.stdout
    assert manifest["parameters"]["start_weights"] == "../where the user stands/G {1} #.ckpt"
    assert (result / "notebook.html").exists() and "../01_split/notebook.html" in (
        result.parent / "report/index.html"
    ).read_text()


@pytest.mark.kind("paths and environment", "left alone: the kernel is that of the Python that runs the study")
def test_a_kernel_called_python3_that_belongs_to_another_python(surrounded):
    assert surrounded[2]["python"] == sys.executable


@pytest.mark.kind("paths and environment", "left alone: the library is the one that the manifest hashes")
def test_modules_in_the_folder_where_the_user_stands(surrounded):
    assert surrounded[2]["library"] == str(ROOT / "antidisrupt_lib/__init__.py")


@pytest.mark.kind("paths and environment", "recorded beside what PyTorch used")
def test_a_gpu_that_the_driver_shows_and_pytorch_does_not_use(surrounded):
    _, _, _, manifest, result = surrounded
    used = device_name()
    assert manifest["device"]["torch"] == used and manifest["device"]["gpus"] == ["NVIDIA GeForce RTX 3090"]
    page = (result.parent / "report/index.html").read_text()
    assert f"PyTorch on the {used} (the driver shows NVIDIA GeForce RTX 3090)" in page or "3090" in used


# Devices, kernels, file systems


@pytest.mark.kind("paths and environment", "reported as it was recorded")
@pytest.mark.parametrize(
    "recorded, said",
    [
        ({"torch": "cpu", "gpus": []}, "x86_64, 2 cores, PyTorch on the cpu"),
        ({"torch": "cpu", "gpus": ["RTX"]}, "x86_64, 2 cores, PyTorch on the cpu (the driver shows RTX)"),
        ({"torch": "RTX", "gpus": ["RTX"]}, "x86_64, 2 cores, PyTorch on the RTX"),
        ({"gpus": ["RTX"]}, "x86_64, 2 cores (the driver shows RTX)"),  # by an older manifest
    ],
)
def test_what_was_used_and_what_the_driver_shows(recorded, said):
    assert in_words({"cpu": "x86_64", "cores": 2} | recorded) == said


@read
@pytest.mark.parametrize("name", ["x", "x" * 200, "é{x} %"])
def test_sockets_fit_whatever_the_temporary_folder(tmp_path, monkeypatch, name):
    (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / name))
    with private_sockets() as config:
        kernel = OwnKernel(config=config, kernel_name="python3")
        assert kernel.format_kernel_cmd()[0] == sys.executable and kernel.kernel_spec.language == "python"
        assert len(os.fsencode(kernel.connection_file)) < LONGEST_SOCKET + 20
    assert not Path(kernel.connection_file).parent.exists()


@pytest.mark.kind("paths and environment", "written: what is flushed is open for writing, as Windows wants it")
def test_a_system_that_flushes_only_what_is_open_for_writing(tmp_path, monkeypatch):
    flush = os.fsync

    def commit(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", commit)
    save_weights(tmp_path / "w.safetensors", nn.Linear(1, 1), {})
    write_manifest(tmp_path, {})
    assert {path.name for path in tmp_path.iterdir()} == {"w.safetensors", "manifest.json"}


@read
def test_a_file_whose_name_is_as_long_as_names_can_be(tmp_path):
    with atomic_path(tmp_path / ("é" * 127)) as temporary:
        temporary.write_text("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]
