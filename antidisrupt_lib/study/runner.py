"""Running a study: what must run and why, in which order, and what came of it."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path

from antidisrupt_lib.study.circumstances import device, git_state
from antidisrupt_lib.study.graph import Node, Study
from antidisrupt_lib.study.manifest import (
    files_read,
    first_altered,
    named_content,
    read_manifest,
    recipe,
    recipe_key,
    why_run,
    write_manifest,
)
from antidisrupt_lib.study.node import Result, Task, failure, read_result, run_node, stop_node
from antidisrupt_lib.study.params import require_known
from antidisrupt_lib.study.paths import reason
from antidisrupt_lib.study.places import (
    attempts,
    begin_attempt,
    clear_attempts,
    delete,
    heal,
    partial,
    replace_folder,
)
from antidisrupt_lib.study.processes import end_processes, sweep_scratch
from antidisrupt_lib.study.progress import Progress, Running

TRIES = 3  # of a node whose workers are lost


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


@dataclass(frozen=True)
class _Job:
    node: Node
    recipe: dict
    task: Task
    running: Running


@dataclass(frozen=True)
class _Run:
    study: Study
    chosen: Collection[str]
    forced: Collection[str]
    outcome: Outcome
    progress: Progress
    require_lock: Callable[[], None]
    lost: Counter[str] = field(default_factory=Counter)  # workers, by the node that they ran


def run(
    study: Study,
    *,
    executor: Executor,
    jobs: int,
    chosen: Collection[str] | None = None,
    forced: Collection[str] = (),
    steps: list[Step] | None = None,
    execute: Callable[[Task], Result] = run_node,
    require_lock: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run what is not done, each node as soon as all that it needs stands.

    A node that fails takes with it only the nodes that need it.

    Args:
        executor: runs `execute(task)`; any of concurrent.futures' kind.
        jobs: how many tasks it is given at once; results don't depend on it.
        chosen: the stages to run, all by default.
        forced: stages to run although their results stand.
        steps: what `plan` said of these stages, if it was asked before.
        require_lock: raises ValueError once the study is another run's.

    Raises:
        ValueError: as `plan` does, before anything runs; or the study is another run's.
    """
    end_processes(f"{partial(study)}{os.sep}")  # of a run that was killed: the study is this one's now
    sweep_scratch()
    heal(study)
    chosen = set(study.stages) if chosen is None else chosen
    progress = _expect(study, steps or plan(study, chosen, forced), jobs)
    this = _Run(study, chosen, forced, Outcome(), progress, require_lock)
    running: dict[Future, _Job] = {}
    try:
        _run_all(this, executor, jobs, execute, running)
    except BaseException:
        for job in running.values():  # else the executor would wait for them
            stop_node(job.task)
        raise
    return this.outcome


def _run_all(
    this: _Run, executor: Executor, jobs: int, execute: Callable[[Task], Result], running: dict[Future, _Job]
) -> None:
    order = TopologicalSorter({node.id: node.needs for node in this.study.nodes.values()})
    order.prepare()
    ready: deque[str] = deque()
    while order.is_active():
        this.require_lock()
        ready += order.get_ready()
        while ready and len(running) < jobs:
            node = this.study.nodes[ready.popleft()]
            if job := _start(this, node):
                running[_submit(executor, execute, job.task)] = job
            else:
                order.done(node.id)
        for future in wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done if running else ():
            job = running.pop(future)
            this.require_lock()
            if _is_lost(this, job, future):
                ready.append(job.node.id)
            else:
                _finish(this, job, _result(future))
                order.done(job.node.id)
        this.progress.update([job.running for job in running.values()])


def _submit(executor: Executor, execute: Callable[[Task], Result], task: Task) -> Future:
    """The future of a task; an executor that takes no more gives one that failed."""
    try:
        return executor.submit(execute, task)
    except Exception as error:  # executors of other libraries raise what they like
        future: Future = Future()
        future.set_exception(error)
        return future


def _is_lost(this: _Run, job: _Job, future: Future) -> bool:
    """Whether the executor failed and not the node, which is to be tried again: in an attempt, a folder, of its own."""
    error = _executors_error(future)
    if error is None or this.lost[job.node.id] == TRIES - 1:
        return False
    this.lost[job.node.id] += 1
    end_processes(job.task.progress)
    this.progress.lost(job.node.id, str(error))
    return True


def _executors_error(future: Future) -> BaseException | None:
    try:
        return future.exception()
    except CancelledError as error:
        return error


def _result(future: Future) -> Result:
    """What came of a task; an executor's own error, such as of a lost worker, is the node's failure."""
    if (error := _executors_error(future)) is None:
        return future.result()
    return failure(f"it could not be run in {TRIES} tries: {error or type(error).__name__}")


