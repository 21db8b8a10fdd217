"""The command itself, with real kernels: kills, failures, and what a person reads."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml
from test_study_graph import DISRUPT, SPLIT, write_notebook

RUN_ALL = Path(__file__).parents[1] / "run_all.py"
SPLIT_CELL = """
import os
from pathlib import Path
(Path(out) / "B").mkdir()
(Path(out) / "B" / "threads").write_text(os.environ["OMP_NUM_THREADS"] + os.environ["ANTIDISRUPT_THREADS"])
"""
TRAIN_CELL = """
import os, time
from pathlib import Path
checkpoint = Path(out) / "checkpoint"
resumed = checkpoint.exists()
checkpoint.write_text(str(os.getpid()))
time.sleep(0 if resumed else 600)
"""


@pytest.fixture
def root(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, SPLIT_CELL)
    stages = {"01_split": {}, "04_disrupt": {}}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "threads": 2, "stages": stages}))
    return tmp_path


def command(root, *words):
    places = ("--outputs", root / "outputs", "--notebooks", root / "notebooks")
    return [sys.executable, RUN_ALL, root / "tiny.yaml", *places, "--jobs", "2", *words]


def run_all(root, *words):
    return subprocess.run(command(root, *words), capture_output=True, text=True)


def wait_for(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "this took too long"
        time.sleep(0.1)


def test_a_killed_run_leaves_no_writer_and_goes_on_where_it_was(root):
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT, TRAIN_CELL)
    killed = subprocess.Popen(command(root), stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: any(path.read_text() for path in root.glob("outputs/tiny/.partial/04_disrupt-*/checkpoint")))
        kernel = int(next(root.glob("outputs/tiny/.partial/04_disrupt-*/checkpoint")).read_text())
        assert "Another run of study tiny is at work" in run_all(root).stderr
    finally:
        killed.kill()
        killed.wait()
    wait_for(lambda: not psutil.pid_exists(kernel), seconds=10)
    assert not (root / "outputs/tiny/04_disrupt").exists()

    resumed = run_all(root)
    assert resumed.returncode == 0 and "1 made: 2 results stand" in resumed.stdout
    assert (root / "outputs/tiny/01_split/B/threads").read_text() == "22"
    assert (root / "outputs/tiny/04_disrupt/notebook.html").exists()

    start = time.monotonic()
    assert "nothing to do: 2 results stand" in run_all(root).stdout
    assert time.monotonic() - start < 5


def test_a_failing_cell_is_reported_with_its_own_words_and_its_notebook(root):
    write_notebook(root / "notebooks/01_split.ipynb", SPLIT, "raise ValueError('count is too large')")
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT)
    failed = run_all(root)
    assert failed.returncode == 1
    assert "01_split FAILED: ValueError: count is too large\n  in cell" in failed.stdout
    assert "04_disrupt was not run: it needs 01_split, which failed" in failed.stdout
    assert "1 failed: 01_split" in failed.stdout and "Traceback" not in failed.stdout
    assert "count is too large" in (root / "outputs/tiny/.failed/01_split.ipynb").read_text()


@pytest.mark.parametrize(
    "words, message",
    [
        (["--faces", "nowhere"], "--faces nowhere: that is no folder with files in it"),
        (["--set", "01_split.cuont=3"], "Did you mean `count`?"),
        (["--set", "01_split=3"], "write it as stage.name=value"),
        (["--until", "05_purify"], "there is no stage `05_purify`"),
        (["--only", "01_split", "--force", "04_disrupt"], "--force: there is no stage in this run `04_disrupt`"),
    ],
)
def test_a_bad_request_is_refused_in_one_paragraph_and_writes_nothing(root, words, message):
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT, "pass")
    refused = run_all(root, *words)
    assert refused.returncode == 2 and message in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1 and not os.path.exists(root / "outputs")
