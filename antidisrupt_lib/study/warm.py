"""Warm starts: a template process imports what nodes need, once, and each node begins as a fork of it.

A fork shares no memory with the process that it is of, nor with other forks: whatever a node changes, no other sees.
There is a template per environment, which ends with the process that started it. Where Linux's pidfds are missing, or
the template doesn't start, nodes start cold, each in a new Python.
"""

import atexit
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from threading import Lock
from typing import IO

from antidisrupt_lib.study.circumstances import python
from antidisrupt_lib.study.processes import TAG

ROOM = 4096  # bytes for a tag, which is a path


@dataclass
class Node:
    """A node's process, a child of the template, which sends its exit status."""

    reply: socket.socket

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *error: object) -> None:
        self.reply.close()

    def wait(self, seconds: float | None) -> int:
        """Its exit status.

        Raises:
            TimeoutError: it isn't done within so many seconds.
            OSError: the template ended.
        """
        self.reply.settimeout(seconds)
        if not (status := self.reply.recv(16)):
            raise OSError("the process that it was a fork of ended")
        return int(status)


@dataclass
class Template:
    """A template process, and where it is asked for forks."""

    process: subprocess.Popen
    requests: socket.socket

    def fork(self, tag: bytes, message: bytes, said: IO[bytes]) -> Node:
        """A process that is tagged as a node's, with `message` on its standard input and `said` for its errors."""
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self.requests, [tag], [theirs.fileno(), said.fileno()])
        with suppress(BrokenPipeError):  # it ended at once, and its exit status says so
            ours.sendall(message)
            ours.shutdown(socket.SHUT_WR)
        return Node(ours)


_templates: dict[frozenset, Template | None] = {}
_lock = Lock()


def template(environment: dict[str, str]) -> Template | None:
    """The template whose forks have this environment; None where there can be none, which is said once."""
    key = frozenset(environment.items())
    with _lock:
        known = _templates.get(key)
        if key not in _templates or (known and known.process.poll() is not None):
            _templates[key] = _start(environment)
        return _templates[key]


def _start(environment: dict[str, str]) -> Template | None:
    if not hasattr(os, "pidfd_open"):
        return _cold("this system has no pidfds")
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    with tempfile.TemporaryFile() as said:
        with theirs:
            process = subprocess.Popen(
                python("antidisrupt_lib.study.template"), stdin=theirs, stdout=subprocess.DEVNULL, stderr=said,
                env=environment | {TAG: " " * ROOM}, start_new_session=True,
            )  # fmt: skip
        if ours.recv(1):
            atexit.register(_end, process, ours)
            return Template(process, ours)
        ours.close()
        said.seek(0)
        return _cold((said.read().decode(errors="replace").strip().splitlines() or ["no word"])[-1])


def _end(process: subprocess.Popen, requests: socket.socket) -> None:
    requests.close()
    process.wait()


def _cold(why: str) -> None:
    print(f"Nodes start cold, which takes seconds of each: {why}", file=sys.stderr)
