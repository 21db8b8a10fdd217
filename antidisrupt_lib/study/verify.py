"""The proof of a finished study: every file, recipe and environment again, and its numbers against expected ones.

Nothing is taken from times or caches: each file is read. What is wrong is named; what can't be decided is INCONCLUSIVE.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from antidisrupt_lib.study.circumstances import knows_commit
from antidisrupt_lib.study.expected import compare_with_expected
from antidisrupt_lib.study.graph import Study
from antidisrupt_lib.study.hashes import TRUST, file_hash, read_hash
from antidisrupt_lib.study.manifest import RECORDS, read_manifest, recipe, why_run

FAIL, INCONCLUSIVE, PASS = "FAIL", "INCONCLUSIVE", "PASS"


@dataclass(frozen=True)
class Finding:
    """What speaks against a study, or can't be decided: its verdict, and what it is about."""

    verdict: str
    what: str


def verify(study: Study, expected: Path) -> list[Finding]:
    """All that speaks against a finished study; nothing, if it is proved.

    Args:
        expected: the file of its expected numbers.
    """
    trust = TRUST.set(False)
    try:
        return [*_verify_nodes(study), *_verify_table(study), *_verify_numbers(study, expected)]
    finally:
        TRUST.reset(trust)


def verdict(findings: list[Finding]) -> str:
    """FAIL if anything failed, else INCONCLUSIVE if anything can't be decided, else PASS."""
    found = {finding.verdict for finding in findings}
    return next((verdict for verdict in (FAIL, INCONCLUSIVE) if verdict in found), PASS)


def _verify_nodes(study: Study) -> Iterator[Finding]:
    manifests: dict[str, dict] = {}
    for node in study.nodes.values():
        folder = study.result(node.id)
        manifest = read_manifest(folder)
        if not manifest:
            why = "its manifest is unreadable" if manifest == {} else "there is no result"
            yield Finding(FAIL, f"{node.id}: {why}")
            continue
        manifests[node.id] = manifest
        for file in _altered(manifest["outputs"], folder):
            yield Finding(FAIL, f"{node.id}: {file}")
        if node.needs <= manifests.keys():
            yield from _verify_recipe(study, node.id, manifests)
        git = manifest["git"]
        if git.get("dirty") or not knows_commit(study.notebooks, git.get("commit")):
            of = f"{git['commit'][:9]} with changes" if git.get("commit") and git.get("dirty") else git.get("commit")
            yield Finding(INCONCLUSIVE, f"{node.id}: made by sources that no commit here holds ({of or 'no commit'})")


def _verify_recipe(study: Study, node: str, manifests: dict[str, dict]) -> Iterator[Finding]:
    """The node's recipe of today against the recorded one; its files are another matter."""
    manifest = manifests[node]
    try:
        now = recipe(study.nodes[node], manifests)
        why = why_run(study.nodes[node], now, manifest | {"outputs": {}}, study.result(node))
    except (OSError, ValueError) as error:
        why = str(error)
    if why:
        yield Finding(FAIL, f"{node}: {why}")


def _altered(outputs: dict[str, dict], folder: Path) -> Iterator[str]:
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    for name, about in outputs.items():
        if name not in there:
            yield f"{name} is missing"
        elif read_hash(folder / name) != about["sha256"]:
            yield f"{name} isn't as it was written"
    for name in sorted(there - outputs.keys() - set(RECORDS)):
        yield f"{name} was added"


def _verify_table(study: Study) -> Iterator[Finding]:
    """The copy of the results table that people read."""
    copy = study.folder / "results.csv"
    if study.results.is_file() and not (copy.is_file() and file_hash(copy) == file_hash(study.results)):
        yield Finding(FAIL, f"results.csv isn't the one of {study.evaluation}")


def _verify_numbers(study: Study, expected: Path) -> Iterator[Finding]:
    if not expected.is_file():
        yield Finding(INCONCLUSIVE, f"no numbers are expected: there is no {expected}")
    elif (study.folder / "results.csv").is_file():
        for failed, what in compare_with_expected(study.folder / "results.csv", expected):
            yield Finding(FAIL if failed else INCONCLUSIVE, what)
