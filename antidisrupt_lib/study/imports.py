"""What a code needs of the library: by its imports, and by the attributes it takes of packages, like `ad.plots.strips`.

Rooms are lazy: what a room gives, and which module that is in, stands in its stub, `__init__.pyi`. Sources are read,
none is run. Where they don't tell which part of a package is meant, as when it is passed on, all of the package counts.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path

ANY = "*"  # a name that nothing is known of, as in `from package import *`
NO_SOURCES = (".pyi", ".pyc", ".md")  # of a package; what isn't .py either is data that its code may read


def imports(tree: ast.Module, package: str = "") -> Iterator[tuple[str, str]]:
    """(name in the code or "", full name) of all that a code imports, or may: of `from a import b` both a and a.b.

    Args:
        package: whose code it is; without it relative imports lead nowhere, and are left out.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield from [(alias.asname, alias.name)] if alias.asname else [("", alias.name), (top, top)]
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield "", module
            yield from ((alias.asname or alias.name, f"{module}.{alias.name}") for alias in node.names)


def needs(code: str, library: str, package: str = "") -> set[tuple[str, ...]]:
    """The parts of the names inside the library that a code imports or takes as attributes; these end with ANY.

    What it imports and doesn't use is for those who import it from there: they may take anything of it.
    """
    tree = ast.parse(code)
    inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    taken = {chain for node in ast.walk(tree) if node not in inner and (chain := _chain(node))}
    found = set()
    for here, full in imports(tree, package):
        top, *parts = full.split(".")
        if top == library:
            ends = {(*chain[1:], ANY) for chain in taken if chain[0] == here} or {(ANY,)}
            found |= {(*parts, *end) for end in ends} if here else {tuple(parts)}
    return found


def _chain(node: ast.AST) -> tuple[str, ...]:
    """The parts of `a.b.c`; () of what is no such name."""
    if isinstance(node, ast.Attribute):
        return (*inner, node.attr) if (inner := _chain(node.value)) else ()
    return (node.id,) if isinstance(node, ast.Name) else ()


def files_of(package: Path, parts: tuple[str, ...]) -> set[Path]:
    """The files that are read when a name inside a package is: modules, and packages with the data in them."""
    beside = {path for path in package.iterdir() if path.is_file() and path.suffix not in (".py", *NO_SOURCES)}
    files = beside | {package / "__init__.py"}
    if not parts:
        return files
    first, *rest = *_stub(package).get(parts[0], parts[:1]), *parts[1:]
    if (module := package / f"{first}.py").is_file():
        return files | {module}
    if (package / first / "__init__.py").is_file():
        return files | files_of(package / first, tuple(rest))
    return {path for path in package.rglob("*") if path.is_file() and path.suffix not in NO_SOURCES}


def _stub(package: Path) -> dict[str, tuple[str, ...]]:
    """{name: the parts of where it is} of what a lazy package gives."""
    stub = package / "__init__.pyi"
    return _read_stub(stub.read_text(encoding="utf-8")) if stub.is_file() else {}


@lru_cache
def _read_stub(stub: str) -> dict[str, tuple[str, ...]]:
    """Of `from .stargan import forger as forger`, which is all that lazy_loader understands."""
    lines = [line for line in ast.parse(stub).body if isinstance(line, ast.ImportFrom)]
    places = {line: line.module.split(".") if line.module else [] for line in lines}
    return {alias.name: (*place, alias.name) for line, place in places.items() for alias in line.names}