def _judge(study: Study, node: Node, done: dict[str, dict], forced: Collection[str]) -> tuple[dict, str | None]:
    """The node's recipe as of now, and why it must run, if it must."""
    now, folder = recipe(node, done), study.result(node.id)
    return now, "forced" if node.stage in forced else why_run(node, now, read_manifest(folder), folder)


def _expect(study: Study, steps: list[Step], jobs: int) -> Progress:
    todo = {step.node: study.nodes[step.node].stage for step in steps if step.verdict in ("run", "wait")}
    manifests = {node: read_manifest(study.result(node)) or {} for node in study.nodes if todo}
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
        if why is not None and node.stage in this.chosen:
            return _begin(this, node, now, why)
    except (ValueError, OSError) as error:
        _fail(this, node, reason(error))
        return None
    if why is None:
        outcome.done[node.id] = read_manifest(this.study.result(node.id))
        clear_attempts(this.study, node)
    else:
        outcome.left[node.id] = f"not asked for, {why}"
    this.progress.dropped(node.id)
    return None


def _begin(this: _Run, node: Node, now: dict, why: str) -> _Job | None:
    """The job of a new attempt; None if an earlier run was stopped after its end, whose result now takes its place."""
    key = recipe_key(now)
    for folder in attempts(this.study, node, key) if why != "forced" else ():
        job = _make_job(this, node, now, folder)
        result = read_result(job.task.report)
        if result and not result.error and first_altered(result.outputs, folder) is None:
            _finish(this, job, result)
            return None
    this.progress.started(node.id, why)
    return _make_job(this, node, now, begin_attempt(this.study, node, key, fresh=why == "forced"))


def _make_job(this: _Run, node: Node, now: dict, folder: Path) -> _Job:
    study = this.study
    parameters = node.parameters | study.paths(node) | {"out": str(folder)}
    reads = {
        str(study.result(read.node) / name): about["sha256"]
        for read in node.reads.values()
        for name, about in files_read(this.outcome.done[read.node], read.path).items()
    }
    git = git_state(study.notebooks)  # as it is when the node starts
    task = Task(str(node.notebook.path), parameters, str(folder), node.threads, reads, node.time_limit, git)
    return _Job(node, now, task, Running(node.id, time.monotonic(), task.progress))


def _finish(this: _Run, job: _Job, result: Result) -> None:
    """Publish a result, or keep the notebook of a failure where it can be read."""
    kept = this.study.folder / ".failed" / f"{job.node.id}.ipynb"
    try:
        error = result.error or _changed(job, result)
        if not error:
            this.outcome.done[job.node.id] = _publish(this.study, job, result)
            this.outcome.ran.append(job.node.id)
            kept.unlink(missing_ok=True)
            this.progress.finished(job.node.id, result.wall_seconds)
            return
        executed = Path(job.task.folder, "notebook.ipynb")
        if executed.exists():
            kept.parent.mkdir(exist_ok=True)
            executed.replace(kept)
            error = f"{error}\n  the notebook as far as it ran: {kept}"
    except OSError as fault:
        error = result.error or f"it is done, but can't take its place ({reason(fault)}). Run again: it is kept"
    _fail(this, job.node, error)


def _fail(this: _Run, node: Node, error: str) -> None:
    this.outcome.failed[node.id] = error.partition("\n  the notebook as")[0]
    this.progress.failed(node.id, error)


def _changed(job: _Job, result: Result) -> str | None:
    """What no longer is as it was when the node started, so that its result isn't that of its recipe; it goes."""
    now = named_content(job.node)
    names = [name for name, sha in now.items() if job.recipe["inputs"].get(name) != sha]
    versions = result.circumstances.get("versions", job.recipe["versions"])
    if not names and versions == job.recipe["versions"]:
        return None
    delete(job.task.report)
    if names:
        return f"what `{names[0]}` names changed while it ran. Run again once it no longer changes"
    return f"it ran with other packages ({versions}) than this run has. Install the same ones there"


def _publish(study: Study, job: _Job, result: Result) -> dict:
    """Give a complete result its manifest and its place."""
    manifest = {
        "study": study.name,
        "stage": job.node.stage,
        "variant": job.node.variant,
        "key": recipe_key(job.recipe),
        **job.recipe,
        **(result.circumstances or {"git": job.task.git, "device": device()}),
        "seed": job.node.parameters.get("seed"),
        "outputs": result.outputs,
        "started": result.started,
        "wall_seconds": result.wall_seconds,
        "peak_memory_mib": result.peak_memory_mib,
    }
    folder = Path(job.task.folder)
    write_manifest(folder, manifest)
    replace_folder(folder, study.result(job.node.id), partial(study))
    clear_attempts(study, job.node)
    return manifest
