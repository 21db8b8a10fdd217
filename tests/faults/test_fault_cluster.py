"""Nodes on GPUs' slots and on dask's workers: the same results, also when workers are lost."""

import io
import os
import random
import shutil
import threading
import time
from contextlib import redirect_stdout

import dask
import pytest
import yaml
from faulty import WRITE_RESULTS, facts
from test_study_command import run_all, wait_for
from test_study_graph import DISRUPT, EVALUATE, SPLIT, make_study, write_notebook
from test_study_runner import WRITE_DISRUPTED, WRITE_SPLIT, execute

from antidisrupt_lib.study import circumstances, cluster
from antidisrupt_lib.study.node import Result, Task, run_node
from antidisrupt_lib.study.runner import run

SEEDS = {"01_split": {"grid": {"seed": list(range(8))}}}
STAGES = {
    "01_split": {},
    "04_disrupt": {"grid": {"attack": ["pgd", "fgsm", "bim", "mim"], "seed": [0, 1, 2]}},
    "08_evaluate": {},
}


@pytest.fixture
def root(tmp_path):
    for name, parameters, *cells in (
        ("01_split", SPLIT, WRITE_SPLIT),
        ("04_disrupt", DISRUPT, WRITE_DISRUPTED, "import time\ntime.sleep(0.3)"),
        ("08_evaluate", EVALUATE, WRITE_RESULTS),
    ):
        write_notebook(tmp_path / f"notebooks/{name}.ipynb", parameters, *cells)
    return tmp_path


def go(root, stages, workers, run_task=execute, meanwhile=None):
    """A run of a study on a local cluster's workers, in which tasks run themselves; its outcome and its seconds."""
    study = make_study(root, stages)
    with cluster.cluster(f"local:{workers}", None, study, 1) as (executor, jobs, _):
        assert jobs == workers
        if meanwhile:
            threading.Thread(target=meanwhile, args=(executor._client,), daemon=True).start()
        executor._client.run(type, run_task)  # so that workers have imported it
        start = time.monotonic()
        with redirect_stdout(io.StringIO()):
            outcome = run(study, executor=executor, jobs=jobs, execute=run_task)
        return outcome, time.monotonic() - start


# GPUs


def test_the_gpus_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr(circumstances, "torch_device", lambda: "NVIDIA H200")
    monkeypatch.setattr(circumstances, "gpu_names", lambda: ("NVIDIA H200",) * 8)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert circumstances.visible_gpus() == [*"01234567"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8932f937")
    assert circumstances.visible_gpus() == ["3", "GPU-8932f937"]
    monkeypatch.setattr(circumstances, "torch_device", lambda: "cpu")
    assert circumstances.visible_gpus() == []


@pytest.mark.parametrize("jobs, most", [(2, 1), (4, 2)])
def test_runs_share_gpus_evenly(jobs, most):
    at_work, seen = [], []

    def busy(task: Task) -> None:
        at_work.append(task.gpu)
        seen.append(max(at_work.count(gpu) for gpu in "01"))
        time.sleep(random.Random(len(seen)).random() / 50)
        at_work.remove(task.gpu)

    gpus = ["0", "1"]
    slots = cluster.on_slots(busy, [gpus[i % 2] for i in range(jobs)])
    with cluster.this_machine(jobs, []) as (executor, _, _):
        list(executor.map(slots, [Task("", {}, "", 1)] * 40))
    assert max(seen) == most


def test_a_run_sees_its_own_gpu_alone(tmp_path):
    cell = "import os\nfrom pathlib import Path\n(Path(out) / 'gpu').write_text(os.environ['CUDA_VISIBLE_DEVICES'])"
    notebook = write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, cell)
    (tmp_path / "out").mkdir()
    result = run_node(Task(str(notebook), {"out": str(tmp_path / "out")}, str(tmp_path / "out"), 1, gpu="5"))
    assert result.error is None and (tmp_path / "out/gpu").read_text() == "5"
    assert result.circumstances["device"]["cuda_visible_devices"] == "5"


# Workers


def sleeping(task: Task) -> Result:
    time.sleep(2)  # much longer than what the driver does for it, also where other tests keep the cores busy
    return execute(task)


def test_two_workers_are_nearly_twice_as_fast_as_one(root, tmp_path_factory):
    slow = go(root, SEEDS, 1, sleeping)[1]
    other = tmp_path_factory.mktemp("two")
    shutil.copytree(root / "notebooks", other / "notebooks")
    fast = go(other, SEEDS, 2, sleeping)[1]
    assert slow / fast > 0.9 * 2


