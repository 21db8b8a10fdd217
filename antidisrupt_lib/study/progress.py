"""What a person sees while a study runs: one live line on a terminal, a line per event elsewhere."""

import json
import shutil
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import TextIO

from antidisrupt_lib.study.paths import plain

EVERY = 30  # seconds between two progress lines where there is no terminal


@dataclass(frozen=True)
class Running:
    """A node at work: when it started (time.monotonic) and where it reports how far it is."""

    node: str
    since: float
    report: Path

    def reported(self) -> dict:
        """The last {what, done, total, seconds_left} that the node's loops wrote; {} before the first."""
        try:
            return json.loads(self.report.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not yet there, or just being written
            return {}


@dataclass
class Progress:
    """The progress of one run.

    Args:
        todo: nodes that may still have to run, as {id: stage}.
        walls: wall times in seconds by node, of earlier runs; those of this run are added.
        jobs: how many nodes run at once.
    """

    todo: dict[str, str]
    walls: dict[str, float]
    jobs: int
    stages: dict[str, list[float]] = field(init=False)  # walls by stage
    waiting: Counter[str] = field(init=False)  # nodes of `todo` that never ran, by stage
    known: float = field(init=False)  # sum of the walls of the others
    out: TextIO = field(default_factory=lambda: sys.stdout)
    spoken: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.stages, self.waiting, self.known = {}, Counter(), 0.0
        for node, seconds in self.walls.items():
            self.stages.setdefault(stage_of(node), []).append(seconds)
        for node, stage in self.todo.items():
            self._count(node, stage, 1)

    def started(self, node: str, reason: str) -> None:
        self._say(f"{node} starts: {reason}")

    def finished(self, node: str, seconds: float) -> None:
        self.dropped(node)
        self.walls[node] = seconds
        self.stages.setdefault(stage_of(node), []).append(seconds)
        self._say(f"{node} done in {duration(seconds)}, {len(self.todo)} to go")

    def failed(self, node: str, error: str) -> None:
        self.dropped(node)
        self._say(f"{node} FAILED: {error}")

    def lost(self, node: str, error: str) -> None:
        self._say(f"{node} is begun again, its worker was lost: {error}")

    def dropped(self, node: str) -> None:
        """The node needs no run any more, or can't run."""
        if stage := self.todo.pop(node, None):
            self._count(node, stage, -1)

    def _count(self, node: str, stage: str, sign: int) -> None:
        if node in self.walls:
            self.known += sign * self.walls[node]
        else:
            self.waiting[stage] += sign

    def update(self, running: list[Running]) -> None:
        """Show how far the running nodes are; without a terminal at most every EVERY seconds."""
        if self.out.isatty():
            line = self.status(running)[: shutil.get_terminal_size().columns - 1] if running else ""
            with suppress(OSError):
                print(f"\r\x1b[K{line}", end="", file=self.out, flush=True)
        elif running and time.monotonic() - self.spoken > EVERY:
            self._say(self.status(running))

    def status(self, running: list[Running]) -> str:
        """'04_disrupt[attack=pgd] PGD 12/50, about 2 min left | 5 to go, about 8 min left'"""
        parts = []
        for job in running:
            steps = "{what} {done}/{total}".format(**report) if (report := job.reported()) else "at work"
            parts.append(f"{job.node} {steps}{_about(self._left(job))}")
        return " | ".join([*parts, f"{len(self.todo)} to go{_about(self.seconds_left(running))}"])

    def seconds_left(self, running: list[Running]) -> float | None:
        """An estimate for all that is to do; None while a node's time can't be guessed."""
        now = [self._left(job) for job in running]
        unknown = {stage: count for stage, count in self.waiting.items() if count > 0}
        if None in now or (unknown and not self.walls):
            return None
        later = self.known + sum(count * self._typical(stage) for stage, count in unknown.items())
        begun = sum(self._guess(job.node) or 0 for job in running if job.node in self.todo)
        return max([(sum(now) + max(later - begun, 0)) / self.jobs, *now])

    def _left(self, job: Running) -> float | None:
        reported, guess = job.reported().get("seconds_left"), self._guess(job.node)
        if reported is not None or guess is None:
            return reported
        return max(guess - (time.monotonic() - job.since), 0)

    def _guess(self, node: str) -> float | None:
        """The node's own wall time if it ran before, else what is typical of its stage."""
        if node in self.walls:
            return self.walls[node]
        return self._typical(stage_of(node)) if self.walls else None

    def _typical(self, stage: str) -> float:
        """The mean of a stage, else the median of all: a training of hours says little of the others."""
        alike = self.stages.get(stage)
        return mean(alike) if alike else median(self.walls.values())

    def _say(self, text: str) -> None:
        self.spoken = time.monotonic()
        clear = "\r\x1b[K" if self.out.isatty() else ""
        with suppress(OSError):  # the terminal is gone, or the log's disk is full: the study goes on
            print(f"{clear}{plain(text)}", file=self.out, flush=True)


def stage_of(node: str) -> str:
    """The stage in a node's id."""
    return node.partition("[")[0]


def duration(seconds: float) -> str:
    """'8.4 s', '3 min', '2 h 05 min'."""
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02} min"


def _about(seconds: float | None) -> str:
    return "" if seconds is None else f", about {duration(seconds)} left"
