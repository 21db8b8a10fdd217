"""The template that nodes are forks of: it has imported their packages, computed nothing, and runs no thread.

So a fork is as fresh as a new Python, but for the packages that it has. Of this library it has only the room that knows
no tensors, since the rest may be edited between two nodes. `warm` starts this module as a program.
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import traceback
from collections.abc import Callable

from antidisrupt_lib.study import kernel, node
from antidisrupt_lib.study.processes import TAG
from antidisrupt_lib.study.warm import ROOM

PACKAGES = (
    *("papermill", "nbconvert", "ipykernel.kernelapp", "pandas", "scipy.stats", "matplotlib.pyplot", "pydantic"),
    *("torch", "torchvision", "timm", "skimage.restoration", "torchmetrics.functional.image"),
    *("diffusers.models.unets.unet_2d", "diffusers.schedulers.scheduling_ddpm"),
)
INLINE = "module://matplotlib_inline.backend_inline"  # what a kernel sets if nobody did, and matplotlib reads only once


def main() -> None:
    """Import, then fork for each request; what follows `serve` happens in the forks."""
    os.environ.setdefault("MPLBACKEND", INLINE)
    given = dict(os.environ)
    with node.quick_papermill():
        for package in PACKAGES:
            importlib.import_module(package)
    for name in os.environ.keys() - given:  # torch's compiler leaves some
        del os.environ[name]
    gc.collect()
    gc.freeze()  # else the first collection in a fork would write to every page
    if tag := serve(socket.socket(fileno=os.dup(0))):
        begin_node(tag)


def serve(requests: socket.socket) -> bytes:
    """Fork for each request, and send the exit status of each fork that ends.

    A request is a tag, with two files: the fork's standard input, through which its status goes, and standard error.

    Returns:
        In a fork its tag; b"" once whoever started this is gone.
    """
    requests.send(b"r")
    with selectors.DefaultSelector() as waiting, requests:
        waiting.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is not requests:
                    waiting.unregister(key.fileobj)
                    report(key.fileobj, *key.data)
                    continue
                tag, files, _, _ = socket.recv_fds(requests, ROOM, 2)
                if not tag:
                    return b""
                if (pid := os.fork()) == 0:
                    take_files(*files)
                    return tag
                os.close(files[1])
                waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, socket.socket(fileno=files[0])))


def take_files(stdin: int, stderr: int) -> None:
    """Make these this process's standard input and error."""
    for file, place in ((stdin, 0), (stderr, 2)):
        os.dup2(file, place)
        os.close(file)


def report(descriptor: int, pid: int, reply: socket.socket) -> None:
    """Send the exit status of a child that ended to whoever waits for it, if anybody does."""
    os.close(descriptor)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with reply:
        reply.send(str(status).encode(), socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)


def begin_node(tag: bytes) -> None:
    """Be a node's process, with a fork that waits to become its kernel: later, threads would be in the way."""
    os.setsid()
    show(tag)
    ours, theirs = socket.socketpair()
    if pid := os.fork():
        theirs.close()
        kernel.waiting.append(kernel.WaitingKernel(kernel.Fork(pid), ours))
        end_at_once(node.main)
    else:
        ours.close()
        begin_kernel(theirs)


def end_at_once(program: Callable[[], None]) -> None:
    """Run a program and exit without tearing down packages that it didn't use: that takes time, and some complain."""
    status = 1
    try:
        program()
        status = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def show(tag: bytes) -> None:
    """Set this process's tag where other processes see it: over the room that it had when it was started.

    They see the memory that the environment had then; what is set later lies elsewhere.
    """
    getenv = ctypes.CDLL(None).getenv
    getenv.restype = ctypes.c_void_p
    ctypes.memmove(getenv(TAG.encode()), tag + b"\0", len(tag) + 1)
    os.environ[TAG] = os.fsdecode(tag)


def begin_kernel(commands: socket.socket) -> None:
    """Be the kernel, as `python -m ipykernel_launcher` would, once the node says how; end if it doesn't."""
    os.setsid()
    with commands, commands.makefile() as lines:
        line = lines.readline()
    if not line:
        return
    how = json.loads(line)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(how["env"])
    os.chdir(how["cwd"])
    sys.argv = ["-c", *how["arguments"]]
    importlib.import_module("numpy").random.seed()  # else what nobody seeds were the same in all nodes
    importlib.import_module("torch").default_generator.seed()
    runpy.run_module("ipykernel_launcher", None, "__main__")


if __name__ == "__main__":
    main()
