"""Hashes of sources: what a notebook and the modules that it imports do, however they are laid out and commented."""

import ast
import os
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path

from antidisrupt_lib.study.circumstances import LIBRARY
from antidisrupt_lib.study.hashes import file_hash, sha256
from antidisrupt_lib.study.imports import files_of, needs
from antidisrupt_lib.study.params import code_cells


def notebook_code(path: Path) -> str:
    """The Python of a notebook: its code cells but its set-up, without the lines that speak to IPython."""
    about = os.stat(path) if os.path.isfile(path) else None
    return _notebook_code(path, about and (about.st_mtime_ns, about.st_ctime_ns, about.st_size))


@lru_cache
def _notebook_code(path: Path, about: tuple | None) -> str:
    cells = [cell["source"] for cell in code_cells(path) if "set-up" not in cell.get("metadata", {}).get("tags", [])]
    lines = [line for source in cells for line in source.splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


@lru_cache
def hash_code(code: str, where: str) -> str:
    """Hash of what the code does, not of how it is laid out.

    Raises:
        ValueError: it is no valid Python.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError as error:
        raise ValueError(f"{where} is no valid Python: {error}. Mend it and run again.") from error
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for scope in ast.walk(tree):
        if isinstance(scope, documented) and ast.get_docstring(scope, clean=False) is not None:
            scope.body[0] = ast.Pass()
    return sha256(ast.dump(tree).encode())


def library_sources(*codes: str, library: Path = LIBRARY) -> dict[str, str]:
    """{path: hash} of the library's modules that `codes` need, directly or not, and of the data files beside them."""
    return dict(_library_sources(codes, library, frozenset(_states(library))))


def _states(folder: Path | str) -> Iterator[tuple]:
    """What tells whether a file below a folder is still the same, of each."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir() and entry.name != "__pycache__":
                yield from _states(entry.path)
            elif entry.is_file():
                about = entry.stat()
                yield entry.path, about.st_mtime_ns, about.st_ctime_ns, about.st_size


@lru_cache
def _library_sources(codes: tuple[str, ...], library: Path, states: frozenset[tuple]) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = {path for code in codes for path in _needed_files(code, library, "", states)}
    while waiting:
        path = waiting.pop()
        name = path.relative_to(library.parent).as_posix()
        if name not in found:
            found[name], needed = _read_source(path, library, states)
            waiting |= needed
    return dict(sorted(found.items()))


@cache
def _read_source(path: Path, library: Path, states: frozenset[tuple]) -> tuple[str, set[Path]]:
    """The hash of a module, or of a package's data file, and what it needs; cached until the library changes."""
    if path.suffix != ".py":
        return file_hash(path), set()
    code = path.read_text(encoding="utf-8")
    package = ".".join(path.parent.relative_to(library.parent).parts)
    return hash_code(code, str(path)), _needed_files(code, library, package, states)


def _needed_files(code: str, library: Path, package: str, states: frozenset[tuple]) -> set[Path]:
    return {path for parts in needs(code, library.name, package) for path in _files_of(library, parts, states)}


@cache
def _files_of(library: Path, parts: tuple[str, ...], states: frozenset[tuple]) -> set[Path]:
    return files_of(library, parts)
