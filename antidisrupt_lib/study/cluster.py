"""Where a study's nodes run: on this machine, with a slot for each GPU, or on the workers of a dask cluster.

All are executors of concurrent.futures' kind, which `runner.run` takes. A cluster needs the extra `cluster`
(dask.distributed, dask-jobqueue), and the same folders and environment on all its machines (docs/cluster.md).
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

from antidisrupt_lib.study.circumstances import LIBRARY, visible_gpus
from antidisrupt_lib.study.graph import Study
from antidisrupt_lib.study.node import Result, Task, failure, run_node
from antidisrupt_lib.study.places import partial as partial_results
from antidisrupt_lib.study.processes import end_processes

if TYPE_CHECKING:
    from distributed import Client

RESOURCE = "node"  # a worker offers as many of it as nodes may run there at once
ADDRESSES = "tcp://HOST:PORT, tls://HOST:PORT, local:N or slurm"
SLURM_WORKER = ["--nthreads", "1", "--resources", f"{RESOURCE}=1"]  # it runs one node at a time, whatever its cores
PATIENCE = 60  # seconds for the first worker to come; SLURM's may have to wait longer for their turn
Execute = Callable[[Task], Result]
Place = tuple[Executor, int, Execute]  # what runs tasks, how many at once, and what runs one


@contextmanager
def this_machine(jobs: int, gpus: list[str]) -> Iterator[Place]:
    """Threads of this process, each of which waits for a process of its own; on `gpus`, each has one."""
    execute = on_slots(run_node, [gpus[i % len(gpus)] for i in range(jobs)]) if gpus else run_node
    with ThreadPoolExecutor(jobs) as executor:
        yield executor, jobs, execute


def on_slots(execute: Execute, gpus: list[str]) -> Execute:
    """`execute` of each task on a GPU that no other has at that time."""
    free: SimpleQueue[str] = SimpleQueue()
    for gpu in gpus:
        free.put(gpu)

    def run(task: Task) -> Result:
        gpu = free.get()
        try:
            return execute(replace(task, gpu=gpu))
        finally:
            free.put(gpu)

    return run


@contextmanager
def cluster(scheduler: str, jobs: int | None, study: Study, threads: int) -> Iterator[Place]:
    """A dask cluster: one that runs at an address, or one of our own that ends with the run.

    Args:
        scheduler: as in ADDRESSES.
        jobs: how many nodes run at once; as many as its workers offer, if not given.
        threads: that a node uses at most.

    Raises:
        ValueError: there is no such cluster, it can't be reached, or offers nothing.
    """
    client = _client(scheduler, jobs, threads)
    try:
        offered = _offered(client, scheduler) if jobs is None else jobs
        client.run_on_scheduler(_let_lost_tasks_fail)
        stop = partial(client.run, end_processes, f"{partial_results(study)}{os.sep}")
        stop()  # of a run that was killed: the study is this one's now
        try:
            yield client.get_executor(resources={RESOURCE: 1}, pure=False), offered, partial(run_there, str(LIBRARY))
        except BaseException:
            with suppress(OSError):  # the cluster may be what failed
                stop()
            raise
    finally:
        client.shutdown() if client.cluster else client.close()


def run_there(library: str, task: Task) -> Result:
    """What a worker does: `run_node`, if it has the same files as the driver, on the GPU of its number."""
    from distributed import get_worker

    if str(LIBRARY) != library:
        return failure(f"the worker runs the library in {LIBRARY}, not {library}. Start it where the study is run")
    if not Path(task.folder).is_dir():
        return failure(f"the worker on {os.uname().nodename} doesn't see {task.folder}. Share the folder of results")
    number, gpus = get_worker().name, visible_gpus()
    return run_node(replace(task, gpu=gpus[number % len(gpus)]) if gpus and isinstance(number, int) else task)


def _let_lost_tasks_fail(dask_scheduler: object) -> None:
    """A task whose worker is lost isn't tried again as it is: its attempt has a folder, which no other may use."""
    dask_scheduler.allowed_failures = 0


def _client(scheduler: str, jobs: int | None, threads: int) -> "Client":
    try:
        from distributed import Client
    except ImportError as error:
        raise ValueError(f"--scheduler needs dask ({error}): pip install -e '.[cluster]' -c constraints.txt") from error
    if count := re.fullmatch(r"local:([1-9]\d*)", scheduler):
        return Client(_local(int(count[1])))
    if scheduler == "slurm":
        return Client(_slurm(jobs or 1, threads))
    if not re.fullmatch(r"(tcp|tls)://\S+:\d+", scheduler):
        raise ValueError(f"--scheduler {scheduler}: give {ADDRESSES}.")
    try:
        return Client(scheduler, timeout=PATIENCE / 4)
    except (OSError, TimeoutError) as error:
        raise ValueError(f"There is no scheduler at {scheduler}. Start one: dask scheduler --host HOST.") from error


def _local(workers: int) -> object:
    """A cluster of this machine, which no other can reach; a worker that is lost starts again by itself."""
    import dask
    from distributed import LocalCluster

    dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"})  # on a busy machine a start takes long
    return LocalCluster(
        n_workers=workers, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, memory_limit=None,
        resources={RESOURCE: 1},
    )  # fmt: skip


def _slurm(jobs: int, threads: int) -> object:
    """A cluster of SLURM jobs, one for each node at once; queue, memory and time are dask-jobqueue's settings."""
    from dask_jobqueue import SLURMCluster

    if not shutil.which("sbatch"):
        raise ValueError("--scheduler slurm: there is no sbatch here. Run this on a login node of the cluster.")
    cluster = SLURMCluster(cores=threads, processes=1, worker_extra_args=SLURM_WORKER)
    cluster.adapt(minimum=jobs, maximum=jobs)  # unlike scale(jobs), it replaces jobs that end or are lost
    return cluster


def _offered(client: "Client", scheduler: str) -> int:
    """How many nodes its workers take at once."""
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise ValueError(f"No worker came to {scheduler} in {PATIENCE} s. Start some (docs/cluster.md).") from error
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    offered = int(sum(worker["resources"].get(RESOURCE, 0) for worker in workers))
    if not offered:
        raise ValueError(f"No worker of {scheduler} takes nodes. Start them with --resources {RESOURCE}=1.")
    return offered
