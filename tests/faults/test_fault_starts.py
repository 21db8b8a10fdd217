"""A warm start is a cold one, only sooner: nothing of a node reaches another, and results are equal bit for bit."""

import json
import os
from functools import partial

import pytest
from faulty import go, small_study
from test_study_graph import write_notebook

from antidisrupt_lib.study import warm
from antidisrupt_lib.study.node import Task, run_node, stop_node
from antidisrupt_lib.study.params import BY_HAND

DIRTY = """
import builtins, os, random, sys, warnings
import matplotlib, numpy, pandas, torch
from pathlib import Path
import antidisrupt_lib.seeding
random.seed(1), numpy.random.seed(1), torch.manual_seed(1)
torch.set_default_dtype(torch.float64), torch.set_num_threads(7), torch.use_deterministic_algorithms(True)
matplotlib.rcParams["figure.dpi"] = 7
pandas.set_option("display.precision", 1)
warnings.filterwarnings("error", "of the dirty node")
os.environ["DIRTY"], os.environ["HOME"] = "1", "/"
sys.path.insert(0, "/dirty"), os.umask(0o777), os.chdir("/")
builtins.dirty = torch.dirty = True
torch.nn.Linear.forward = antidisrupt_lib.seeding.generator = None
"""
LOOK = """
import builtins, json, os, random, signal, sys, threading, warnings
import matplotlib, numpy, pandas, torch
from pathlib import Path
import antidisrupt_lib.seeding
ITS_OWN = ("ANTIDISRUPT_PROGRESS", "JPY_PARENT_PID", "PYTEST_CURRENT_TEST")
seen = {"environment": {k: v for k, v in os.environ.items() if k not in ITS_OWN}, "path": sys.path}
seen |= {"cwd": os.getcwd(), "umask": os.umask(0o22), "argv": sys.argv[0], "dtype": str(torch.get_default_dtype())}
seen |= {"threads": torch.get_num_threads(), "own": sorted(vars(builtins))}
seen |= {"style": str(dict(matplotlib.rcParams)), "precision": pandas.get_option("display.precision")}
seen |= {"filters": [str(one) for one in warnings.filters if "dirty" in str(one)], "main": sorted(globals())}
seen |= {"deterministic": torch.are_deterministic_algorithms_enabled(), "backend": matplotlib.get_backend()}
seen |= {"signals": [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]}
seen |= {"python_threads": threading.active_count(), "dirt": hasattr(torch, "dirty")}
layer, x = torch.nn.Linear(3, 3, bias=False), torch.ones(1, 3)
torch.nn.init.uniform_(layer.weight, generator=antidisrupt_lib.seeding.generator(0))
seen |= {"computed": layer(x).tolist()}
(Path(out) / "seen.json").write_text(json.dumps(seen))
"""
COMPUTE = """
import random
import numpy, torch
from pathlib import Path
import matplotlib.pyplot as plt
x = torch.randn(4, 8, 33, 33, generator=torch.Generator().manual_seed(0)).requires_grad_()
y = torch.nn.functional.conv2d(x, torch.linspace(-1, 1, 8 * 8 * 9).view(8, 8, 3, 3)).tanh().square().sum()
y.backward()
(Path(out) / "numbers").write_bytes(x.grad.numpy().tobytes() + numpy.linalg.svd(x[0, 0].detach().numpy())[0].tobytes())
plt.plot([1, 2])
plt.savefig(Path(out) / "picture.png", metadata={"Software": None})
(Path(out) / "unseeded").write_text(f"{numpy.random.random()} {torch.rand(1).item()} {random.random()}")
"""
NOTEBOOKS = {"dirty": DIRTY, "look": LOOK, "compute": COMPUTE}


def ran(root, run_task, *stages):
    """The results' folder of nodes that ran one after the other; a stage called "again" computes, too."""
    small_study(root)
    for name, cell in NOTEBOOKS.items():
        write_notebook(root / f"notebooks/{name}.ipynb", f'out = "{BY_HAND}{name}"', cell)
    outcome = go(root, {name: {"notebook": "compute"} if name == "again" else {} for name in stages}, run_task=run_task)
    assert not outcome.failed
    return root / "outputs/tiny"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("starts")
    warmly = ran(root / "warm", run_node, "dirty", "look", "compute", "again")
    return warmly, ran(root / "cold", partial(run_node, warm_start=False), "look", "compute")


@pytest.mark.fault("a node changes modules, generators, its environment, its folder and its signals",
                   "the next node, forked from the same template, sees what a new Python sees")  # fmt: skip
def test_nothing_of_a_node_reaches_the_next(both):
    seen, expected = (json.loads((folder / "look/seen.json").read_text()) for folder in both)
    for found in (seen, expected):
        found["cwd"] = os.path.basename(found["cwd"])
    assert seen == expected


def test_results_are_those_of_a_cold_start_bit_for_bit(both):
    for name in ("numbers", "picture.png"):
        assert (both[0] / "compute" / name).read_bytes() == (both[1] / "compute" / name).read_bytes()


def test_what_nobody_seeded_differs_between_nodes(both):
    drawn = [(both[0] / name / "unseeded").read_text().split() for name in ("compute", "again")]
    assert all(one != other for one, other in zip(*drawn, strict=True))


@pytest.mark.fault("the template can't be started", "nodes start cold, and that is said, once")
def test_without_a_template_nodes_start_cold(monkeypatch, capsys):
    monkeypatch.setattr(warm, "python", lambda module: [warm.sys.executable, "-c", "raise SystemExit('no torch here')"])
    environment = os.environ | {"ANOTHER": "one"}
    assert warm.template(environment) is None and warm.template(environment) is None
    assert capsys.readouterr().err == "Nodes start cold, which takes seconds of each: no torch here\n"


@pytest.mark.fault("a run is stopped while a node's template still starts", "the node never begins")
def test_a_stopped_node_never_begins(both, tmp_path):
    notebook = both[0].parents[1] / "notebooks/dirty.ipynb"
    task = Task(str(notebook), {"out": str(tmp_path / "n")}, str(tmp_path / "n"), threads=1)
    stop_node(task)
    assert run_node(task).error == "it was stopped" and not (tmp_path / "n").exists()


@pytest.mark.fault("the template is killed, with a node at work", "the node fails in a sentence; the next has another")
def test_a_killed_template_is_replaced(both, tmp_path):
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ANTIDISRUPT_THREADS")}
    kill = f"import os, time\nos.kill({warm.template(os.environ | threads).process.pid}, 9)\ntime.sleep(99)"
    write_notebook(notebook := tmp_path / "notebooks/kills.ipynb", f'out = "{BY_HAND}kills"', kill)
    (tmp_path / "n").mkdir()
    task = Task(str(notebook), {"out": str(tmp_path / "n")}, str(tmp_path / "n"), threads=1)
    assert run_node(task).error == "its process can't be started: the process that it was a fork of ended"
    write_notebook(notebook, f'out = "{BY_HAND}kills"', "1 + 1")
    assert run_node(task).error is None
