"""A finished study as a static site: its report, the notebooks as they ran, sortable tables, all pictures.

Everything lies in one folder that needs no server and no network: the tables' JavaScript is DataTables, which itables
carries. Pages are made by nbconvert and Jinja from what stands in the nodes' folders.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import itables
import nbformat
import pandas as pd
from itables.javascript import JavascriptFunction, generate_init_offline_itables_html
from nbconvert import HTMLExporter
from pygments.formatters import HtmlFormatter

from antidisrupt_lib.study.exhibits import BADGE, Exhibit, Source, figures_of, source_of, tables_of
from antidisrupt_lib.study.graph import Study
from antidisrupt_lib.study.places import delete, partial, replace_folder
from antidisrupt_lib.study.report import TEMPLATES, first_page, render
from antidisrupt_lib.study.runner import Outcome

TABLES = {  # a page for the tables whose names end so
    "leaderboard": "Every combination that was measured, with 95 % intervals. Sort by any column, filter by its list.",
    "claims": "What the papers and we claim, and what this study's numbers say of it.",
}
NUMBER = r"[-–]?[\d.]+( ?%)?( \[.*\])?|– ?(\(.*\))?"  # a cell of a column that is sorted by its leading numbers
PER_PAGE = 100  # rows
LONG = 40  # letters of a cell from which on its column is a wide one
BY_NUMBER = """function (data, type) {
    if (type !== "sort" && type !== "type") return data;
    const number = parseFloat(data);
    return isNaN(number) ? -Infinity : number;
}"""
DARK = """<script>
    document.documentElement.classList.toggle("dark", matchMedia("(prefers-color-scheme: dark)").matches);
</script>"""


def write_site(study: Study, outcome: Outcome, command: str) -> Path:
    """Write outputs/<study>/site/ anew.

    Args:
        command: the command line that makes the study's results again.

    Returns:
        The path of its first page.
    """
    draft = partial(study) / "site"
    delete(draft)
    draft.mkdir(parents=True)
    sources = {node: source_of(study, study.nodes[node], done, command) for node, done in outcome.done.items()}
    tables = {name: found for name in TABLES if (found := list(_named_tables(study, outcome, sources, name)))}
    pages = {
        "Story": "index.html",
        **{name.capitalize(): f"{name}.html" for name in tables},
        "Pictures": "gallery.html",
    }
    first = first_page(study, outcome, command, base=".", pages=pages, here="Story")
    (draft / "index.html").write_text(first, encoding="utf-8")
    for name, exhibits in tables.items():
        _write_tables(draft, exhibits, name, study=study.name, pages=pages)
    _write_gallery(draft, study, outcome, sources, pages)
    for source in sources.values():
        _write_notebook(draft, study, source, pages)
    if study.results.is_file():
        shutil.copyfile(study.results, draft / "results.csv")
    replace_folder(draft, study.folder / "site", partial(study))
    return study.folder / "site" / "index.html"


def _named_tables(study: Study, outcome: Outcome, sources: dict[str, Source], name: str) -> Iterator[Exhibit]:
    for node, source in sources.items():
        yield from (one for one in tables_of(study, source, outcome.done[node]) if one.name.endswith(name))


def _write_tables(draft: Path, exhibits: list[Exhibit], name: str, *, study: str, pages: dict[str, str]) -> None:
    bundle = generate_init_offline_itables_html(Path(itables.__file__).parent / "html/dt_bundle.js")
    script = bundle.partition("<div")[0]  # what follows speaks of notebooks
    shown = [(exhibit, sortable(exhibit.rows, f"{name}{i}")) for i, exhibit in enumerate(exhibits)]
    page = render(
        "tables.html.j2", study=study, pages=pages, here=name.capitalize(), lead=TABLES[name], tables=shown,
        bundle=DARK + script,
    )  # fmt: skip
    (draft / f"{name}.html").write_text(page, encoding="utf-8")


def sortable(rows: tuple[list[str], ...], id: str) -> str:
    """A table (the first row its header) as HTML that sorts, filters and searches; needs the bundle in its page.

    A column of numbers, which may have intervals, is sorted by them; the others can be filtered by what stands there.
    """
    table = pd.DataFrame(rows[1:], columns=rows[0])
    paging = len(table) > PER_PAGE
    layout = {"topStart": "info", "topEnd": "search", "bottomStart": None, "bottomEnd": "paging" if paging else None}
    return itables.to_html_datatable(
        table, table_id=id, connected=False, display_logo_when_loading=False, showIndex=False, maxBytes=0,
        classes="display compact", style="width:100%", layout=layout, paging=paging, pageLength=PER_PAGE,
        text_in_header_can_be_selected=False, ordering={"indicators": False, "handler": False},
        columnDefs=[_column(i, name, [row[i] for row in rows[1:]]) for i, name in enumerate(rows[0])],
    )  # fmt: skip


def _column(i: int, name: str, cells: list[str]) -> dict[str, object]:
    """How a column is sorted, filtered and laid out; what its buttons are called for those who can't see them."""
    sort = {"extend": "order", "text": f"Sort by {name}"}
    long = max(map(len, cells), default=0) > LONG
    if all(re.fullmatch(NUMBER, cell) for cell in cells):
        look = {"className": "long" if long else "dt-nowrap", "render": JavascriptFunction(BY_NUMBER)}
        return {"targets": i, "columnControl": [sort], **look}
    choose = {"extend": "dropdown", "icon": "search", "text": f"Filter by {name}", "content": ["searchList"]}
    return {"targets": i, "columnControl": [sort, choose], "className": "long" if long else ""}


def _write_gallery(
    draft: Path, study: Study, outcome: Outcome, sources: dict[str, Source], pages: dict[str, str]
) -> None:
    """All figures, with copies of their files."""
    found = []
    for node, source in sources.items():
        if figures := figures_of(study, source, outcome.done[node]):
            found += figures
            shutil.copytree(study.result(node) / "figures", draft / node / "figures")
    page = render("gallery.html.j2", study=study.name, pages=pages, here="Pictures", figures=found)
    (draft / "gallery.html").write_text(page, encoding="utf-8")


def _write_notebook(draft: Path, study: Study, source: Source, pages: dict[str, str]) -> None:
    """A notebook as it ran, in the site's style, if it was kept."""
    executed = study.result(source.node) / "notebook.ipynb"
    if not executed.is_file():
        return
    exporter = HTMLExporter(
        template_file=str(TEMPLATES / "cells.html.j2"), exclude_input_prompt=True, exclude_output_prompt=True,
        exclude_anchor_links=True,
    )  # fmt: skip
    notebook = nbformat.read(executed, as_version=4)
    for cell in notebook.cells:
        cell.source = BADGE.sub("", cell.source)
    body, _ = exporter.from_notebook_node(notebook)
    style = HtmlFormatter(style="default").get_style_defs(".highlight")
    dark = HtmlFormatter(style="github-dark").get_style_defs(".highlight")
    style += f"\n@media (prefers-color-scheme: dark) {{ {dark} }}"
    pages = {name: f"../{href}" for name, href in pages.items()}
    page = render("notebook.html.j2", study=study.name, node=source.node, pages=pages, here="", body=body, style=style)
    (draft / source.node).mkdir(exist_ok=True)
    (draft / source.node / "notebook.html").write_text(page, encoding="utf-8")
