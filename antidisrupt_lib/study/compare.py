"""Two studies side by side: what was asked of them, what made them, and whether their numbers are the same."""

from collections.abc import Iterator
from pathlib import Path

from antidisrupt_lib.study.circumstances import in_words as device_in_words
from antidisrupt_lib.study.expected import agree, in_words, read_numbers
from antidisrupt_lib.study.manifest import changes, read_manifest


def compare_studies(one: Path, other: Path) -> tuple[list[str], bool]:
    """Lines that say how two studies' folders differ, and whether all their numbers agree.

    Raises:
        ValueError: a folder is no study's, or its table can't be read.
    """
    a, b = _manifests(one), _manifests(other)
    lines = [f"{node}: only in {one if node in a else other}" for node in sorted(a.keys() ^ b.keys())]
    for node in sorted(a.keys() & b.keys()):
        lines += [f"{node}: {difference}" for difference in _differences(a[node], b[node])]
    numbers, same = _compare_numbers(one / "results.csv", other / "results.csv")
    return [*lines, *numbers], same


def _manifests(folder: Path) -> dict[str, dict]:
    found = {place.name: read_manifest(place) for place in sorted(folder.iterdir()) if place.is_dir()}
    standing = {node: manifest for node, manifest in found.items() if manifest}
    if not standing:
        raise ValueError(f"{folder} holds no results of a study. Give folders such as outputs/quick.")
    return standing


def _differences(one: dict, other: dict) -> Iterator[str]:
    for name in ("parameters", "library", "versions"):
        for what, before, now in changes(one[name], other[name]):
            yield f"{name[:-1] if name == 'parameters' else name} {what}: {before} | {now}"
    if one["notebook"] != other["notebook"]:
        yield "its notebook's source differs"
    if (here := device_in_words(one["device"])) != (there := device_in_words(other["device"])):
        yield f"made on {here} | {there}"
    same = {name: about["sha256"] for name, about in one["outputs"].items()} == {
        name: about["sha256"] for name, about in other["outputs"].items()
    }
    if not same:
        yield "other files came out"


def _compare_numbers(one: Path, other: Path) -> tuple[list[str], bool]:
    if not (one.is_file() and other.is_file()):
        return [f"no numbers to compare: there is no {one if other.is_file() else other}"], False
    a, b = read_numbers(one), read_numbers(other)
    apart = [about for about in a if about in b and not agree(a[about], b[about])]
    lines = [f"{in_words(about)}: {a[about]['value']} | {b[about]['value']}, apart" for about in apart]
    lines += [f"{in_words(about)}: only in {one if about in a else other}" for about in a.keys() ^ b.keys()]
    common = len(a.keys() & b.keys())
    lines.append(f"{common - len(apart)} of {common} numbers are the same, or their intervals overlap")
    return lines, not apart and a.keys() == b.keys()