@pytest.mark.fault(
    "workers of a cluster are killed at random", "their nodes run again elsewhere: a serial run's hashes"
)
def test_killed_workers_change_no_result(root, tmp_path_factory):
    def kill(client):
        draw = random.Random(0)
        for _ in range(4):
            time.sleep(0.5)
            pids = [pid for pid in client.run(os.getpid, on_error="return").values() if isinstance(pid, int)]
            if pids:
                os.kill(draw.choice(pids), 9)

    outcome, _ = go(root, STAGES, 2, meanwhile=kill)
    assert len(outcome.ran) == 14 and not outcome.failed
    assert not list((root / "outputs/tiny/.partial").iterdir())
    serial = tmp_path_factory.mktemp("serial")
    shutil.copytree(root / "notebooks", serial / "notebooks")
    go(serial, STAGES, 1)
    assert facts(root, STAGES) == facts(serial, STAGES)


KILL = """
import os
with open(Path(photos).parents[1] / "tries", "a") as file:
    file.write(f"{out}\\n")
if attack == "evil":
    os.kill(os.getpid(), 9)
"""


@pytest.mark.fault("a node that kills every worker that runs it", "it fails after three tries, each in its own folder")
def test_a_node_that_kills_its_workers_is_given_up(root):
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT, WRITE_DISRUPTED, KILL)
    stages = {"01_split": {}, "04_disrupt": {"grid": {"attack": ["evil", "pgd", "fgsm"]}}}
    outcome, _ = go(root, stages, 2)
    assert "could not be run in 3 tries" in outcome.failed.pop("04_disrupt[attack=evil]") and not outcome.failed
    assert sorted(outcome.ran) == ["01_split", "04_disrupt[attack=fgsm]", "04_disrupt[attack=pgd]"]
    tries = [line for line in (root / "outputs/tiny/tries").read_text().splitlines() if "evil" in line]
    assert len(tries) == len(set(tries)) == 3


def test_the_command_runs_notebooks_on_workers(root):
    (root / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": {"01_split": {}, "04_disrupt": {}}}))
    done = run_all(root, "--scheduler", "local:2")
    assert done.returncode == 0 and "2 made: 2 results stand" in done.stdout, done.stdout + done.stderr
    assert "nothing to do" in run_all(root, "--scheduler", "local:2").stdout


# SLURM, which a script stands for


def test_slurm_gets_a_job_for_each_node_at_once(tmp_path, monkeypatch):
    for name, does in {
        "sbatch": f'cp "$1" {tmp_path}/job.$$; echo Submitted batch job $$',
        "scancel": "exit 0",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with dask.config.set({"jobqueue.slurm.memory": "8GB"}), cluster._slurm(3, threads=4) as made:
        wait_for(lambda: len(list(tmp_path.glob("job.*"))) == 3, 60)
        for script in (made.job_script(), *(path.read_text() for path in tmp_path.glob("job.*"))):
            assert "#SBATCH --cpus-per-task=4" in script and "#SBATCH --mem=8G" in script
            assert "--nthreads 1 --resources node=1" in script


# Requests that are wrong


@pytest.mark.parametrize("scheduler, words", [
    ("local:0", "give tcp://HOST:PORT"), ("localhost", "give tcp://HOST:PORT"), ("http://a:1", "give tcp://HOST:PORT"),
    ("slurm", "there is no sbatch here"), ("tcp://127.0.0.1:9", "There is no scheduler at tcp://127.0.0.1:9"),
])  # fmt: skip
def test_what_is_no_cluster_is_refused_in_one_sentence(root, scheduler, words, monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 2)
    study = make_study(root, STAGES)
    with pytest.raises(ValueError, match=words), cluster.cluster(scheduler, None, study, 1):
        pass


def test_workers_that_take_no_nodes_are_refused(root):
    from distributed import LocalCluster

    plain = LocalCluster(1, host="127.0.0.1", dashboard_address=None)
    wrong = pytest.raises(ValueError, match="Start them with --resources node=1")
    with plain, wrong, cluster.cluster(plain.scheduler_address, None, make_study(root, STAGES), 1):
        pass


@pytest.mark.parametrize("wrong", ["library", "folder"])
def test_a_worker_with_other_files_says_so(tmp_path, wrong):
    task = Task("", {}, str(tmp_path / "not here"), 1)
    result = cluster.run_there("/elsewhere" if wrong == "library" else str(cluster.LIBRARY), task)
    assert ("the worker runs the library in" if wrong == "library" else "doesn't see") in result.error
