"""The sources of the user's own code that a study names: found as Python finds them, and read without being run.

Of the module that a name stands in, its definition counts and all that this uses there; the user's other modules that
it imports count as wholes. What pip installed and what is Python's counts for nothing, and what these sources need of
the library counts where its modules do.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from pathlib import Path

from antidisrupt_lib.fingerprint import INSTALLED
from antidisrupt_lib.plug_ins import PLUG_IN, plug_ins_in
from antidisrupt_lib.study.imports import imports

Found = dict[str, str]  # {a module's name or file: what counts of its source}


def own_sources(value: object, notebooks: Path) -> dict[str, Found]:
    """{name: sources} of the names of the user's code in a parameter's value.

    Args:
        value: as the notebooks in the folder `notebooks` get it.

    Raises:
        ValueError: a source is no valid Python.
    """
    return {name: _sources(*PLUG_IN.fullmatch(name).group("place", "name"), notebooks) for name in plug_ins_in(value)}


def _sources(place: str, name: str, notebooks: Path) -> Found:
    found: Found = {}
    if place.endswith(".py"):
        file = Path(notebooks, place).expanduser()
        _read(place, file, [*sys.path, str(file.parent)], found, name)
    elif place.startswith("antidisrupt_lib."):
        found[place] = f"import {place} as own"  # the library's own
    else:
        _read_named(place, sys.path, found, name)
    return found


def _read(place: str, file: Path, path: list[str], found: Found, name: str = "") -> None:
    """Add a module's source (of `name` alone, if given) and those of the modules that it imports from `path`."""
    if place in found or not file.is_file():
        return
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError) as error:
        raise ValueError(f"{file} is no valid Python: {error}. Mend it and run again.") from error
    tree.body = list(_used(tree.body, name)) if name else tree.body
    found[place] = ast.unparse(tree)
    package = place if file.name == "__init__.py" else place.rpartition(".")[0]
    for _, imported in imports(tree, "" if place.endswith(".py") else package):
        _read_named(imported, path, found)


def _read_named(module: str, path: list[str], found: Found, name: str = "") -> None:
    """Add the sources of a dotted module and of the packages around it, if they are somebody's own."""
    parts, here = module.split("."), path
    for end, part in enumerate(parts, 1):
        spec = _spec(part, here)
        if spec is None or parts[0] == "antidisrupt_lib" or (spec.origin or "").startswith(INSTALLED):
            return
        if (spec.origin or "").endswith(".py"):
            whole = ".".join(parts[:end])
            _read(whole, Path(spec.origin), path, found, name if whole == module else "")
        here = list(spec.submodule_search_locations or [])


def _spec(name: str, folders: list[str]) -> ModuleSpec | None:
    """Where a module lies in these folders; no package is imported to look into it."""
    finders = (FileFinder(folder or ".", (SourceFileLoader, SOURCE_SUFFIXES)) for folder in folders)
    return next(filter(None, (finder.find_spec(name) for finder in finders)), None)


def _used(body: list[ast.stmt], name: str) -> Iterator[ast.stmt]:
    """The statements of a module that bind `name`, or what these use, and those that bind nothing."""
    waiting, known = [name], set()
    while waiting:
        if (one := waiting.pop()) not in known:
            known.add(one)
            waiting += [used for statement in body if one in _bound(statement) for used in _names(statement)]
    yield from (statement for statement in body if not _bound(statement) or known & _bound(statement))


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement at a module's top binds, or changes an attribute of."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return {(alias.asname or alias.name).partition(".")[0] for alias in names} - {"*"}
        case ast.Assign(targets=targets):
            return {name for target in targets for name in _names(target)}
        case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
            return set(_names(target))
    return set()


def _names(node: ast.AST) -> Iterable[str]:
    return (part.id for part in ast.walk(node) if isinstance(part, ast.Name))
