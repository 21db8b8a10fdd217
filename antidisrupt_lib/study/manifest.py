"""Manifests: how a result was made, whether it still stands, and if not, why.

A node's recipe is all that its result depends on: plain parameters, the code of its notebook and of the library modules
that this needs, the content of its inputs and of all that its parameters name, and the thread count. A result is
done when its manifest holds the recipe of today and its files are as they were written. Everything is compared by
content; comments, layout, docstrings, notebook outputs and measured seconds don't count.
"""

import json
import os
from pathlib import Path
from typing import Any, NotRequired

from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict  # as pydantic wants it before Python 3.12

from antidisrupt_lib.study.circumstances import LIBRARY, versions
from antidisrupt_lib.study.graph import Node
from antidisrupt_lib.study.hashes import EXHIBITS, content_without_times, file_hash, folder_hash, read_hash, sha256
from antidisrupt_lib.study.own_code import Found, own_sources
from antidisrupt_lib.study.paths import located_text
from antidisrupt_lib.study.sources import hash_code, library_sources, notebook_code

RECORDS = ("notebook.ipynb", "notebook.html", "manifest.json")  # kept with a result, but no part of it
RECIPE = ("parameters", "notebook", "library", "threads", "inputs", "versions")


class Output(TypedDict):
    """A file of a result: its hash, by what it is known unread, and its hash without seconds if it holds any."""

    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: NotRequired[int]
    content: NotRequired[str]


class Manifest(TypedDict):
    """What manifest.json holds."""

    study: str
    stage: str
    variant: dict[str, Any]
    key: str
    git: dict[str, Any]
    parameters: dict[str, Any]
    notebook: str
    library: dict[str, str]
    threads: int
    inputs: dict[str, str]
    seed: Any
    outputs: dict[str, Output]
    versions: dict[str, str]
    device: dict[str, Any]
    started: str
    wall_seconds: float
    peak_memory_mib: float
    accepted: NotRequired[list[dict[str, str]]]  # other versions of packages under which its result may stand


READABLE = TypeAdapter(Manifest)


def recipe(node: Node, upstream: dict[str, dict], library: Path = LIBRARY) -> dict:
    """All that the node's result depends on, as of now.

    Args:
        upstream: manifests of the nodes that it reads, by id.

    Raises:
        ValueError: an input names a path that its stage didn't write, or a source can't be parsed.
        OSError: a file that a parameter names can't be read.
    """
    code, own = notebook_code(node.notebook.path), _own_code(node)
    codes = [code, *(source for sources in own.values() for found in sources for source in found.values())]
    inputs = {label: content_hash(upstream[read.node], read.path) for label, read in node.reads.items()}
    return {
        "parameters": node.parameters,
        "notebook": hash_code(code, str(node.notebook.path)),
        "library": library_sources(*codes, library=library),
        "threads": node.threads,
        "inputs": inputs | named_content(node, library) | _hashes(own),
        "versions": versions(),
    }


def named_content(node: Node, library: Path = LIBRARY) -> dict[str, str]:
    """{label: hash} of the files and folders that plain parameters name, also in lists and dicts."""
    found: dict[str, str] = {}
    for label, text in node.texts.items():
        path = located_text(text, node.notebook.path.parent, library)
        if path and os.path.isfile(path):
            found[label] = file_hash(path)
        elif path and os.path.isdir(path):
            found[label] = folder_hash(path)
    return found


def _own_code(node: Node) -> dict[str, list[Found]]:
    """{parameter: sources} of the user's own code that a parameter names, a table of sources per name."""
    named = {name: own_sources(value, node.notebook.path.parent) for name, value in node.parameters.items()}
    return {name: [*sources.values()] for name, sources in named.items() if any(sources.values())}


def _hashes(own: dict[str, list[Found]]) -> dict[str, str]:
    hashes = {
        name: [{place: hash_code(code, place) for place, code in found.items()} for found in sources]
        for name, sources in own.items()
    }
    return {name: sha256(json.dumps(found, sort_keys=True).encode()) for name, found in hashes.items()}


def recipe_key(recipe: dict) -> str:
    """The hash under which a recipe's result is known."""
    in_order = {name: recipe[name] for name in RECIPE} | {"inputs": list(recipe["inputs"].items())}
    return sha256(json.dumps(in_order, sort_keys=True).encode())


