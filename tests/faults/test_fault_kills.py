"""Whatever moment a run is killed at, the next one ends where an undisturbed one would."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from faulty import STAGES, facts, go, killed_at, small_study
from test_study_command import command, run_all, wait_for
from test_study_graph import SPLIT, make_study, write_notebook

from antidisrupt_lib.study.manifest import read_manifest, recipe_key
from antidisrupt_lib.study.places import REPLACED, attempts, begin_attempt, partial
from antidisrupt_lib.study.processes import SCRATCH, end_processes, sweep_scratch

CHANGED = STAGES | {"01_split": {"count": 4}, "08_evaluate": {"note": "2"}}


@pytest.mark.fault("SIGKILL before any rename, removal, write or flush of a run",
                   "the next run heals: the same manifests, nothing finished is done again")  # fmt: skip
def test_a_kill_at_any_call_heals(tmp_path):
    old = small_study(tmp_path / "old")
    go(old, report=True)
    undisturbed = small_study(tmp_path / "undisturbed")
    go(undisturbed, CHANGED)
    expected, n, root = facts(undisturbed, CHANGED), 0, tmp_path / "killed"
    killed = True
    while killed:
        n += 1
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(old, root, symlinks=True)
        (root / "log").unlink()
        killed = killed_at(n, root / "outputs", lambda: go(root, CHANGED, report=True))
        go(root, CHANGED, report=True)
        assert facts(root, CHANGED) == expected, f"killed at call {n}"
        assert_done_once((root / "log").read_text().splitlines(), n)
        assert not any((root / "outputs/tiny/.partial").iterdir()), f"killed at call {n}"
        assert (root / "outputs/tiny/report/index.html").exists()
        assert (root / "outputs/tiny/results.csv").read_text() == (
            root / "outputs/tiny/08_evaluate/results.csv"
        ).read_text()
    assert n > 30


def assert_done_once(log: list[str], n: int) -> None:
    """No node begins again once it was done; one that was killed at work is begun twice."""
    count = Counter(log)
    for stage in STAGES:
        assert count[f"{stage} is done"] == 1 and count[f"{stage} begins"] <= 2, f"killed at call {n}: {log}"


@pytest.mark.fault("killed while an older report, or an older result, is being deleted",
                   "the next report is written")  # fmt: skip
def test_what_a_kill_left_aside_is_no_obstacle(tmp_path):
    go(small_study(tmp_path), report=True)
    aside = tmp_path / "outputs/tiny/.partial"
    for name in ("report", "01_split"):
        (aside / f"{name}{REPLACED}/inside").mkdir(parents=True)
    outcome = go(tmp_path, CHANGED, report=True)
    assert len(outcome.ran) == 3 and not outcome.failed and not any(aside.iterdir())


@pytest.mark.fault("killed after an old result was moved away and before the new one took its place; then other values",
                   "the old result comes back")  # fmt: skip
def test_a_result_that_was_moved_away_comes_back(tmp_path):
    go(small_study(tmp_path))
    place = tmp_path / "outputs/tiny/01_split"
    place.rename(tmp_path / f"outputs/tiny/.partial/01_split{REPLACED}")
    assert go(tmp_path).ran == [] and place.is_dir()


WRITE_FACES = """
import os
import numpy as np, pandas as pd
from pathlib import Path
from antidisrupt_lib.faces.faceset import write_faceset
def batches():
    yield np.zeros((2, 8, 8, 3), np.uint8)
    if not (Path(out) / "forger.checkpoint").exists():
        (Path(out) / "forger.checkpoint").write_text("halfway")
        os._exit(9) if os.environ.get("KILL") else None
    yield np.ones((1, 8, 8, 3), np.uint8)
