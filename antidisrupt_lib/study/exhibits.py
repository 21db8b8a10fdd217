"""What a study has to show: figures and tables with their captions, the story that its notebooks tell, who made what.

A node may leave figures/NAME.png and tables/NAME.csv, each with its caption beside it in NAME.txt, and a headline.md
whose lines begin with a **number**. The story of a stage is its notebook's: the first cell, and the last section.
"""

import csv
import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import mistune
from PIL import Image, UnidentifiedImageError

from antidisrupt_lib.study.circumstances import in_words
from antidisrupt_lib.study.graph import Node, Study
from antidisrupt_lib.study.progress import duration

MEANING = "## What it means"
BADGE = re.compile(r"\[!\[[^]]*\]\(https?://[^)]*\)\]\([^)]*\)")  # a picture from elsewhere that leads elsewhere
as_html = mistune.create_markdown(escape=True, plugins=["table"])


@dataclass(frozen=True)
class Source:
    """Where a result comes from, in a reader's words. `folder` is the node's, quoted for links."""

    node: str
    variant: str
    folder: str
    has_notebook: bool
    commit: str
    key: str
    wall: str
    memory: str
    device: str
    threads: int
    command: str
    parameters: str


@dataclass(frozen=True)
class Exhibit:
    """A figure (`file`, with its size in pixels) or a table (`rows`, the first its header), with its caption.

    `file` is relative to the study's folder and quoted for links; `sha256` is the file's, as the manifest has it.
    """

    name: str
    caption: str
    source: Source
    file: str
    sha256: str
    size: tuple[int, int] = (0, 0)
    rows: tuple[list[str], ...] = ()


@dataclass(frozen=True)
class Story:
    """A notebook in a reader's words: its title, and as HTML what it is about and what its result means."""

    title: str
    about: str
    meaning: str


def source_of(study: Study, node: Node, manifest: dict, command: str) -> Source:
    """Where a node's result comes from; `command` makes all results of the study."""
    git = manifest["git"]
    return Source(
        node=node.id,
        variant=", ".join(f"{axis} {value}" for axis, value in node.variant.items()),
        folder=quote(str(node.folder)),
        has_notebook=(study.result(node.id) / "notebook.html").exists(),
        commit=(git["commit"] or "no commit")[:9] + (" with changes" if git["dirty"] else ""),
        key=manifest["key"][:8],
        wall=duration(manifest["wall_seconds"]),
        memory=f"{manifest['peak_memory_mib']:.0f} MiB",
        device=in_words(manifest["device"]),
        threads=manifest["threads"],
        command=f"{command} --only {shlex.quote(node.stage)}",
        parameters="\n".join(f"{name}: {json.dumps(value)}" for name, value in manifest["parameters"].items()),
    )


def figures_of(study: Study, source: Source, manifest: dict) -> list[Exhibit]:
    """The figures that a node left."""
    paths = sorted((study.result(source.node)).glob("figures/*.png"))
    return [_exhibit(path, source, manifest, size=_size(path)) for path in paths]


def tables_of(study: Study, source: Source, manifest: dict) -> list[Exhibit]:
    """The tables that a node left."""
    paths = sorted((study.result(source.node)).glob("tables/*.csv"))
    return [_exhibit(path, source, manifest, rows=_rows(path)) for path in paths]


def headline_of(folder: Path) -> list[str]:
    """The lines of a node's headline, as HTML."""
    return [markdown(line).removeprefix("<p>").removesuffix("</p>") for line in _lines(folder / "headline.md")]


def story_of(study: Study, node: Node) -> Story:
    """What a node's notebook tells, as it ran."""
    executed = study.result(node.id) / "notebook.ipynb"
    return read_story(executed if executed.is_file() else node.notebook.path, node.stage)


def read_story(path: Path, stage: str) -> Story:
    """What a notebook tells; without words of its own it is called by its stage."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    texts = [BADGE.sub("", "".join(cell["source"])).strip() for cell in cells if cell["cell_type"] == "markdown"]
    title, _, about = (texts or [""])[0].partition("\n")
    meanings = [text.removeprefix(MEANING) for text in texts if text.startswith(MEANING)]
    name = title.lstrip("# ").lstrip("0123456789 ") if title.startswith("#") else stage
    return Story(name, markdown(about), markdown("".join(meanings)))


def markdown(text: str) -> str:
    """Markdown as HTML."""
    return as_html(text.strip()).strip()


def _exhibit(path: Path, source: Source, manifest: dict, **shown: object) -> Exhibit:
    caption = " ".join(_lines(path.with_suffix(".txt"))) or path.stem.replace("_", " ")
    name = f"{path.parent.name}/{path.name}"
    sha256 = manifest["outputs"].get(name, {}).get("sha256", "")
    return Exhibit(path.stem, caption, source, f"{source.folder}/{quote(name)}", sha256, **shown)


def _size(path: Path) -> tuple[int, int]:
    """A picture's size in pixels; (0, 0) of one that can't be read."""
    try:
        with Image.open(path) as image:
            return image.size
    except UnidentifiedImageError:
        return 0, 0


def _lines(path: Path) -> list[str]:
    """The lines of an optional text file that say something."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return [line for line in text.splitlines() if line.strip()]


def _rows(path: Path) -> tuple[list[str], ...]:
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        return tuple(csv.reader(file))
