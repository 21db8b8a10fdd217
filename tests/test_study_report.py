"""The report: complete, quick to open, and only made anew when something changed."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from test_study_graph import make_study, write_notebook
from test_study_runner import go

from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.report import write_report

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
EXHIBITS = f"""
from base64 import b64decode
from pathlib import Path
for name in ("figures", "tables"):
    (Path(out) / name).mkdir()
(Path(out) / "figures/faces.png").write_bytes(b64decode("{PIXEL}"))
(Path(out) / "figures/faces.txt").write_text("Faces where p < 0.05.")
(Path(out) / "tables/scores.csv").write_text("arm,accuracy\\nclean,0.97\\n")
(Path(out) / "notebook.html").write_text("as it ran")
"""
WRITE_RESULTS = "from pathlib import Path\n(Path(out) / 'results.csv').write_text('metric,value')"
WRITE_FIGURES = EXHIBITS + "(Path(out) / 'headline.md').write_text('**98 %** works.\\n')"
STAGES = {
    "04_disrupt": {"grid": {"attack": ["bim", "fgsm", "mim", "pgd"]}},
    "08_evaluate": {},
    "09_figures": {},
}


def tell(notebook: Path, first: str, last: str) -> None:
    """Put words before and after a notebook's cells."""
    content = json.loads(notebook.read_text())
    before, after = ({"cell_type": "markdown", "metadata": {}, "source": text} for text in (first, last))
    notebook.write_text(json.dumps(content | {"cells": [before, *content["cells"], after]}))


@pytest.fixture
def root(tmp_path):
    notebooks = tmp_path / "notebooks"
    disrupt = write_notebook(notebooks / "04_disrupt.ipynb", f'attack = "pgd"\nout = "{BY_HAND}04_disrupt"', EXHIBITS)
    tell(disrupt, "# 04 Disrupt photos\n\nWhy we disrupt.", "## What it means\n\nThat it *breaks*.")
    evaluate = f'tables = ["{BY_HAND}04_disrupt"]\nout = "{BY_HAND}08_evaluate"'
    write_notebook(notebooks / "08_evaluate.ipynb", evaluate, WRITE_RESULTS)
    figures = f'results = "{BY_HAND}08_evaluate"\nseed = 0\nout = "{BY_HAND}09_figures"'
    write_notebook(notebooks / "09_figures.ipynb", figures, WRITE_FIGURES)
    return tmp_path


def report(root, stages=STAGES, **top):
    return write_report(make_study(root, stages, **top), go(root, stages), "python run_all.py params/tiny.yaml")


def links(page: str) -> dict[str, list[str]]:
    """What a page's links lead to, and what its pictures are."""
    found = {"href": [], "src": []}
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: [found[name].append(value) for name, value in attrs if name in found]
    parser.feed(page)
    return found


def test_the_page_shows_all_and_loads_pictures_as_they_are_scrolled_to(root):
    index = report(root)
    page = index.read_text()
    found = links(page)
    assert len(found["src"]) == 1 + 3  # 09_figures, and three of the four variants
    assert page.count('loading="lazy"') == 4 and "data:image" not in page and "<script" not in page
    for link in found["src"] + found["href"]:
        file, _, anchor = link.partition("#")
        assert (index.parent / unquote(file)).exists() and (not anchor or f'id="{anchor}"' in page), link
    assert "Faces where p &lt; 0.05." in page and "<td>0.97</td>" in page and "incomplete" not in page
    assert (index.parent / "../04_disrupt[attack=pgd]/notebook.html").read_text() == "as it ran"


def test_numbers_come_first_then_the_contents_then_the_stages_folded(root):
    page = report(root).read_text()
    order = [
        "<strong>98 %</strong> works",
        'aria-label="Contents"',
        'id="09_figures"',
        'id="04_disrupt"',
        'id="provenance"',
    ]
    assert [page.index(words) for words in order] == sorted(page.index(words) for words in order)
    folded = re.findall(r"<details>\s*<summary><h2>(.*?)</h2>", page)
    assert folded == ["Disrupt photos", "08_evaluate", "Provenance"]  # without a heading a stage goes by its name
    assert page.count("<p>Why we disrupt.</p>") == 1 and "<p>That it <em>breaks</em>.</p>" in page


def test_each_figure_tells_its_commit_hash_command_and_parameters(root):
    page = report(root).read_text()
    assert f"SHA-256 {sha256(b64decode(PIXEL)).hexdigest()[:12]}" in page
    assert "python run_all.py params/tiny.yaml --only 04_disrupt" in page and "attack: &#34;pgd&#34;" in page


def test_the_results_table_lies_in_the_studys_folder(root):
    report(root)
    assert (root / "outputs/tiny/results.csv").read_text() == "metric,value"


def test_a_study_may_name_the_stage_whose_results_are_its_own(root):
    write_notebook(root / "notebooks/15_defend.ipynb", f'out = "{BY_HAND}15_defend"', WRITE_RESULTS)
    page = report(root, {"15_defend": {}}, results="15_defend")
    assert (root / "outputs/tiny/results.csv").read_text() == "metric,value" and "../results.csv" in page.read_text()
    assert "../results.csv" not in report(root, {"15_defend": {}}).read_text()  # without 08_evaluate there are none
    with pytest.raises(ValueError, match="study.yaml, results: there is no stage without a grid `15_defendd`. Did you"):
        make_study(root, {"15_defend": {}}, results="15_defendd")


def test_it_is_made_anew_only_when_something_changed(root):
    before = report(root).stat().st_mtime_ns
    assert report(root).stat().st_mtime_ns == before
    assert report(root, STAGES | {"09_figures": {"seed": 1}}).stat().st_mtime_ns > before


def test_an_incomplete_report_says_what_is_missing(root):
    write_notebook(
        root / "notebooks/08_evaluate.ipynb", f'out = "{BY_HAND}08_evaluate"', "raise ValueError('no <tables>')"
    )
    page = report(root).read_text()
    assert "This report is incomplete." in page and "08_evaluate: ValueError: no &lt;tables&gt;" in page
    assert "09_figures: needs 08_evaluate, which failed" in page and 'id="04_disrupt"' in page
