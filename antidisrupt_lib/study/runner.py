"""Running a study: what must run and why, in which order, and how a result gets its place.

A node works in outputs/<study>/.partial/ and takes its place in one rename when it is complete, its manifest written
last: whatever moment a run is killed at, what stands is whole. A partial folder is kept for the same recipe, so that a
long training goes on from its checkpoint.
"""

import re
import shutil
import time
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from antidisrupt_lib.study.circumstances import device, git_state, versions
from antidisrupt_lib.study.graph import Node, Study
from antidisrupt_lib.study.manifest import read_manifest, recipe, recipe_key, why_run, write_manifest
from antidisrupt_lib.study.node import Result, Task, run_node
from antidisrupt_lib.study.params import require_known
from antidisrupt_lib.study.progress import Progress, Running


@dataclass(frozen=True)
class Step:
    """What a run would do with a node: "run", "wait" (for another), "skip" (its result stands) or "leave" it."""

    node: str
    verdict: str
    why: str


@dataclass
class Outcome:
    """What a run left: manifests of the results that stand, which of them it made, errors, why others are left."""

    done: dict[str, dict] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)


def choose_stages(study: Study, only: Collection[str] = (), until: str | None = None) -> set[str]:
    """The stages that a run is about: `only` these, or `until` one with all that it needs, or all.

    Raises:
        ValueError: the study has no such stage.
    """
    require_known([*only, *([until] if until else [])], study.stages, f"study {study.name}", "stage")
    if only or not until:
        return set(only or study.stages)
    needed = {node.id for node in study.nodes.values() if node.stage == until}
    for node in reversed(study.nodes.values()):  # each stands after those it needs
        needed |= node.needs if node.id in needed else set()
    return {study.nodes[node].stage for node in needed}


def plan(study: Study, chosen: Collection[str], forced: Collection[str] = ()) -> list[Step]:
    """What a run of the `chosen` stages would do, node by node in order.

    Raises:
        ValueError: a chosen node needs a result that doesn't stand and isn't chosen.
    """
    done, steps = {}, {}
    for node in study.nodes.values():
        missing = [need for need in sorted(node.needs) if need not in done]
        why = _waits(missing) if missing else _judge(study, node, done, forced)[1]
        if why is None:
            done[node.id] = read_manifest(study.result(node.id))
            steps[node.id] = Step(node.id, "skip", "stands")
        elif node.stage not in chosen:
            steps[node.id] = Step(node.id, "leave", f"not asked for, {why}")
        elif gaps := [need for need in missing if steps[need].verdict == "leave"]:
            stage = study.nodes[gaps[0]].stage
            raise ValueError(f"{node.id} needs {gaps[0]}, which is {steps[gaps[0]].why}. Run stage {stage} too.")
        else:
            steps[node.id] = Step(node.id, "wait" if missing else "run", why)
    return list(steps.values())


def _waits(missing: list[str]) -> str:
    return f"waits for {missing[0]}" + (f" and {len(missing) - 1} more" if missing[1:] else "")


def lock(study: Study) -> FileLock:
    """Take the study for this process, until it ends or releases the lock.

    Raises:
        ValueError: another process runs the study, or its folder can't be made.
    """
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{study.folder} can't be made: {error.strerror}. Give another --outputs.") from error
    held = FileLock(study.folder / ".lock")
    try:
        held.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run of study {study.name} is at work in {study.folder}. Wait for its end, or stop it."
        ) from error
    return held


@dataclass(frozen=True)
class _Job:
    node: Node
    recipe: dict
    task: Task
    running: Running
    git: dict


@dataclass(frozen=True)
class _Run:
    study: Study
    chosen: Collection[str]
    forced: Collection[str]
    outcome: Outcome
    progress: Progress


