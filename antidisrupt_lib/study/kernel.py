"""The kernel that runs a node's notebook: ipykernel in this Python, with this library, out of others' reach.

It is a new process, or, in a node that was started warm, a fork that waits for it.
"""

import json
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default
from traitlets.config import Config

from antidisrupt_lib.study.circumstances import python
from antidisrupt_lib.study.processes import SCRATCH, scratch

LONGEST_SOCKET = 80  # bytes of the sockets' folder; with their names, Unix takes 103 to 107


class Fork(psutil.Process):
    """A child that was forked, as one knows it who expects a subprocess.Popen."""

    stdin = stdout = stderr = None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        try:
            return self.wait(0)
        except psutil.TimeoutExpired:
            return None


@dataclass(frozen=True)
class WaitingKernel:
    """A fork that waits to become a kernel."""

    process: Fork
    commands: socket.socket

    def begin(self, **how: object) -> Fork:
        """Let it be one: with these `arguments`, `env` and `cwd`."""
        with self.commands:
            self.commands.sendall(json.dumps(how).encode() + b"\n")
        return self.process


waiting: list[WaitingKernel] = []  # in a node that was started warm, until its kernel begins


class OwnKernel(AsyncKernelManager):
    """Starts the kernel of the Python that runs the study, whatever a site's kernelspecs call python3."""

    @default("kernel_spec_manager")
    def _no_foreign_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])  # leaves ipykernel's own

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        connection = os.path.realpath(self.connection_file)
        return [*python("ipykernel_launcher"), "-f", connection, *(extra_arguments or [])]

    async def _async_launch_kernel(self, kernel_cmd: list[str], **how: object) -> None:
        if not waiting:
            return await super()._async_launch_kernel(kernel_cmd, **how)
        environment = how["env"] | {"JPY_PARENT_PID": str(os.getpid())}  # as jupyter_client sets it
        arguments = [*kernel_cmd[kernel_cmd.index("-f") :], f"--IPKernelApp.parent_handle={os.getpid()}"]
        process = waiting.pop().begin(arguments=arguments, env=environment, cwd=os.getcwd())
        self.provisioner.process, self.provisioner.pid, self.provisioner.pgid = process, process.pid, process.pid
        self._reconcile_connection_info(self.provisioner.connection_info)

    _launch_kernel = _async_launch_kernel


@contextmanager
def private_sockets() -> Iterator[Config]:
    """Sockets in a folder of this kernel's own: no port that other users of the machine could reach."""
    if os.name != "posix":
        yield Config()
        return
    short = len(os.fsencode(tempfile.gettempdir())) + len(f"/{SCRATCH}-1234567-12345678") <= LONGEST_SOCKET
    with scratch(None if short else "/tmp") as sockets:
        yield Config({"OwnKernel": {"transport": "ipc", "connection_file": f"{sockets}/kernel.json"}})
