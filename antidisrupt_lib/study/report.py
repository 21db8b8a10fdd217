"""The report: one page made from what stands in the nodes' folders, which links the notebooks as they ran there.

A node may leave figures/NAME.png and tables/NAME.csv, each with its caption beside it in NAME.txt. A stage that leaves
a headline.md goes first, with its plain lines at the top; the other stages follow in order, then the provenance of
all. Each caption names the notebook and the commit that made what it describes.
"""

import base64
import csv
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from antidisrupt_lib.study.circumstances import in_words
from antidisrupt_lib.study.graph import Node, Study
from antidisrupt_lib.study.hashes import read_hash
from antidisrupt_lib.study.places import delete, partial, replace_folder
from antidisrupt_lib.study.progress import duration
from antidisrupt_lib.study.runner import Outcome

SHOWN = 3  # variants of a stage whose figures and tables are shown; the others are a link away


@dataclass(frozen=True)
class Exhibit:
    """A figure (`image`, a data URI) or a table (`rows`, the first its header), with its caption."""

    caption: str
    source: "Source"
    image: str = ""
    rows: tuple[list[str], ...] = ()


@dataclass(frozen=True)
class Source:
    """Where a result comes from, in a reader's words. `link` leads to the executed notebook, if it was kept."""

    node: str
    variant: str
    link: str
    commit: str
    key: str
    wall: str
    memory: str
    device: str
    threads: int


@dataclass(frozen=True)
class Section:
    """A stage: exhibits of its first variants, and all its variants."""

    stage: str
    exhibits: list[Exhibit]
    sources: list[Source]


def write_report(study: Study, outcome: Outcome, command: str) -> Path:
    """Write outputs/<study>/report/, unless it already shows this outcome, and the results table beside it.

    Args:
        command: the command line that makes the results again.

    Returns:
        The path of index.html.
    """
    index = study.folder / "report" / "index.html"
    fingerprint = _fingerprint(study, outcome, command)
    _restore(study.results, study.folder / "results.csv")
    if index.is_file() and fingerprint.encode() in index.read_bytes():
        return index
    draft = partial(study) / "report"
    delete(draft)
    draft.mkdir(parents=True)
    standing = [study.nodes[node] for node in study.nodes if node in outcome.done]
    (draft / "index.html").write_text(_render(study, outcome, standing, command, fingerprint), encoding="utf-8")
    replace_folder(draft, index.parent, partial(study))
    return index


def _render(study: Study, outcome: Outcome, standing: list[Node], command: str, fingerprint: str) -> str:
    sections = [_section(study, outcome, stage, standing) for stage in study.stages]
    highlights = {node.stage for node in standing if (study.result(node.id) / "headline.md").exists()}
    first = [node for node in standing if node.stage in highlights]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        study=study.name,
        note=study.note,
        fingerprint=fingerprint,
        command=command,
        headline=[line for node in first for line in _lines(study.result(node.id) / "headline.md")],
        highlights=[section for section in sections if section.stage in highlights],
        sections=[section for section in sections if section.sources and section.stage not in highlights],
        sources=[source for section in sections for source in section.sources],
        missing=outcome.failed | outcome.left,
        total=duration(sum(manifest["wall_seconds"] for manifest in outcome.done.values())),
        versions=_versions(outcome),
        has_results=study.results.exists(),
    )


def _section(study: Study, outcome: Outcome, stage: str, standing: list[Node]) -> Section:
    nodes = [node for node in standing if node.stage == stage]
    sources = {node.id: _source(study, node, outcome.done[node.id]) for node in nodes}
    exhibits = [_exhibits(study.result(node.id), sources[node.id]) for node in nodes]
    shown = [some for some in exhibits if some][:SHOWN]
    return Section(stage, [exhibit for some in shown for exhibit in some], list(sources.values()))


def _source(study: Study, node: Node, manifest: dict) -> Source:
    git = manifest["git"]
    kept = (study.result(node.id) / "notebook.html").exists()
    return Source(
        node=node.id,
        variant=", ".join(f"{axis} {value}" for axis, value in node.variant.items()),
        link=quote(f"../{node.folder}/notebook.html") if kept else "",
        commit=(git["commit"] or "no commit")[:9] + (" with changes" if git["dirty"] else ""),
        key=manifest["key"][:8],
        wall=duration(manifest["wall_seconds"]),
        memory=f"{manifest['peak_memory_mib']:.0f} MiB",
        device=in_words(manifest["device"]),
        threads=manifest["threads"],
    )


def _exhibits(folder: Path, source: Source) -> list[Exhibit]:
    figures = [Exhibit(_caption(path), source, image=_data_uri(path)) for path in sorted(folder.glob("figures/*.png"))]
    tables = [Exhibit(_caption(path), source, rows=_rows(path)) for path in sorted(folder.glob("tables/*.csv"))]
    return figures + tables


def _caption(path: Path) -> str:
    return " ".join(_lines(path.with_suffix(".txt"))) or path.stem.replace("_", " ")


def _lines(path: Path) -> list[str]:
    """The lines of an optional text file that say something."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [line for line in text.splitlines() if line.strip()]


def _data_uri(path: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _rows(path: Path) -> tuple[list[str], ...]:
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return tuple(csv.reader(file))


def _versions(outcome: Outcome) -> list[str]:
    """'torch 2.15.0'; a package that changed between nodes stands with each of its versions."""
    pairs = [pair for manifest in outcome.done.values() for pair in manifest["versions"].items()]
    return [f"{name} {version}" for name, version in dict.fromkeys(pairs)]


def _fingerprint(study: Study, outcome: Outcome, command: str) -> str:
    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    shown = json.dumps(
        [study.evaluation, study.note, outcome.done, outcome.failed, outcome.left, command, template], sort_keys=True
    )
    return hashlib.sha256(shown.encode()).hexdigest()


def _restore(source: Path, target: Path) -> None:
    """Copy a file, if it is there and the copy isn't the same, whole or not at all."""
    if not source.is_file() or (target.is_file() and read_hash(target) == read_hash(source)):
        return
    temporary = target.with_name(f".{target.name}")
    shutil.copyfile(source, temporary)
    if target.is_dir():
        delete(target)
    temporary.replace(target)
