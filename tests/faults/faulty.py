"""A small study whose nodes run in this process, its facts, and a process that is killed at the n-th call."""

import json
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from test_study_graph import DISRUPT, EVALUATE, SPLIT, make_study, write_notebook
from test_study_runner import WRITE_DISRUPTED, WRITE_SPLIT, execute

from antidisrupt_lib.study.circumstances import device, git_state
from antidisrupt_lib.study.manifest import read_manifest, write_json
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.runner import run

STAGES = {"01_split": {}, "04_disrupt": {}, "08_evaluate": {}}
WRITE_RESULTS = """
from pathlib import Path
words = " ".join((Path(table) / "n").read_text() for table in tables)
(Path(out) / "results.csv").write_text(f"metric,value,unit\\n{words},1,share\\ntime,{note or 0},s\\n")
"""


def small_study(root: Path) -> Path:
    """Notebooks of three stages, one after the other, below `root`."""
    root.mkdir(exist_ok=True)
    write_notebook(root / "notebooks/01_split.ipynb", SPLIT, WRITE_SPLIT)
    write_notebook(root / "notebooks/04_disrupt.ipynb", DISRUPT, WRITE_DISRUPTED)
    write_notebook(root / "notebooks/08_evaluate.ipynb", EVALUATE, WRITE_RESULTS)
    device(), git_state(root / "notebooks")  # kept, so that no forked process asks again
    return root


def executed(task):
    """Runs a task in this process as `run_node` does in another: its Result lies beside its folder; a log tells."""
    log = Path(task.notebook).parents[1] / "log"
    name = Path(task.notebook).stem
    with open(log, "a") as file:
        file.write(f"{name} begins\n")
    result = execute(task)
    write_json(task.report, asdict(result))
    with open(log, "a") as file:
        file.write(f"{name} is done\n")
    return result


def go(root: Path, stages: dict = STAGES, *, report: bool = False, jobs: int = 1, run_task=executed, **options):
    study = make_study(root, stages)
    with ThreadPoolExecutor(jobs) as executor:
        outcome = run(study, executor=executor, jobs=jobs, execute=run_task, **options)
    if report:
        write_report(study, outcome, "python run_all.py")
    return outcome


def facts(root: Path, stages: dict = STAGES) -> dict:
    """What must be the same whatever happened on the way: each node's recipe and the contents of its files."""
    study = make_study(root, stages)
    found = {node: read_manifest(study.result(node)) for node in study.nodes}
    return {
        node: (about["key"], {name: output["sha256"] for name, output in about["outputs"].items()})
        for node, about in found.items()
    }


def killed_at(n: int, root: Path, action) -> bool:
    """Do `action` in another process that is killed before its n-th change of files below `root`.

    Returns:
        Whether it was: False if it ended before.
    """
    child = os.fork()
    if child:
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "it failed by itself"
        return os.WIFSIGNALED(status)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    left = [n]

    def count(event: str, args: tuple) -> None:
        writes = event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)
        changes = event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.utime")
        if (writes or changes) and str(args[0]).startswith(str(root)):
            left[0] -= 1
        if left[0] == 0:
            left[0] = -1  # to kill is an event, too
            os.kill(os.getpid(), signal.SIGKILL)

    flush = os.fsync

    def fsync(descriptor: int) -> None:
        count("os.utime", (root,))
        flush(descriptor)

    sys.addaudithook(count)
    os.fsync = fsync
    try:
        action()
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
        os._exit(1)
    os._exit(0)


def altered(path: Path, change) -> None:
    """Change a file's bytes and keep its size and modification time."""
    before, content = path.stat(), path.read_bytes()
    changed = change(content)
    assert len(changed) == len(content) and changed != content
    with open(path, "r+b") as file:
        file.write(changed)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip_last_byte(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def edit_json(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
