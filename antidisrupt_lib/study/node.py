"""One node, in a process of its own: its notebook through papermill, as HTML, and a measurement of the run.

`run_node` is what an executor is given; it runs this module as a program, which reads a task from its standard input:
warm, in a fork of a template, or else in a new Python. A process of its own gives the node its own environment and
working directory, and a crash stays in it.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from antidisrupt_lib.study import warm
from antidisrupt_lib.study.circumstances import device, python, versions
from antidisrupt_lib.study.hashes import read_hash
from antidisrupt_lib.study.manifest import hash_outputs, write_json
from antidisrupt_lib.study.places import sweep_hidden
from antidisrupt_lib.study.processes import TAG, end_processes, sweep_scratch

DEAD = "its kernel died or was killed, which is often for want of memory"


@dataclass(frozen=True)
class Task:
    """What to run. `parameters` are all of the notebook's; `folder` is where it writes and what outlives a kill.

    `reads` holds the sha256 of each file that it reads of other results, `time_limit` is in seconds, `git` what the
    notebooks' folder is at, `gpu` the only one that it may use.
    """

    notebook: str
    parameters: dict[str, object]
    folder: str
    threads: int
    reads: dict[str, str] = field(default_factory=dict)
    time_limit: float | None = None
    git: dict[str, object] = field(default_factory=dict)
    gpu: str | None = None

    @property
    def progress(self) -> Path:
        """Where the node's loops report how far they are."""
        return Path(f"{self.folder}.progress.json")

    @property
    def report(self) -> Path:
        """Where the node's process leaves its Result."""
        return Path(f"{self.folder}.result.json")


@dataclass(frozen=True)
class Result:
    """What came of it: `outputs` as `hash_outputs` gives them, `error` in words if it failed.

    `circumstances` are those of the run: git, device and versions.
    """

    started: str
    wall_seconds: float
    peak_memory_mib: float
    outputs: dict[str, dict]
    error: str | None
    circumstances: dict[str, dict] = field(default_factory=dict)


def failure(error: str) -> Result:
    """The Result of a node that left none."""
    return Result("", 0, 0, {}, error.strip())


