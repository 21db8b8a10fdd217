"""A finished study's site, in a real browser: it works from a file, without a network, for eyes, keyboards and ears."""

import re
import runpy
import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright
from test_study_graph import make_study, write_notebook
from test_study_report import PIXEL, links, tell
from test_study_runner import go

from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.site import write_site

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync"]  # a closed network refuses what these would ask for
PAGES = ["index.html", "leaderboard.html", "claims.html", "gallery.html", "09_figures/notebook.html"]
LEADERBOARD = """forger,disruptor,purifier,detector,edits disrupted,accuracy
StarGAN,PGD,no purifier,regnetx_002,"100.0% [91.0%, 100.0%]","66.0% [60.0%, 71.0%]"
StarGAN,PGD,"DiffPure, t = 10",regnetx_002,"9.5% [2.0%, 20.0%]","97.0% [95.0%, 99.0%]"
Attention forger,PGD,no purifier,–,"0.0% [0.0%, 9.0%]",–
"""
CLAIMS = "claim,verdict,value\nA claim of so many words that its column is a wide one,holds,0.5\n"
BADGE = "[![Open in Colab](https://elsewhere.org/badge.svg)](https://elsewhere.org)"
SHOWS = f"""
import json
from base64 import b64decode
from pathlib import Path
for name in ("figures", "tables"):
    (Path(out) / name).mkdir()
(Path(out) / "figures/faces.png").write_bytes(b64decode("{PIXEL}"))
(Path(out) / "figures/faces.txt").write_text("Faces, disrupted.")
(Path(out) / "tables/leaderboard.csv").write_text({LEADERBOARD!r})
(Path(out) / "tables/3_claims.csv").write_text({CLAIMS!r})
(Path(out) / "tables/wide.csv").write_text(",".join(map(str, range(90))) + "\\n" + ",".join(map(str, range(90))))
(Path(out) / "headline.md").write_text("**98 %** works.")
html = {{"text/html": "<table><tr><th></th><th>wide</th></tr><tr><td>0</td><td>" + "x" * 300 + "</td></tr></table>"}}
image = {{"image/png": "{PIXEL}"}}
shown = [
    *2 * [{{"output_type": "display_data", "data": html, "metadata": {{}}}}],
    {{"output_type": "display_data", "data": image, "metadata": {{"image/png": {{"alt": "Faces, disrupted."}}}}}},
]
source = "x = [None, 1] # why"
code = {{"cell_type": "code", "metadata": {{}}, "execution_count": 1, "source": source, "outputs": shown}}
title = {{"cell_type": "markdown", "metadata": {{}}, "source": "# 09 Pictures\\n{BADGE}\\nWhat we see."}}
ran = {{"cells": [title, code], "metadata": {{}}, "nbformat": 4, "nbformat_minor": 4}}
(Path(out) / "notebook.ipynb").write_text(json.dumps(ran))
(Path(out) / "notebook.html").write_text("as it ran")
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    root = tmp_path_factory.mktemp("a study [%]")
    tell(
        write_notebook(root / "notebooks/09_figures.ipynb", f'out = "{BY_HAND}09_figures"', SHOWS), "# 09 Pictures", ""
    )
    stages = {"09_figures": {}}
    return write_site(make_study(root, stages), go(root, stages), "python run_all.py").parent


def test_the_site_is_one_folder_whose_links_lead_to_what_is_there(site):
    pages = sorted(str(page.relative_to(site)) for page in site.rglob("*.html"))
    assert pages == sorted(PAGES)
    for name in PAGES:
        found = links((site / name).read_text())
        for link in found["href"] + found["src"]:
            if link.startswith(("data:", "https://itables.org/")):  # the latter: help, where JavaScript is off
                continue
            file, _, anchor = link.partition("#")
            target = ((site / name).parent / unquote(file)).resolve() if file else site / name
            assert target.is_file() and target.is_relative_to(site), link
            assert not anchor or f'id="{anchor}"' in target.read_text(), link


def test_a_study_that_is_not_finished_gets_no_site(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", f'out = "{BY_HAND}01_split"')
    study = make_study(tmp_path, {"01_split": {}})
    places = ["--outputs", str(tmp_path / "outputs"), "--notebooks", str(tmp_path / "notebooks")]
    main = runpy.run_path(str(Path(__file__).parents[1] / "run_all.py"))["main"]
    assert main([str(tmp_path / "study.yaml"), *places, "--site"]) == 2
    assert "The study isn't finished: 01_split has no result." in capsys.readouterr().err
    assert not (study.folder / "site").exists()


@pytest.fixture(scope="module")
def browser():
    if not BROWSER:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def leaderboard(site, browser):
    page = browser.new_page()
    page.goto((site / "leaderboard.html").as_uri())
    page.wait_for_selector("#leaderboard0 tbody tr")
    yield page
    page.close()


def test_numbers_sort_as_numbers_and_what_is_unknown_goes_last(leaderboard):
    broken = "edits disrupted"
    shows(leaderboard, 5, "100.0%", "9.5%", "0.0%")
    leaderboard.get_by_role("button", name=f"Sort by {broken}").click()
    shows(leaderboard, 5, "0.0%", "9.5%", "100.0%")
    leaderboard.get_by_role("button", name=f"Sort by {broken}").click()
    shows(leaderboard, 5, "100.0%", "9.5%", "0.0%")
    leaderboard.get_by_role("button", name="Sort by accuracy").click()
    shows(leaderboard, 6, "–", "66.0%", "97.0%")
    leaderboard.get_by_role("button", name="Sort by accuracy").click()
    shows(leaderboard, 6, "97.0%", "66.0%", "–")


def test_the_keyboard_alone_sorts_and_filters(leaderboard):
    sort = leaderboard.get_by_role("button", name="Sort by purifier")
    sort.focus()
    leaderboard.keyboard.press("Enter")
    shows(leaderboard, 3, "DiffPure, t = 10", "no purifier", "no purifier")
    leaderboard.keyboard.press("Tab")  # to the list of this column
    leaderboard.keyboard.press("Enter")
    leaderboard.get_by_role("button", name="no purifier", exact=True).focus()
    leaderboard.keyboard.press("Enter")
    shows(leaderboard, 3, "no purifier", "no purifier")
    leaderboard.keyboard.press("Escape")
    assert leaderboard.locator(".dtcc-dropdown").count() == 0


def test_the_search_leaves_the_rows_that_hold_its_words(leaderboard):
    leaderboard.get_by_label("Search:").fill("attention pgd")
    shows(leaderboard, 1, "Attention forger")


def shows(page, number: int, *beginnings: str) -> None:
    """That column's cells begin so, soon: the table is drawn anew after each click."""
    cells = page.locator(f"#leaderboard0 tbody tr td:nth-child({number})")
    expect(cells).to_have_text([re.compile("^" + re.escape(text)) for text in beginnings], timeout=30_000)


@pytest.mark.parametrize("look", [{"width": 1280, "scheme": "light"}, {"width": 360, "scheme": "dark"}], ids=str)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_quietly_fits_and_can_be_read_by_all(site, browser, name, look):
    page = browser.new_page(viewport={"width": look["width"], "height": 800}, color_scheme=look["scheme"])
    noise = []
    page.on("console", lambda message: noise.append(message.text))
    page.on("pageerror", lambda error: noise.append(str(error)))
    page.on("request", lambda request: request.url.startswith("http") and noise.append(request.url))
    page.goto((site / name).as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    for picture in page.locator("img").all():
        picture.scroll_into_view_if_needed()
        assert picture.get_attribute("alt") == "Faces, disrupted."
        page.wait_for_function("one => one.naturalWidth > 0", arg=picture.element_handle())
    assert page.evaluate("document.documentElement.scrollWidth") <= look["width"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 27)"
    assert dark == (look["scheme"] == "dark") and noise == []
    broken = Axe().run(page).response["violations"]
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in broken] == []
    page.close()
