"""`import antidisrupt_lib as ad` opens every room lazily, and a result knows what it needs of them."""

import ast
import importlib
import inspect
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import antidisrupt_lib as ad
from antidisrupt_lib.study.sources import library_sources, notebook_code

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STUBS = sorted((ROOT / "antidisrupt_lib").rglob("__init__.pyi"))


def given(stub: Path) -> dict[str, str]:
    """{name: the module that it comes from} of a stub, as Python would import it."""
    package = ".".join(stub.parent.relative_to(ROOT).parts)
    lines = ast.parse(stub.read_text(encoding="utf-8")).body
    return {
        alias.name: f"{package}.{line.module}" if line.module else package for line in lines for alias in line.names
    }


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_a_room_gives_what_its_stub_says_from_where_that_is_defined(stub):
    room = importlib.import_module(".".join(stub.parent.relative_to(ROOT).parts))
    assert room.__all__ == sorted(given(stub)) and room.__doc__
    for name, place in given(stub).items():
        found = getattr(room, name)
        home = inspect.getmodule(found)  # None of constants
        assert found is getattr(importlib.import_module(place), name) and found.__doc__, name
        assert home is None or home.__name__ in (place, f"{place}.{name}"), name


@pytest.mark.parametrize("stub", STUBS, ids=lambda path: path.parent.name)
def test_no_name_of_a_room_is_that_of_another_module_in_it(stub):
    package = ".".join(stub.parent.relative_to(ROOT).parts)
    modules = {path.stem for path in stub.parent.iterdir()}
    for name, place in given(stub).items():
        assert name not in modules or place in (package, f"{package}.{name}"), name


def test_a_name_is_the_function_also_when_the_module_of_that_name_was_imported_first():
    code = (
        "import antidisrupt_lib.deepfakes.sensitivity; import antidisrupt_lib as ad; ad.deepfakes.sensitivity.__code__"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_to_open_the_rooms_loads_nothing():
    code = (
        f"import sys, antidisrupt_lib as ad; [dir(getattr(ad, room)) for room in {[p.parent.name for p in STUBS[1:]]}]"
    )
    subprocess.run([sys.executable, "-c", f"{code}; assert not {{'torch', 'numpy'}} & set(sys.modules)"], check=True)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(notebook_code(path))


def chains(path: Path) -> set[str]:
    """What a notebook takes of the library: `ad.plots.strips`."""
    nodes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Attribute)]
    inner = {node.value for node in nodes}
    texts = {ast.unparse(node) for node in nodes if node not in inner}
    return {text for text in texts if text.startswith("ad.") and text.replace(".", "").isidentifier()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_result_knows_every_module_of_the_library_that_its_notebook_takes_something_of(path):
    counted = library_sources(notebook_code(path))
    for chain in chains(path):
        found = ad
        for name in chain.split(".")[1:]:
            found = getattr(found, name)
            if (module := getattr(found, "__module__", None) or "").startswith("antidisrupt_lib"):
                assert f"{module.replace('.', '/')}.py" in counted, chain


def test_a_result_does_not_hang_on_rooms_that_its_notebook_does_not_open():
    counted = library_sources(notebook_code(ROOT / "notebooks/01_split.ipynb"))
    assert {Path(name).parts[1] for name in counted}.isdisjoint({"disruption", "purification", "detection"})


def test_the_table_of_claims_knows_the_sources_of_claims_that_it_finds_by_itself():
    counted = library_sources("from antidisrupt_lib.claims.table import claims_table")
    assert {f"antidisrupt_lib/claims/{name}.py" for name in ("park", "ruiz", "ours")} <= set(counted)
