"""The kernel that runs a node's notebook: ipykernel in this Python, with this library, out of others' reach."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from traitlets import default
from traitlets.config import Config

from antidisrupt_lib.study.circumstances import python
from antidisrupt_lib.study.processes import SCRATCH, scratch

LONGEST_SOCKET = 80  # bytes of the sockets' folder; with their names, Unix takes 103 to 107


class OwnKernel(AsyncKernelManager):
    """Starts the kernel of the Python that runs the study, whatever a site's kernelspecs call python3."""

    @default("kernel_spec_manager")
    def _no_foreign_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])  # leaves ipykernel's own

    def format_kernel_cmd(self, extra_arguments: list[str] | None = None) -> list[str]:
        connection = os.path.realpath(self.connection_file)
        return [*python("ipykernel_launcher"), "-f", connection, *(extra_arguments or [])]


@contextmanager
def private_sockets() -> Iterator[Config]:
    """Sockets in a folder of this kernel's own: no port that other users of the machine could reach."""
    if os.name != "posix":
        yield Config()
        return
    short = len(os.fsencode(tempfile.gettempdir())) + len(f"/{SCRATCH}-1234567-12345678") <= LONGEST_SOCKET
    with scratch(None if short else "/tmp") as sockets:
        yield Config({"OwnKernel": {"transport": "ipc", "connection_file": f"{sockets}/kernel.json"}})