write_faceset(Path(out) / "B", batches(), pd.DataFrame({"image_id": ["a", "b", "c"]}), {}, size=8)
(Path(out) / "forger.checkpoint").unlink(missing_ok=True)
"""


@pytest.mark.fault("killed while a FaceSet is written, then resumed",
                   "what a fresh run publishes, from the checkpoint on; no half file")  # fmt: skip
def test_a_resumed_faceset_is_that_of_a_fresh_run(tmp_path, monkeypatch):
    for root in (tmp_path / "fresh", tmp_path / "killed"):
        small_study(root)
        write_notebook(root / "notebooks/01_split.ipynb", SPLIT, WRITE_FACES)
    stages = {"01_split": {}}
    go(tmp_path / "fresh", stages)
    monkeypatch.setenv("KILL", "1")
    child = os.fork()
    if not child:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        go(tmp_path / "killed", stages)
        os._exit(0)
    assert os.WEXITSTATUS(os.waitpid(child, 0)[1]) == 9
    left = next((tmp_path / "killed/outputs/tiny/.partial").iterdir())
    assert (left / "forger.checkpoint").exists() and any(left.glob(".B.*/images.npy"))
    go(tmp_path / "killed", stages)
    assert facts(tmp_path / "killed", stages) == facts(tmp_path / "fresh", stages)
    assert np.load(tmp_path / "killed/outputs/tiny/01_split/B/images.npy")[2].all()


@pytest.mark.fault("an orphan of a lost attempt goes on writing",
                   "into a folder that no other attempt uses: nothing of it is published")  # fmt: skip
def test_attempts_never_share_a_folder(tmp_path):
    study = make_study(small_study(tmp_path), {"01_split": {}})
    node = study.nodes["01_split"]
    first = begin_attempt(study, node, "0" * 64, fresh=False)
    (first / "forger.checkpoint").write_text("step 500")
    with open(first / ".half", "w") as orphan:
        second = begin_attempt(study, node, "0" * 64, fresh=False)
        assert second != first and (second / "forger.checkpoint").read_text() == "step 500"
        orphan.write("more")
    first.mkdir(), (first / "stray").write_text("written by its path")
    assert {path.name for path in second.iterdir()} == {"forger.checkpoint"}
    assert attempts(study, node, "1" * 64) == []
    third = begin_attempt(study, node, "0" * 64, fresh=True)
    assert list(third.iterdir()) == [] and list(partial(study).iterdir()) == [third]


# Real processes


SLEEP = """
import os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
resumed = (Path(out) / "checkpoint").exists()
(Path(out) / "checkpoint").write_text(f"{os.getpid()} {child.pid}")
time.sleep(0 if resumed else 600)
"""


@pytest.fixture
def sleeping(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, SLEEP)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": {"01_split": {}}}))
    return tmp_path


@pytest.mark.fault("SIGTERM or SIGKILL of the driver while a cell runs that has children of its own",
                   "no process and no temporary folder left; the next run goes on")  # fmt: skip
def test_a_stopped_driver_leaves_nothing_behind(sleeping, tmp_path_factory, monkeypatch):
    temporary = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(temporary))
    place = sleeping / "outputs/tiny/.partial"
    for stop in STOPPED:
        driver = subprocess.Popen(command(sleeping), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: any(path.read_text() for path in place.glob("01_split-*/checkpoint")))
        kernel, child = map(int, next(place.glob("01_split-*/checkpoint")).read_text().split())
        next(place.glob("01_split-*/checkpoint")).unlink()
        driver.send_signal(stop)
        said = driver.communicate(timeout=60)[1]
        assert (driver.returncode, said.strip()) == STOPPED[stop]
        wait_for(lambda one=kernel, two=child: not (psutil.pid_exists(one) or psutil.pid_exists(two)), seconds=20)
    assert any(place.iterdir())
    next(path for path in place.glob("01_split-*") if path.is_dir()).joinpath("checkpoint").touch()  # resumed: it ends
    assert run_all(sleeping).returncode == 0 and not any(place.iterdir())
    assert not list(temporary.glob(f"{SCRATCH}*"))


STOPPED = {
    signal.SIGTERM: (130, "Stopped. What is done is kept: the same command goes on from here."),
    signal.SIGKILL: (-9, ""),
}


@pytest.mark.fault("temporary folders of processes that were killed", "the next run sweeps them, and no others")
def test_temporary_folders_of_the_dead_are_swept(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (f"{SCRATCH}-{dead.pid}-x", f"{SCRATCH}-{os.getpid()}-y", f"antidisrupt-abcdef-{dead.pid}-z", "mine"):
        (tmp_path / name / "inside").mkdir(parents=True)
    sweep_scratch()
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {f"{SCRATCH}-{os.getpid()}-y", f"antidisrupt-abcdef-{dead.pid}-z", "mine"}


@pytest.mark.fault("a process of a node whose parents are gone", "known by its environment, and ended")
def test_orphans_are_ended_by_their_environment(tmp_path):
    code = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"
    tagged, other = ({"ANTIDISRUPT_PROGRESS": f"{tmp_path}/{name}/n.json"} for name in ("a", "b"))
    for environment in (tagged, other):
        subprocess.run([sys.executable, "-c", code], env=os.environ | environment, check=True)

    def alive(environment: dict) -> bool:
        return any(
            process.info["environ"] and environment.items() <= process.info["environ"].items()
            for process in psutil.process_iter(["environ"])
        )

    assert alive(tagged) and alive(other)
    end_processes(f"{tmp_path}/a/")
    assert not alive(tagged) and alive(other)
    end_processes(f"{tmp_path}/b/")


def test_a_manifest_is_known_by_its_recipe(tmp_path):
    go(small_study(tmp_path))
    manifest = read_manifest(tmp_path / "outputs/tiny/01_split")
    assert manifest["key"] == recipe_key(manifest) != recipe_key(manifest | {"threads": 9})
    assert Path(tmp_path / "outputs/tiny/01_split/manifest.json").is_file()