def run(
    study: Study,
    *,
    executor: Executor,
    jobs: int,
    chosen: Collection[str] | None = None,
    forced: Collection[str] = (),
    execute: Callable[[Task], Result] = run_node,
) -> Outcome:
    """Run what is not done, each node as soon as all that it needs stands.

    A node that fails takes with it only the nodes that need it.

    Args:
        executor: runs `execute(task)`; any of concurrent.futures' kind.
        jobs: how many tasks it is given at once; results don't depend on it.
        chosen: the stages to run, all by default.
        forced: stages to run although their results stand.

    Raises:
        ValueError: as `plan` does, before anything runs.
    """
    chosen = set(study.stages) if chosen is None else chosen
    this = _Run(study, chosen, forced, Outcome(), _expect(study, plan(study, chosen, forced), jobs))
    order = TopologicalSorter({node.id: node.needs for node in study.nodes.values()})
    order.prepare()
    ready: list[str] = []
    running: dict[Future, _Job] = {}
    try:
        while order.is_active():
            ready += order.get_ready()
            while ready and len(running) < jobs:
                node = study.nodes[ready.pop(0)]
                if job := _start(this, node):
                    running[executor.submit(execute, job.task)] = job
                else:
                    order.done(node.id)
            finished, _ = wait(running, timeout=0.5, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                _finish(this, job, future.result())
                order.done(job.node.id)
            this.progress.update([job.running for job in running.values()])
    except KeyboardInterrupt:
        _kill_children()  # else the executor would wait for them
        raise
    return this.outcome


def _judge(study: Study, node: Node, done: dict[str, dict], forced: Collection[str]) -> tuple[dict, str | None]:
    """The node's recipe as of now, and why it must run, if it must."""
    now, folder = recipe(node, done), study.result(node.id)
    return now, "forced" if node.stage in forced else why_run(node, now, read_manifest(folder), folder)


def _expect(study: Study, steps: list[Step], jobs: int) -> Progress:
    todo = {step.node: study.nodes[step.node].stage for step in steps if step.verdict in ("run", "wait")}
    manifests = {node: read_manifest(study.result(node)) or {} for node in study.nodes}
    walls = {node: manifest["wall_seconds"] for node, manifest in manifests.items() if "wall_seconds" in manifest}
    return Progress(todo, walls, jobs)


def _start(this: _Run, node: Node) -> _Job | None:
    """The job that the node needs now; None if its result stands or it can't run, as noted in the outcome."""
    outcome = this.outcome
    if missing := sorted(node.needs - outcome.done.keys()):
        outcome.left[node.id] = outcome.left.get(missing[0], f"needs {missing[0]}, which failed")
        this.progress.dropped(node.id)
        return None
    try:
        now, why = _judge(this.study, node, outcome.done, this.forced)
    except ValueError as error:
        outcome.failed[node.id] = str(error)
        this.progress.failed(node.id, str(error))
        return None
    if why is not None and node.stage in this.chosen:
        this.progress.started(node.id, why)
        return _make_job(this.study, node, now, fresh=why == "forced")
    if why is None:
        outcome.done[node.id] = read_manifest(this.study.result(node.id))
    else:
        outcome.left[node.id] = f"not asked for, {why}"
    this.progress.dropped(node.id)
    return None


def _make_job(study: Study, node: Node, now: dict, *, fresh: bool) -> _Job:
    folder = study.folder / ".partial" / f"{node.id}-{recipe_key(now)[:8]}"
    _clear_partials(node, folder, keep=not fresh)
    folder.mkdir(parents=True, exist_ok=True)
    parameters = node.parameters | study.paths(node) | {"out": str(folder)}
    task = Task(str(node.notebook.path), parameters, str(folder), node.threads)
    return _Job(node, now, task, Running(node.id, time.monotonic(), task.progress), git_state(study.notebooks))


def _clear_partials(node: Node, folder: Path, *, keep: bool) -> None:
    """Delete what killed runs of this node left, but for `folder` itself if it is to be resumed."""
    leftover = re.compile(re.escape(node.id) + r"-[0-9a-f]{8}(\.\w+\.json|-replaced)?")
    for path in folder.parent.iterdir() if folder.parent.exists() else ():
        if leftover.fullmatch(path.name) and not (keep and path == folder):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _finish(this: _Run, job: _Job, result: Result) -> None:
    """Publish a result, or keep the notebook of a failure where it can be read."""
    kept = this.study.folder / ".failed" / f"{job.node.id}.ipynb"
    if result.error is None:
        this.outcome.done[job.node.id] = _publish(this.study, job, result)
        this.outcome.ran.append(job.node.id)
        kept.unlink(missing_ok=True)
        this.progress.finished(job.node.id, result.wall_seconds)
        return
    executed = Path(job.task.folder, "notebook.ipynb")
    if executed.exists():
        kept.parent.mkdir(exist_ok=True)
        executed.replace(kept)
    this.outcome.failed[job.node.id] = result.error
    this.progress.failed(job.node.id, f"{result.error}\n  the notebook as far as it ran: {kept}")


def _publish(study: Study, job: _Job, result: Result) -> dict:
    """Give a complete result its manifest and its place."""
    manifest = {
        "study": study.name,
        "stage": job.node.stage,
        "variant": job.node.variant,
        "key": recipe_key(job.recipe),
        "git": job.git,  # as it was when the node started
        **job.recipe,
        "seed": job.node.parameters.get("seed"),
        "outputs": result.outputs,
        "versions": versions(),
        "device": device(),
        "started": result.started,
        "wall_seconds": result.wall_seconds,
        "peak_memory_mib": result.peak_memory_mib,
    }
    folder = Path(job.task.folder)
    write_manifest(folder, manifest)
    replace_folder(folder, study.result(job.node.id))
    job.task.report.unlink(missing_ok=True)
    job.task.progress.unlink(missing_ok=True)
    return manifest


def replace_folder(new: Path, place: Path) -> None:
    """Rename a complete folder to its place; an older one there is moved away first, then deleted."""
    old = new.with_name(f"{new.name}-replaced")
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def _kill_children() -> None:
    for child in psutil.Process().children(recursive=True):
        child.kill()
