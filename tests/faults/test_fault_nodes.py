"""What cells, kernels and disks do to a node: it fails in one sentence, alone, and nothing of it lives on."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import yaml
from test_study_command import command
from test_study_graph import SPLIT, write_notebook

from antidisrupt_lib.study.params import BY_HAND

CELLS = {
    "exits": "import sys\nsys.exit(0)",
    "quits": "raise SystemExit",
    "never_ends": """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)
time.sleep(900)""",
    "is_killed": "import os\nos.kill(os.getpid(), 9)",
    "wants_memory": """
import psutil, resource
most = psutil.Process().memory_info().vms + 2**28
resource.setrlimit(resource.RLIMIT_AS, (most, most))
bytearray(2**32)""",
    "leaves_a_child": """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)"], start_new_session=True)""",
    "is_fine": "from pathlib import Path\n(Path(out) / 'n').write_text('1')",
}
AFTER = "from pathlib import Path\n(Path(out) / 'after').touch()"
LIMIT = 45


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A run of all these cells, and the folder of its results."""
    root = tmp_path_factory.mktemp("nodes")
    for name, cell in CELLS.items():
        write_notebook(root / f"notebooks/{name}.ipynb", SPLIT.replace("01_split", name), cell, AFTER)
    stages = {name: {} for name in CELLS} | {"never_ends": {"time_limit": LIMIT}}
    (root / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": stages}))
    return root / "outputs/tiny", subprocess.run(command(root), capture_output=True, text=True)


@contextmanager
def disk(folder: Path, options: str) -> Iterator[None]:
    """A disk of its own in a folder, where this system lets us mount one."""
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.fault("a cell that ends the notebook early, with sys.exit(0) say", "the node fails: half a result is none")
@pytest.mark.parametrize("name", ["exits", "quits"])
def test_a_notebook_that_ends_early_fails(ran, name):
    folder, done = ran
    assert not (folder / name).exists() and f"{name} FAILED: a cell ended the notebook early" in done.stdout


@pytest.mark.fault("a cell that never ends, in a stage with a time limit", "stopped with all its children, and said")
def test_a_cell_that_never_ends_is_stopped(ran):
    folder, done = ran
    assert f"never_ends FAILED: it ran longer than its time limit of {LIMIT} s" in done.stdout
    assert not (folder / "never_ends").exists()


@pytest.mark.fault("a kernel that is killed", "the node fails with the memory that it held")
def test_a_killed_kernel_is_said(ran):
    assert "is_killed FAILED: its kernel died or was killed" in ran[1].stdout
    assert "MiB at most; the machine has" in ran[1].stdout


@pytest.mark.fault("a kernel that gets no more memory", "said as such")
def test_a_want_of_memory_is_said(ran):
    assert "wants_memory FAILED: MemoryError" in ran[1].stdout


@pytest.mark.fault("a cell that leaves children", "they are ended with the node, which is done")
def test_children_that_are_left_are_ended(ran):
    folder, _ = ran
    assert (folder / "leaves_a_child/after").exists()
    tags = [process.info["environ"] or {} for process in psutil.process_iter(["environ"])]
    assert not [tag for tag in tags if tag.get("ANTIDISRUPT_PROGRESS", "").startswith(f"{folder}/")]


FILL = """
from pathlib import Path
(Path(out) / "big").write_bytes(bytes(2**26))"""


@pytest.mark.fault("a full disk (a small tmpfs) in a node and in the driver", "a sentence each; what was done is kept")
def test_a_full_disk_is_a_sentence(tmp_path):
    write_notebook(tmp_path / "notebooks/is_fine.ipynb", SPLIT, CELLS["is_fine"])
    reads = f'before = "{BY_HAND}is_fine"\nout = "{BY_HAND}fills_the_disk"'
    write_notebook(tmp_path / "notebooks/fills_the_disk.ipynb", reads, FILL)
    stages = {"is_fine": {}, "fills_the_disk": {}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": stages}))
    with disk(tmp_path / "outputs", "size=8m"):
        done = subprocess.run(command(tmp_path), capture_output=True, text=True)
        assert (tmp_path / "outputs/tiny/is_fine/n").exists()
    assert "fills_the_disk FAILED: " in done.stdout and "No space left on device" in done.stdout
    assert "1 made: 1 results stand" in done.stdout and "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 1 and len(done.stderr.splitlines()) <= 1


@pytest.mark.fault("a folder of results that can't be written (a read-only tmpfs)", "one sentence before anything runs")
def test_a_read_only_folder_is_refused(tmp_path):
    write_notebook(tmp_path / "notebooks/is_fine.ipynb", SPLIT, CELLS["is_fine"])
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": {"is_fine": {}}}))
    with disk(tmp_path / "outputs", "ro"):
        done = subprocess.run(command(tmp_path), capture_output=True, text=True)
    said = "outputs/tiny can't be made: Read-only file system. Give another --outputs."
    assert done.returncode == 2 and said in done.stderr and len(done.stderr.splitlines()) == 1
