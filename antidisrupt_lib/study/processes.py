"""A node's processes and temporary folders, and their end, whatever became of those who began them.

All that a node starts inherits its environment, which names the node's files: so its processes are known also when
their parents are gone. Temporary folders bear the name of the machine and the process that made them.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from platform import node as host_name

import psutil

TAG = "ANTIDISRUPT_PROGRESS"  # in the environment of a node's processes: the file that they report their progress to
SCRATCH = f"antidisrupt-{sha256(host_name().encode()).hexdigest()[:6]}"
PATIENCE = 5  # seconds for killed processes to go


def end_processes(prefix: Path | str) -> None:
    """Kill all processes, but this one, that work for a node whose progress file's path begins so."""
    for _ in range(3):  # they may have started others meanwhile
        found = list(_working_for(str(prefix)))
        for process in found:
            with suppress(psutil.Error):  # it ended by itself
                process.kill()
        if not psutil.wait_procs(found, timeout=PATIENCE)[0]:
            return


def _working_for(prefix: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it ended, or is another user's
            if process.pid != os.getpid() and process.environ().get(TAG, "").startswith(prefix):
                yield process


@contextmanager
def scratch(parent: Path | str | None = None) -> Iterator[Path]:
    """A temporary folder; if this process is killed, `sweep_scratch` removes it."""
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}-{os.getpid()}-", dir=parent) as folder:
        yield Path(folder)


def sweep_scratch() -> None:
    """Remove the temporary folders of this machine's processes that are no more."""
    for parent in {tempfile.gettempdir(), "/tmp"}:
        for folder in Path(parent).glob(f"{SCRATCH}-*-*"):
            process = folder.name.removeprefix(f"{SCRATCH}-").partition("-")[0]
            if process.isdecimal() and not psutil.pid_exists(int(process)):
                shutil.rmtree(folder, ignore_errors=True)  # another user's stays
