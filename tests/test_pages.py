"""Numbers on pages are those of the files of expected numbers, to the last digit."""

from pathlib import Path

import pytest

from antidisrupt_lib.study.pages import filled, refresh

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXPECTED = """# Made by `python run_all.py` at abc.
stage,metric,arm,seed,value,low,high,n,unit,over,note,tolerance
detect,accuracy,clean,,0.98549,0.976,0.993,60,share,,,0.01
detect,accuracy,clean,1,0.9,,,60,share,,,0.01
detect,accuracy,poisoned,,0.735,0.7,0.77,60,share,,,0.01
detect,auc,clean,,,,,0,share,,one class only,0
detect,auc,poisoned,,0.5,,,60,share,,,0.01
detect,drop,poisoned,,0.25049,0.1,0.4,60,difference of shares,,,0.01
purify,psnr,,,34.649,34.1,35,60,dB,,,0.1
purify,l2,,,0.0020049,0.0019,0.0021,60,per pixel,,,0.001
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tiny.csv").write_text(EXPECTED)
    return tmp_path


def between(text: str) -> str:
    return text.partition("-->")[2].partition("<!--")[0]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_prints_what_is_expected(page):
    assert filled(page.read_text(), ROOT / "params/expected") == page.read_text()


@pytest.mark.parametrize("words, said", [
    ("metric=accuracy arm=clean seed=", "98.5 % [97.6, 99.3]"), ("metric=accuracy seed=1", "90.0 %"),
    ("metric=auc arm=clean", "– (one class only)"), ("metric=drop", "25.0 points [10.0, 40.0]"),
    ("metric=psnr", "34.6 dB [34.1, 35.0]"), ("metric=l2", "0.002 [0.0019, 0.0021]"),
])  # fmt: skip
def test_a_number_stands_as_it_was_measured(folder, words, said):
    page = f"It is <!-- numbers of tiny: {words} -->12 %<!-- end -->, and 7 stays."
    assert between(filled(page, folder)) == said and filled(page, folder).endswith("<!-- end -->, and 7 stays.")


def test_a_table_has_a_row_for_each_kind_and_says_where_it_is_from(folder):
    words = "stage=detect metric=accuracy|auc|drop seed= by=stage,arm"
    table = between(filled(f"<!-- numbers of tiny: {words} --><!-- end -->", folder))
    assert table.strip().splitlines() == [
        "| stage | arm | accuracy | auc | drop |", "| --- | --- | --- | --- | --- |",
        "| detect | clean | 98.5 % [97.6, 99.3] | – (one class only) |  |",
        "| detect | poisoned | 73.5 % [70.0, 77.0] | 50.0 % | 25.0 points [10.0, 40.0] |",
        "", "Made by `python run_all.py` at abc.",
    ]  # fmt: skip


def test_a_page_is_written_only_where_a_number_is_another(folder):
    page = folder / "page.md"
    page.write_text("<!-- numbers of tiny: metric=psnr -->34.0 dB<!-- end -->")
    assert refresh(page, folder) and "34.6 dB" in page.read_text()
    assert not refresh(page, folder)


AMISS = ["metric=accuracy", "metric=accurracy", "metric=accurracy by=arm", "metric=accuracy by=stage"]


@pytest.mark.parametrize("words", AMISS)
def test_words_that_choose_no_number_or_several_are_refused(folder, words):
    with pytest.raises(ValueError, match=r"\d numbers of .*tiny.csv fit .*Choose one by further columns"):
        filled(f"<!-- numbers of tiny: {words} --><!-- end -->", folder)