def why_run(node: Node, recipe: dict, old: dict | None, folder: Path) -> str | None:
    """Why the node must run, in one line, or None if its result in `folder`, with the manifest `old`, stands."""
    if old is None:
        return "never ran"
    if "key" not in old:
        return "its manifest is unreadable"
    if old["key"] != recipe_key(old):
        return "its manifest was altered"
    if recipe["versions"] in old.get("accepted", []):
        recipe = recipe | {"versions": old["versions"]}
    if old["key"] == recipe_key(recipe):
        altered = first_altered(old["outputs"], folder)
        return f"an output is missing or altered: {altered}" if altered else None
    if found := changes(old["parameters"], recipe["parameters"]):
        return "parameters changed: " + ", ".join(f"{name} {before} -> {now}" for name, before, now in found)
    if old["notebook"] != recipe["notebook"]:
        return "notebook source changed"
    if found := changes(old["library"], recipe["library"]):
        return f"library source changed: {', '.join(name for name, _, _ in found)}"
    if old["threads"] != recipe["threads"]:
        return f"threads changed: {old['threads']} -> {recipe['threads']}"
    if found := changes(old["versions"], recipe["versions"]):
        return "packages changed: " + ", ".join(f"{name} {before} -> {now}" for name, before, now in found)
    altered = [name for name, _, _ in changes(old["inputs"], recipe["inputs"])]
    origins = node.parameters | node.texts | {name: read.node for name, read in node.reads.items()}
    shown = [f"{name} ({origins.get(name, 'gone')})" for name in altered]
    return f"input changed: {', '.join(shown)}" if shown else "inputs in another order"


def changes(before: dict, now: dict) -> list[tuple[str, str, str]]:
    """(name, before, now) of the entries that differ."""
    names = [name for name in before | now if before.get(name) != now.get(name) or (name in before) != (name in now)]
    return [(name, _shown(before, name), _shown(now, name)) for name in names]


def _shown(table: dict, name: str) -> str:
    text = json.dumps(table[name]).strip('"') if name in table else "(none)"
    return text if len(text) <= 60 else text[:57] + "..."


# Files


def hash_outputs(folder: Path) -> dict[str, dict]:
    """{path: Output} of all files of a finished node, but for the records about it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _describe(path) for name, path in names.items() if name not in RECORDS}


def content_hash(manifest: dict, path: str) -> str:
    """Hash of what a reader of `path` in a result depends on: names and contents, without seconds."""
    read = files_read(manifest, path)
    return sha256(json.dumps({name: about.get("content", about["sha256"]) for name, about in read.items()}).encode())


def files_read(manifest: dict, path: str) -> dict[str, dict]:
    """The files of a result that a reader of `path` in it reads, in order of their names; figures and tables left out.

    Raises:
        ValueError: the result holds nothing at `path`.
    """
    files = {name: about for name, about in sorted(manifest["outputs"].items()) if not name.startswith(EXHIBITS)}
    inside = f"{path.rstrip('/')}/" if path else ""
    read = {name: about for name, about in files.items() if f"{name}/".startswith(inside)}
    if path and not read:
        there = ", ".join(dict.fromkeys(name.partition("/")[0] for name in files)) or "nothing"
        raise ValueError(f"Stage {manifest['stage']} wrote no `{path}`, but: {there}. Correct the input that reads it.")
    return read


def read_manifest(folder: Path) -> dict | None:
    """The manifest in a node's folder; None if there is none, {} if it isn't one."""
    try:
        content = json.loads((folder / "manifest.json").read_bytes())
        READABLE.validate_python(content, strict=True)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError, ValidationError):
        return {}
    return content


def write_manifest(folder: Path, manifest: dict) -> None:
    """Write manifest.json, whole or not at all."""
    write_json(folder / "manifest.json", manifest)


def write_json(path: Path, content: object) -> None:
    """Write a file of JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def first_altered(outputs: dict[str, dict], folder: Path) -> str | None:
    """The first file of a result that isn't as its manifest says; None if all are."""
    return next((name for name, about in outputs.items() if not _holds(folder / name, about)), None)


def _holds(path: Path, about: dict) -> bool:
    """Whether the file is as recorded; its content is only read where its times changed."""
    try:
        now = os.stat(path)
        if not os.path.isfile(path) or now.st_size != about["size"]:
            return False
        untouched = (now.st_mtime_ns, now.st_ctime_ns) == (about["mtime_ns"], about.get("ctime_ns"))
        return untouched or file_hash(path) == about["sha256"]
    except OSError:
        return False


def _describe(path: Path) -> dict:
    about, content = os.stat(path), content_without_times(path)
    facts = {"size": about.st_size, "mtime_ns": about.st_mtime_ns, "ctime_ns": about.st_ctime_ns}
    return {"sha256": read_hash(path)} | facts | ({"content": content} if content else {})


def accept_versions(folder: Path, now: dict[str, str]) -> bool:
    """Let a result stand under other versions of packages than made it, and record it; returns whether it had to be."""
    manifest = read_manifest(folder)
    if not manifest or now in (manifest["versions"], *manifest.get("accepted", [])):
        return False
    write_manifest(folder, manifest | {"accepted": [*manifest.get("accepted", []), now]})
    return True