def read_result(path: Path) -> Result | None:
    """The Result that a node's process left, if it is there and whole."""
    try:
        return Result(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def run_node(task: Task, warm_start: bool = True) -> Result:
    """Run a task in a new process, wait for it, and leave no process of it behind."""
    with tempfile.TemporaryFile() as said:  # no pipe, which a process that it leaves behind would keep open
        try:
            status = _run_process(task, said, warm_start)
        except (subprocess.TimeoutExpired, TimeoutError):
            return failure(f"it ran longer than its time limit of {task.time_limit:g} s, and was stopped")
        except (OSError, ValueError) as error:
            return failure(f"its process can't be started: {error}")
        said.seek(0)
        last = (said.read().decode(errors="replace").strip().splitlines() or ["It left no word."])[-1]
    return read_result(task.report) or failure(f"its process ended with exit status {status}. {last}")


def stop_node(task: Task) -> None:
    """End a task's processes; if it has none yet it gets none that works, since its Result is there."""
    if not task.report.exists():
        write_json(task.report, asdict(failure("it was stopped")))
    end_processes(task.progress)


def _run_process(task: Task, said: IO[bytes], warm_start: bool) -> int:
    """Run this module as a program for a task, its standard error into `said`; returns its exit status."""
    threads = str(task.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "ANTIDISRUPT_THREADS": threads}
    environment |= {"CUDA_VISIBLE_DEVICES": task.gpu} if task.gpu else {}
    environment = os.environ | environment
    circumstances = {"git": task.git, "versions": versions(), "device": device(task.gpu)}
    message = {"task": asdict(task), "circumstances": circumstances}
    template = warm.template(environment) if warm_start else None
    try:
        with _warm(template, task, message, said) if template else _cold(environment, task, message, said) as process:
            try:
                return process.wait(task.time_limit)
            finally:
                end_processes(task.progress)
    finally:
        sweep_scratch()


def _warm(template: warm.Template, task: Task, message: dict, said: IO[bytes]) -> warm.Node:
    sent = json.dumps(message | {"parent": template.process.pid}).encode()
    return template.fork(os.fsencode(task.progress), sent, said)


def _cold(environment: dict[str, str], task: Task, message: dict, said: IO[bytes]) -> subprocess.Popen:
    process = subprocess.Popen(
        python("antidisrupt_lib.study.node"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said,
        env=environment | {TAG: str(task.progress)}, start_new_session=True,
    )  # fmt: skip
    with process.stdin, suppress(BrokenPipeError):  # it ended at once, and its exit status says so
        process.stdin.write(json.dumps(message | {"parent": os.getpid()}).encode())
    return process


def main() -> None:
    """Do the task on standard input and leave a Result at `task.report`."""
    message = json.load(sys.stdin)
    task = Task(**message["task"])
    if task.report.exists():  # it was stopped before it began
        return
    memory: list[int] = []
    threading.Thread(target=_watch, args=(message["parent"], task, memory), daemon=True).start()
    started, start, outputs = datetime.now(UTC), time.monotonic(), {}
    try:
        error = _altered_input(task) or _execute(task)
        if not error:
            sweep_hidden(Path(task.folder))
            outputs = hash_outputs(Path(task.folder))
    except Exception as fault:  # of the disk, of a kernel that doesn't start: the study goes on without this node
        error = f"it could not be run: {fault}"
    wall, peak = time.monotonic() - start, max(memory, default=0) / 2**20
    if error and error.startswith(DEAD):
        error += f"\n  It held {peak:.0f} MiB at most; the machine has {_memory_mib():.0f} MiB"
    when = started.isoformat(timespec="seconds")
    write_json(task.report, asdict(Result(when, wall, peak, outputs, error, message["circumstances"])))


def _memory_mib() -> float:
    import psutil

    return psutil.virtual_memory().total / 2**20


def _altered_input(task: Task) -> str | None:
    """Which input isn't what its stage wrote; its time is set to now, so that the next run looks at it, too."""
    for path, sha256 in task.reads.items():
        if not os.path.isfile(path) or read_hash(path) != sha256:
            with suppress(OSError):  # it is gone, or not ours: what is missing is noticed anyway
                os.utime(path)
            return f"its input {path} was altered after it was made. Run again: its stage makes it anew"
    return None


def _execute(task: Task) -> str | None:
    """Run the notebook and export it as HTML; return the error of the cell that failed, if one did."""
    with quick_papermill():
        import papermill
        from nbclient.exceptions import DeadKernelError
        from nbconvert import HTMLExporter

    from antidisrupt_lib.study.kernel import OwnKernel, private_sockets

    executed = Path(task.folder, "notebook.ipynb")
    try:
        with private_sockets() as config:
            notebook = papermill.execute_notebook(
                _literally(task.notebook),
                _literally(executed),
                task.parameters,
                kernel_name="python3",  # as OwnKernel understands it
                kernel_manager_class=OwnKernel,
                language="python",
                cwd=str(Path(task.notebook).parent),
                progress_bar=False,
                config=config,
            )
    except papermill.PapermillExecutionError as error:
        return f"{error.ename}: {error.evalue}\n  in cell {error.exec_count} of {task.notebook}"
    except DeadKernelError:
        return f"{DEAD}\n  in {task.notebook}"
    if ended := _ended_early(notebook):
        return f"{ended}\n  in {task.notebook}"
    html, _ = HTMLExporter().from_filename(str(executed))
    executed.with_suffix(".html").write_text(html, encoding="utf-8")
    return None


@contextmanager
def quick_papermill() -> Iterator[None]:
    """Papermill is imported without a package that jsonschema can do without, and which takes longer than the rest."""
    sys.modules["rfc3987_syntax"] = None
    yield
    del sys.modules["rfc3987_syntax"]


def _ended_early(notebook: dict) -> str | None:
    """Which cell ended the notebook before its end, as sys.exit(0) does, which papermill takes for success."""
    for cell in notebook.cells:
        faults = [output for output in cell.get("outputs", []) if output.output_type == "error"]
        if cell.cell_type == "code" and (faults or (cell.source.strip() and cell.execution_count is None)):
            why = f"{faults[0].ename}: {faults[0].evalue}" if faults else "it never ran to its end"
            return f"a cell ended the notebook early ({why}). Let all cells run: `{cell.source.strip()[:60]}`"
    return None


def _literally(path: Path | str) -> str:
    """A path as papermill takes it, which formats paths: braces would name parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _watch(parent: int, task: Task, memory: list[int]) -> None:
    """Record the memory of the kernel and its children, and leave no writer behind when the study is killed."""
    import psutil

    this = psutil.Process()
    while os.getppid() == parent:
        with suppress(psutil.NoSuchProcess):  # children end while they are listed
            memory.append(sum(child.memory_info().rss for child in this.children(recursive=True)))
        time.sleep(0.3)
    end_processes(task.progress)
    os._exit(1)


if __name__ == "__main__":
    main()
