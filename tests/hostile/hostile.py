"""Trials of hostile input, in processes of their own with little time and memory; and code that tells if it ran."""

import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

PROMISE = "one sentence; nothing runs, hangs, fills the memory or is left half done"


def hostile(what: str, promise: str = PROMISE) -> pytest.MarkDecorator:
    """Marks a trial for docs/reliability.md."""
    return pytest.mark.fault(what, promise)


class Code:
    """What runs as soon as it is unpickled: it makes the file `ran`."""

    def __init__(self, ran: Path):
        self.ran = ran

    def __reduce__(self):
        return os.mkdir, (str(self.ran),)


def refusal(action: Callable[[], object], *, seconds: int = 20, mib: int = 2048) -> str:
    """The sentence with which `action` is refused, in a process that gets so much CPU time and further memory.

    Of the memory Arrow takes one GiB at a time, to have it at hand.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        pages = int(Path("/proc/self/statm").read_text().split()[5])  # of data and stack
        resource.setrlimit(resource.RLIMIT_DATA, (pages * resource.getpagesize() + mib * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        os.write(writer, _said(action).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as pipe:
        text = pipe.read()
    assert os.waitpid(child, 0)[1] == 0, f"it was killed after {seconds} s of CPU"
    kind, _, sentence = text.partition(": ")
    assert kind == "refused", text
    assert "\n" not in sentence and sentence.count(". ") <= 2 and len(sentence) < 700, sentence
    return sentence


def _said(action: Callable[[], object]) -> str:
    try:
        return f"not refused: {action()!r}"[:2000]
    except (ValueError, OSError) as error:
        return f"refused: {error}"[:2000]
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:2000]
