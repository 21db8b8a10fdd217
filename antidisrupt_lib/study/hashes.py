"""Hashes of files and folders by their content, with a cache that knows a file by its inode, size and times.

The cache makes a second look at 200,000 photos a matter of seconds. An edit that keeps size and modification time still
changes the time of the inode's change, which no program can set: what was edited is read again.
"""

import csv
import hashlib
import json
import os
import sqlite3
import stat
import sys
import time
from collections.abc import Iterable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

SETTLED = 2 * 10**9  # ns; a younger file may change again within the same tick of the clock
SYSTEMS = ("/proc", "/sys", "/dev")  # their files have no end
EXHIBITS = ("figures/", "tables/")  # what a result shows, and no reader takes


TRUST = ContextVar("TRUST", default=True)  # whether the cache may say what a file holds


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_hash(path: Path | str) -> str:
    """sha256 of a file, which is read for it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_hash(path: Path | str) -> str:
    """sha256 of a file, which is read unless the cache knows it as it is now."""
    return file_hashes([path])[0]


def file_hashes(paths: Iterable[Path | str]) -> list[str]:
    """sha256 of each file; those that were read are remembered together."""
    found, fresh = [], {}
    for path in paths:
        key, settled = _identity(path)
        known = _recall(key) if TRUST.get() else None
        found.append(known or read_hash(path))
        if not known and settled and _identity(path)[0] == key:
            fresh[key] = found[-1]
    _remember(fresh)
    return found


def folder_hash(folder: Path | str) -> str:
    """Hash of the names and contents of all files below a folder, links followed."""
    files, again = files_below(folder)
    hashes = dict(zip(files, file_hashes(files.values()), strict=True)) | again
    return sha256(json.dumps(dict(sorted(hashes.items()))).encode())


def files_below(folder: Path | str) -> tuple[dict[str, str], dict[str, str]]:
    """{name below the folder: path} of its regular files, and {name: first name} of folders that have several.

    A folder that links reach again is entered once: links that make a circle or a web come to an end.

    Raises:
        OSError: a folder can't be listed.
        ValueError: a link leads out, to a folder that holds this one or is the system's own.
    """
    files, again, entered = {}, {}, {os.path.realpath(folder): ""}
    waiting = [("", os.fspath(folder))]
    while waiting:
        name, place = waiting.pop()
        for entry in _listed(place):
            below, real = f"{name}{entry.name}", os.path.realpath(entry.path) if entry.is_dir() else ""
            if real in entered:
                again[below] = entered[real]
            elif real:
                _refuse_way_out(entry.path, real, os.path.realpath(folder))
                entered[real] = below
                waiting.append((f"{below}/", entry.path))
            elif entry.is_file():
                files[below] = entry.path
    return files, again


def _listed(folder: str) -> list[os.DirEntry]:
    with os.scandir(folder) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _refuse_way_out(link: str, real: str, folder: str) -> None:
    if folder.startswith(real.rstrip("/") + "/") or real.startswith(SYSTEMS):
        raise ValueError(f"{link} leads to {real}, out of the folder. Remove the link, or name what is meant.")


def content_without_times(path: Path) -> str | None:
    """Hash of a results table without its measured seconds, which no run repeats; None if the file has none."""
    if path.suffix != ".csv":
        return None
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            rows = list(csv.reader(file))
    except csv.Error:
        return None
    header = rows[0] if rows else []
    if not {"unit", "value"} <= set(header):
        return None
    unit, value = header.index("unit"), header.index("value")
    timed = [row for row in rows if len(row) > max(unit, value) and row[unit] == "s"]
    for row in timed:
        row[value] = ""
    return sha256(json.dumps(rows).encode()) if timed else None


# The cache


def _identity(path: Path | str) -> tuple[str, bool]:
    """What tells a file from what it was before, and whether a later change is sure to show in it."""
    about = os.stat(path)
    if not stat.S_ISREG(about.st_mode):
        raise ValueError(f"{path} is no file. Correct the path.")
    age = time.time_ns() - about.st_ctime_ns
    numbers = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return ":".join(map(str, numbers)), age > SETTLED


@cache
def _store() -> sqlite3.Connection:
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "antidisrupt")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _opened(folder / "hashes.sqlite")
    except (OSError, RuntimeError, sqlite3.Error) as error:
        print(f"No hashes are kept ({error}): all files are read, each time. Free {folder}.", file=sys.stderr)
        return _opened(":memory:")


def _opened(place: Path | str) -> sqlite3.Connection:
    store = sqlite3.connect(place, timeout=10, check_same_thread=False)
    store.execute("CREATE TABLE IF NOT EXISTS hashes (file TEXT PRIMARY KEY, sha256 TEXT) WITHOUT ROWID")
    return store


def _recall(key: str) -> str | None:
    try:
        row = _store().execute("SELECT sha256 FROM hashes WHERE file = ?", (key,)).fetchone()
    except sqlite3.Error:  # damaged or locked: the file itself is there to be read
        return None
    return row and row[0]


def _remember(hashes: dict[str, str]) -> None:
    if not hashes:
        return
    try:
        with _store() as store:
            store.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?)", hashes.items())
    except sqlite3.Error as error:
        print(f"The hashes of {len(hashes)} files aren't kept ({error}).", file=sys.stderr)
