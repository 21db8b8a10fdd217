"""Manifests: how a result was made, whether it still stands, and if not, why.

A node's recipe is all that its result depends on: plain parameters, the code of its notebook and of the library modules
that this imports, the content of its inputs and of files that its parameters name, and the thread count. A result is
done when its manifest holds the recipe of today and its files are as they were written. Everything is compared by
content; comments, layout, docstrings and notebook outputs don't count.
"""

import ast
import hashlib
import importlib.util
import json
import os
from functools import cache
from pathlib import Path

from antidisrupt_lib.study.circumstances import LIBRARY
from antidisrupt_lib.study.graph import Node
from antidisrupt_lib.study.own_code import own_sources
from antidisrupt_lib.study.params import code_cells

RECORDS = ("notebook.ipynb", "notebook.html", "manifest.json")  # kept with a result, but no part of it


def recipe(node: Node, upstream: dict[str, dict], library: Path = LIBRARY) -> dict:
    """All that the node's result depends on, as of now.

    Args:
        upstream: manifests of the nodes that it reads, by id.

    Raises:
        ValueError: an input names a path that its stage didn't write, or a source can't be parsed.
    """
    code = notebook_code(node.notebook.path)
    inputs = {label: content_hash(upstream[read.node], read.path) for label, read in node.reads.items()}
    return {
        "parameters": node.parameters,
        "notebook": hash_code(code, str(node.notebook.path)),
        "library": library_sources(code, library),
        "threads": node.threads,
        "inputs": inputs | _named_files(node, library) | _named_code(node),
    }


def _named_files(node: Node, library: Path) -> dict[str, str]:
    """{parameter: hash} of what the node's paths name: a weights file, its own or in the zoo, or a folder of faces."""
    named: dict[str, str] = {}
    for name, text in node.given_paths.items():
        beside = node.notebook.path.parent / text
        files = [path for path in (beside, library / text) if os.path.isfile(path)]
        if files:
            named[name] = _hash_file(files[0])
        elif os.path.isdir(beside):
            named[name] = _hash_listing(beside)
    return named


def _named_code(node: Node) -> dict[str, str]:
    """{parameter: hash} of the sources of the user's own code that a parameter names."""
    named = {name: own_sources(value, node.notebook.path.parent) for name, value in node.parameters.items()}
    hashes = {
        name: [{place: hash_code(code, place) for place, code in found.items()} for found in sources.values()]
        for name, sources in named.items()
        if any(sources.values())
    }
    return {name: _sha256(json.dumps(found, sort_keys=True).encode()) for name, found in hashes.items()}


def _hash_listing(folder: Path) -> str:
    """Hash of the names and sizes of the files in a folder; to read 200,000 photos would take too long."""
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    return _sha256(json.dumps(sizes, sort_keys=True).encode())


def recipe_key(recipe: dict) -> str:
    """The hash under which a recipe's result is known."""
    in_order = recipe | {"inputs": list(recipe["inputs"].items())}
    return _sha256(json.dumps(in_order, sort_keys=True).encode())


def why_run(node: Node, recipe: dict, old: dict | None, folder: Path) -> str | None:
    """Why the node must run, in one line, or None if its result in `folder`, with the manifest `old`, stands."""
    if old is None:
        return "never ran"
    if "key" not in old:
        return "its manifest is unreadable"
    if old["key"] == recipe_key(recipe):
        altered = _first_altered(old["outputs"], folder)
        return f"an output is missing or altered: {altered}" if altered else None
    if changes := _changes(old["parameters"], recipe["parameters"]):
        return "parameters changed: " + ", ".join(f"{name} {before} -> {now}" for name, before, now in changes)
    if old["notebook"] != recipe["notebook"]:
        return "notebook source changed"
    if changes := _changes(old["library"], recipe["library"]):
        return f"library source changed: {', '.join(name for name, _, _ in changes)}"
    if old["threads"] != recipe["threads"]:
        return f"threads changed: {old['threads']} -> {recipe['threads']}"
    changes = [name for name, _, _ in _changes(old["inputs"], recipe["inputs"])]
    origins = node.parameters | {name: read.node for name, read in node.reads.items()}
    named = [f"{name} ({origins.get(name, 'gone')})" for name in changes]
    return f"input changed: {', '.join(named)}" if named else "inputs in another order"


