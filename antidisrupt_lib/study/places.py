"""Where results are made and how they take their place, so that a kill at any moment loses nothing that was finished.

An attempt at a node writes to outputs/<study>/.partial/<node>-<recipe>-<attempt>/, a folder that no other attempt ever
uses; the next one at the same recipe takes it over under a new name, with its checkpoints. What is complete has its
Result beside it, then gets its manifest, and takes its place by renaming.
"""

import os
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from antidisrupt_lib.study.graph import Node, Study

REPLACED = "-replaced"


def partial(study: Study) -> Path:
    """Where attempts are made."""
    return study.folder / ".partial"


def attempts(study: Study, node: Node, key: str = "") -> list[Path]:
    """The folders of attempts at a node (at this recipe, if `key` is given), the newest first."""
    start, pattern = f"{node.id}-", f"({key[:8] or '[0-9a-f]{8}'})-[0-9a-f]{{8}}"
    named = [path for path in _entries(partial(study)) if path.name.startswith(start)]
    found = [path for path in named if re.fullmatch(pattern, path.name.removeprefix(start)) and path.is_dir()]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns, reverse=True)


def begin_attempt(study: Study, node: Node, key: str, *, fresh: bool) -> Path:
    """The folder of a new attempt at a node, with what an earlier one at the same recipe left, unless `fresh`.

    Only what has a checkpoint, a file with that word in its name, can be resumed; else the folder is empty. Names that
    begin with a dot are temporary: half-written files of an attempt that was killed go.
    """
    folder = partial(study) / f"{node.id}-{key[:8]}-{uuid4().hex[:8]}"
    earlier = [] if fresh else [path for path in attempts(study, node, key) if any(path.rglob("*checkpoint*"))]
    if earlier:
        earlier[0].rename(folder)
        sweep_hidden(folder)
    clear_attempts(study, node, but=folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def clear_attempts(study: Study, node: Node, but: Path | None = None) -> None:
    """Delete what attempts at a node left, and the files about them, but for the folder `but`."""
    start, pattern = f"{node.id}-", r"[0-9a-f]{8}-[0-9a-f]{8}(\.\w+\.json)?"
    for path in _entries(partial(study)):
        mine = path.name.startswith(start) and re.fullmatch(pattern, path.name.removeprefix(start))
        if mine and path != but:
            delete(path)


def sweep_hidden(folder: Path) -> None:
    """Delete all files and folders below `folder` whose name begins with a dot."""
    for path in sorted(folder.rglob(".*")):
        delete(path)


def replace_folder(new: Path, place: Path, aside: Path) -> None:
    """Rename a complete folder to its place; what is there is moved to the folder `aside` first, then deleted."""
    old = aside / f"{place.name}{REPLACED}"
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        delete(old)
        place.rename(old)
    new.rename(place)
    with suppress(OSError):  # the new one stands; `heal` tries again
        delete(old)


def heal(study: Study) -> None:
    """Finish what a killed run left undone: results that it moved away without a new one come back; half files go."""
    for old in _entries(partial(study)):
        place = study.folder / old.name.removesuffix(REPLACED)
        if old.name.startswith(".") or (old.name.endswith(REPLACED) and os.path.lexists(place)):
            delete(old)
        elif old.name.endswith(REPLACED):
            old.rename(place)


def delete(path: Path) -> None:
    """Delete a file or a folder with all in it, if it is there; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _entries(folder: Path) -> Iterable[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
