"""What many tests share: faces of random pixels, a tiny forger, no network and no display."""

import os

os.environ |= {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg"}

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger, Generator, forger
from antidisrupt_lib.faces.faceset import FaceSet


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


@pytest.fixture(autouse=True)
def no_study_environment(monkeypatch):
    for name in ("ANTIDISRUPT_PROGRESS", "ANTIDISRUPT_THREADS"):
        monkeypatch.delenv(name, raising=False)


def _faces(count: int = 12, size: int = 32, seed: int = 0, fakes_of: FaceSet | None = None) -> FaceSet:
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(rng.integers(0, 2, (count, 5)).astype(np.int8), columns=list(ATTRIBUTES))
    table.insert(0, "image_id", [f"{i:06d}.jpg" for i in range(1, count + 1)])
    table["identity"] = np.arange(count) // 3
    if fakes_of is not None:
        table["source_id"] = np.repeat(fakes_of.image_ids, count // len(fakes_of))
        table["image_id"] = table["source_id"] + "-" + table["image_id"]
    return FaceSet(rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8), table, {"faces": "random"})


@pytest.fixture(scope="session")
def make_faces() -> Callable[..., FaceSet]:
    """`make_faces(count, size, seed, fakes_of)`: random pixels and attributes; `fakes_of` adds source ids."""
    return _faces


@pytest.fixture(scope="session")
def faces() -> FaceSet:
    return _faces()


@pytest.fixture(scope="session")
def forge() -> Forger:
    """A tiny untrained StarGAN: smooth enough to attack, small enough to wait for."""
    torch.manual_seed(0)
    return forger(Generator(conv_dim=4, blocks=1))


# What was tried: tests marked with @pytest.mark.kind(name, outcome) make docs/reliability.md


def pytest_addoption(parser):
    parser.addoption("--reliability", type=Path, metavar="FILE", help="write the table of the cases that passed")


def pytest_configure(config):
    if config.getoption("reliability") and config.getoption("numprocesses", None):
        raise pytest.UsageError("--reliability counts the tests of one process: add --numprocesses 0")
    config.addinivalue_line("markers", "kind(name, outcome): a case of a kind of input, and what becomes of it")
    config.addinivalue_line("markers", "fault(what, promise): a thing that goes wrong, and what was promised of it")
    config.passed_cases = set()


def pytest_runtest_makereport(item, call):
    if call.when == "call" and call.excinfo is None:
        item.config.passed_cases.add(item.nodeid)


def pytest_sessionfinish(session):
    path = session.config.getoption("reliability")
    if path is None:
        return
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    tables = {"# What was tried": _kinds(session), "# What goes wrong": _faults(session)}
    parts = [made or _part(old, title) for title, made in tables.items()]
    path.write_text("\n".join(filter(None, parts)), encoding="utf-8")


def _part(text: str, title: str) -> str:
    """A part of the page as it was, where this run didn't try any of its cases."""
    start = text.find(f"{title}\n")
    return "" if start < 0 else text[start:].split("\n# ")[0].rstrip("\n") + "\n"


def _kinds(session) -> str:
    cases = Counter()
    for item in session.items:
        if (mark := item.get_closest_marker("kind")) and item.nodeid in session.config.passed_cases:
            promise = item.originalname.removeprefix("test_").replace("_", " ")
            cases[mark.args[0], promise, mark.args[1]] += 1
    lines = ["# What was tried", "", "Made by `pytest -n 0 --reliability docs/reliability.md`: a row per promise.", ""]
    lines += [f"{sum(cases.values())} cases.", ""]
    lines += ["| kind | promise | cases | what becomes of them |", "|---|---|---|---|"]
    lines += [f"| {kind} | {promise} | {n} | {outcome} |" for (kind, promise, outcome), n in sorted(cases.items())]
    return "\n".join(lines) + "\n" if cases else ""


def _faults(session) -> str:
    """What was done to a study, what was promised of it, and in how many cases that was observed."""
    cases, kept = Counter(), Counter()
    for item in session.items:
        if mark := item.get_closest_marker("fault"):
            cases[mark.args] += 1
            kept[mark.args] += item.nodeid in session.config.passed_cases
    lines = ["# What goes wrong", "", "Made by `pytest -n 0 --reliability docs/reliability.md`.", ""]
    lines += ["| fault | promised | observed |", "|---|---|---|"]
    lines += [f"| {what} | {promise} | {kept[what, promise]} of {n} |" for (what, promise), n in sorted(cases.items())]
    return "\n".join(lines) + "\n" if cases else ""