def _changes(before: dict, now: dict) -> list[tuple[str, str, str]]:
    """(name, before, now) of the entries that differ."""
    names = [name for name in before | now if before.get(name) != now.get(name) or (name in before) != (name in now)]
    return [(name, _shown(before, name), _shown(now, name)) for name in names]


def _shown(table: dict, name: str) -> str:
    text = json.dumps(table[name]).strip('"') if name in table else "(none)"
    return text if len(text) <= 60 else text[:57] + "..."


# Files


def hash_outputs(folder: Path) -> dict[str, dict]:
    """{path: {sha256, size, mtime_ns}} of all files of a finished node, but for the records about it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _describe(path) for name, path in names.items() if name not in RECORDS}


def content_hash(manifest: dict, path: str) -> str:
    """Hash of what a reader of `path` in a result depends on: names and contents, figures left out.

    Raises:
        ValueError: the result holds nothing at `path`.
    """
    files = {name: about["sha256"] for name, about in manifest["outputs"].items() if not name.startswith("figures/")}
    if path:
        read = {name: sha for name, sha in files.items() if f"{name}/".startswith(f"{path.rstrip('/')}/")}
        if not read:
            there = ", ".join(dict.fromkeys(name.partition("/")[0] for name in files)) or "nothing"
            raise ValueError(
                f"Stage {manifest['stage']} wrote no `{path}`, but: {there}. Correct the input that reads it."
            )
        files = read
    return _sha256(json.dumps(files, sort_keys=True).encode())


def read_manifest(folder: Path) -> dict | None:
    """The manifest in a node's folder; None if there is none, {} if it can't be read."""
    try:
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError:
        return {}


def write_manifest(folder: Path, manifest: dict) -> None:
    """Write manifest.json, whole or not at all."""
    temporary = folder / ".manifest.json"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, folder / "manifest.json")


def _first_altered(outputs: dict[str, dict], folder: Path) -> str | None:
    return next((name for name, about in outputs.items() if not _holds(folder / name, about)), None)


def _holds(path: Path, about: dict) -> bool:
    """Whether the file is as recorded; its content is only read where its time changed."""
    if not path.is_file() or path.stat().st_size != about["size"]:
        return False
    return path.stat().st_mtime_ns == about["mtime_ns"] or _hash_file(path) == about["sha256"]


def _describe(path: Path) -> dict:
    return {"sha256": _hash_file(path), "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}


def _hash_file(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# Sources


def notebook_code(path: Path) -> str:
    """The Python of a notebook: its code cells without the lines that speak to IPython."""
    lines = [line for cell in code_cells(path) for line in cell["source"].splitlines()]
    return "\n".join(line for line in lines if not line.lstrip().startswith(("%", "!")))


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
    return _sha256(ast.dump(tree).encode())


def library_sources(code: str, library: Path = LIBRARY) -> dict[str, str]:
    """{path: hash} of the library's modules that `code` imports, directly or not, and of the data files beside them."""
    found: dict[str, str] = {}
    waiting = _imported_files(code, library, package="")
    while waiting:
        path = waiting.pop()
        name = path.relative_to(library.parent).as_posix()
        if name not in found:
            found[name], imported = _read_module(path, path.stat().st_mtime_ns, library)
            waiting |= imported
    return dict(sorted(found.items()))


@cache
def _read_module(path: Path, mtime_ns: int, library: Path) -> tuple[str, frozenset[Path]]:
    """The hash of a module, or of a package's data file, and what it imports; cached until the file changes."""
    if path.suffix != ".py":
        return _hash_file(path), frozenset()
    code = path.read_text(encoding="utf-8")
    package = ".".join(path.parent.relative_to(library.parent).parts)
    return hash_code(code, str(path)), frozenset(_imported_files(code, library, package))


def _imported_files(code: str, library: Path, package: str) -> set[Path]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name("." * node.level + (node.module or ""), package or None)
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return {path for name in names if name.split(".")[0] == library.name for path in _module_files(name, library)}


def _module_files(name: str, library: Path) -> set[Path]:
    """What importing a dotted name runs: its module and its packages, these with the data files that lie in them."""
    parts, files = name.split("."), set()
    for end in range(1, len(parts) + 1):
        place = library.parent.joinpath(*parts[:end])
        if place.with_suffix(".py").is_file():
            files.add(place.with_suffix(".py"))
        if (place / "__init__.py").is_file():
            files.add(place / "__init__.py")
            files |= {path for path in place.iterdir() if path.is_file() and path.suffix not in (".py", ".pyc", ".md")}
    return files
