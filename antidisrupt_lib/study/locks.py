"""One run of a study at a time."""

import os
from collections.abc import Callable

from filelock import FileLock, Timeout

from antidisrupt_lib.study.graph import Study


def lock(study: Study) -> FileLock:
    """Take the study for this process, until it ends or releases the lock.

    Raises:
        ValueError: another process runs the study, or its folder can't be made.
    """
    try:
        study.folder.mkdir(parents=True, exist_ok=True)
        held = FileLock(study.folder / ".lock")
        held.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run of study {study.name} is at work in {study.folder}. Wait for its end, or stop it."
        ) from error
    except OSError as error:
        raise ValueError(f"{study.folder} can't be made: {error.strerror}. Give another --outputs.") from error
    return held


def guard(held: FileLock) -> Callable[[], None]:
    """A function that raises ValueError as soon as the lock's file was deleted: another run may have begun."""
    own = os.stat(held.lock_file).st_ino

    def require() -> None:
        try:
            ours = os.stat(held.lock_file).st_ino == own
        except FileNotFoundError:
            ours = False
        if not ours:
            raise ValueError(
                f"{held.lock_file} was deleted while this run held it, so another may be at work. This one stops; "
                "what is done is kept."
            )

    return require
