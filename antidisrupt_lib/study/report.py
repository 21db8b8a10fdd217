"""The report: one page made from what stands in the nodes' folders, which links their figures and notebooks.

A stage that leaves a headline goes first, with its numbers at the top; the other stages follow in order, folded, then
the provenance of all. Each caption names the notebook, the commit and the hash of what it describes. The same page is
the first one of a study's site (site.py), where `base` leads to copies of what it links.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from antidisrupt_lib.study.exhibits import (
    Exhibit,
    Source,
    Story,
    figures_of,
    headline_of,
    source_of,
    story_of,
    tables_of,
)
from antidisrupt_lib.study.graph import Study
from antidisrupt_lib.study.hashes import read_hash
from antidisrupt_lib.study.places import delete, partial, replace_folder
from antidisrupt_lib.study.progress import duration
from antidisrupt_lib.study.runner import Outcome

TEMPLATES = Path(__file__).parent / "templates"
SHOWN = 3  # variants of a stage whose figures and tables are shown; the others are a link away


@dataclass(frozen=True)
class Section:
    """A stage: its story, unless an earlier stage told it, the exhibits of its first variants, and all its variants."""

    stage: str
    story: Story
    told: bool
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
    page = first_page(study, outcome, command, base="..", fingerprint=fingerprint)
    (draft / "index.html").write_text(page, encoding="utf-8")
    replace_folder(draft, index.parent, partial(study))
    return index


def first_page(study: Study, outcome: Outcome, command: str, *, base: str, **more: object) -> str:
    """The page of a study's story, as HTML; `base` leads from it to a folder laid out as the study's."""
    sections = _sections(study, outcome, command)
    highlights = [section.stage for section in sections if _headlines(study, section)]
    return render(
        "report.html.j2",
        study=study.name,
        note=study.note,
        base=base,
        command=command,
        headline=[line for section in sections for line in _headlines(study, section)],
        highlights=[section for section in sections if section.stage in highlights],
        sections=[section for section in sections if section.stage not in highlights],
        sources=[source for section in sections for source in section.sources],
        missing=outcome.failed | outcome.left,
        total=duration(sum(manifest["wall_seconds"] for manifest in outcome.done.values())),
        versions=_versions(outcome),
        has_results=study.results.exists(),
        **{"fingerprint": "", "pages": {}} | more,
    )


def render(template: str, **values: object) -> str:
    """A page made from one of the templates."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**values)


def _sections(study: Study, outcome: Outcome, command: str) -> list[Section]:
    sections, told = [], set()
    for stage in study.stages:
        nodes = [node for node in study.nodes.values() if node.stage == stage and node.id in outcome.done]
        if nodes:
            sources = [source_of(study, node, outcome.done[node.id], command) for node in nodes]
            story = story_of(study, nodes[0])
            sections.append(Section(stage, story, story.about in told, _exhibits(study, outcome, sources), sources))
            told.add(story.about)
    return sections


def _exhibits(study: Study, outcome: Outcome, sources: list[Source]) -> list[Exhibit]:
    """Those of the first variants that have any."""
    found, variants = [], 0
    for source in sources:
        manifest = outcome.done[source.node]
        here = [*figures_of(study, source, manifest), *tables_of(study, source, manifest)]
        found, variants = found + here, variants + bool(here)
        if variants == SHOWN:
            break
    return found


def _headlines(study: Study, section: Section) -> list[str]:
    return [line for source in section.sources for line in headline_of(study.result(source.node))]


def _versions(outcome: Outcome) -> list[str]:
    """'torch 2.15.0'; a package that changed between nodes stands with each of its versions."""
    pairs = [pair for manifest in outcome.done.values() for pair in manifest["versions"].items()]
    return [f"{name} {version}" for name, version in dict.fromkeys(pairs)]


def _fingerprint(study: Study, outcome: Outcome, command: str) -> str:
    templates = [path.read_text(encoding="utf-8") for path in sorted(TEMPLATES.glob("*.j2"))]
    shown = json.dumps(
        [study.evaluation, study.note, outcome.done, outcome.failed, outcome.left, command, templates], sort_keys=True
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
