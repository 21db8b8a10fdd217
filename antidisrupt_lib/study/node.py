"""One node, in a process of its own: its notebook through papermill, as HTML, and a measurement of the run.

`run_node` is what an executor is given; it starts this module as a program, which reads a task from its
standard input. A process of its own gives the node its own environment and working directory, and a crash stays in it.
"""

import json
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from antidisrupt_lib.study.circumstances import python
from antidisrupt_lib.study.manifest import hash_outputs


@dataclass(frozen=True)
class Task:
    """What to run. `parameters` are all of the notebook's; `folder` is where it writes and what outlives a kill."""

    notebook: str
    parameters: dict[str, object]
    folder: str
    threads: int

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
    """What came of it: `outputs` as `hash_outputs` gives them, `error` in words if it failed."""

    started: str
    wall_seconds: float
    peak_memory_mib: float
    outputs: dict[str, dict]
    error: str | None


def run_node(task: Task) -> Result:
    """Run a task in a new process and wait for it."""
    task.report.unlink(missing_ok=True)
    environment = {
        "OMP_NUM_THREADS": str(task.threads),
        "MKL_NUM_THREADS": str(task.threads),
        "ANTIDISRUPT_THREADS": str(task.threads),
        "ANTIDISRUPT_PROGRESS": str(task.progress),
    }
    process = subprocess.run(
        python("antidisrupt_lib.study.node"),
        input=json.dumps({"task": asdict(task), "parent": os.getpid()}),
        env=os.environ | environment,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if not task.report.exists():
        last_words = "\n".join(process.stderr.splitlines()[-5:])
        return Result("", 0, 0, {}, f"its process ended with exit status {process.returncode}. {last_words}".strip())
    return Result(**json.loads(task.report.read_text(encoding="utf-8")))


def main() -> None:
    """Do the task on standard input and leave a Result at `task.report`."""
    message = json.load(sys.stdin)
    task = Task(**message["task"])
    memory: list[int] = []
    threading.Thread(target=_watch, args=(message["parent"], memory), daemon=True).start()
    started, start = datetime.now(UTC), time.monotonic()
    error = _execute(task)
    wall = time.monotonic() - start
    outputs = {} if error else hash_outputs(Path(task.folder))
    result = Result(started.isoformat(timespec="seconds"), wall, max(memory, default=0) / 2**20, outputs, error)
    task.report.write_text(json.dumps(asdict(result)), encoding="utf-8")


def _execute(task: Task) -> str | None:
    """Run the notebook and export it as HTML; return the error of the cell that failed, if one did."""
    sys.modules["rfc3987_syntax"] = None  # jsonschema does without; to import it takes longer than all the rest here
    import papermill
    from nbclient.exceptions import DeadKernelError
    from nbconvert import HTMLExporter

    from antidisrupt_lib.study.kernel import OwnKernel, private_sockets

    executed = Path(task.folder, "notebook.ipynb")
    try:
        with private_sockets() as config:
            papermill.execute_notebook(
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
        return f"its kernel died, which is often for want of memory\n  in {task.notebook}"
    html, _ = HTMLExporter().from_filename(str(executed))
    executed.with_suffix(".html").write_text(html, encoding="utf-8")
    return None


def _literally(path: Path | str) -> str:
    """A path as papermill takes it, which formats paths: braces would name parameters."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _watch(parent: int, memory: list[int]) -> None:
    """Record the memory of the kernel and its children, and leave no writer behind when the study is killed."""
    import psutil

    this = psutil.Process()
    while os.getppid() == parent:
        with suppress(psutil.NoSuchProcess):  # children end while they are listed
            memory.append(sum(child.memory_info().rss for child in this.children(recursive=True)))
        time.sleep(0.3)
    for child in this.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()
    os._exit(1)


if __name__ == "__main__":
    main()
