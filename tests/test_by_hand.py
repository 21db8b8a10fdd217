"""A notebook opened alone works; a photo goes on the tour; a bar vanishes; a study says what it is worth."""

import pytest
import torch
from test_study_graph import SPLIT, make_study, write_notebook
from test_study_runner import WRITE_SPLIT, go

from antidisrupt_lib.by_hand import result_folder
from antidisrupt_lib.photos.doing import check
from antidisrupt_lib.photos.tour import tour, uploaded
from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.training import progress


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    write_notebook(folder / "04_disrupt.ipynb", f'out = "{BY_HAND}04_disrupt"')
    write_notebook(folder / "01_split.ipynb", SPLIT, WRITE_SPLIT)
    monkeypatch.chdir(folder)
    return folder


def test_what_a_notebook_reads_is_made_first_by_its_own_notebook_and_only_once(notebooks, capsys):
    for said in ("01_split runs first", ""):
        assert result_folder(f"{BY_HAND}04_disrupt", f"{BY_HAND}01_split", [f"{BY_HAND}01_split/B"]).is_dir()
        assert said in (out := capsys.readouterr().out) and bool(out) == bool(said)
    split = notebooks.parent / "outputs/notebooks/01_split"
    assert (split / "B/n").read_text() == "3" and (split / "01_split.ipynb").is_file()
    assert [path.name for path in split.parent.iterdir() if path.name.startswith(".")] == []


def test_what_cannot_be_made_leaves_nothing_that_looks_whole(notebooks):
    write_notebook(notebooks / "01_split.ipynb", SPLIT, "raise ValueError('no faces')")
    with pytest.raises(Exception, match="no faces"):
        result_folder(f"{BY_HAND}04_disrupt", f"{BY_HAND}01_split")
    assert not (notebooks.parent / "outputs/notebooks/01_split").exists()


def test_folders_of_a_study_are_left_to_the_study(notebooks):
    write_notebook(notebooks / "01_split.ipynb", SPLIT, "raise ValueError('not asked for')")
    elsewhere = notebooks.parent / "outputs/quick/01_split"
    assert result_folder(notebooks.parent / "mine", elsewhere, [str(elsewhere)]).is_dir() and not elsewhere.exists()


def test_a_bar_vanishes_when_it_is_done_and_a_study_gets_a_file_instead(tmp_path, monkeypatch, capsys):
    assert list(progress(range(3), "Steps", 3)) == [0, 1, 2]
    assert "Steps" in (shown := capsys.readouterr().err) and shown.rstrip(" \r").rpartition("\r")[2].strip() != "Steps"
    assert shown.endswith("\r") and not shown.endswith("\n")
    monkeypatch.setenv("ANTIDISRUPT_PROGRESS", str(tmp_path / "progress.json"))
    assert list(progress(range(3), "Steps", 3)) == [0, 1, 2] and capsys.readouterr().err == ""


def test_a_study_that_means_nothing_says_so_on_its_report(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, WRITE_SPLIT)
    stages = {"01_split": {}}
    study = make_study(tmp_path, stages, note="Smoke values: <nothing> else.")
    assert "Smoke values: &lt;nothing&gt; else." in write_report(study, go(tmp_path, stages), "python").read_text()
    with pytest.raises(ValueError, match="`note: 5` is no text"):
        make_study(tmp_path, stages, note=5)


def test_a_photo_on_the_tour_breaks_and_recovers(tmp_path):
    seen = tour("drawn", tmp_path, forger="stargan", eps=0.05, seed=3)
    assert {path.name for path in tmp_path.iterdir()} == {"photo.jpg", "protected.png", "purified.png"}
    assert [face.shape for face in seen.faces.values()] == [(1, 3, 178, 178)] * 3
    assert [edits.shape for edits in seen.edits.values()] == [(6, 3, 64, 64)] * 3
    photo, protected, purified = (edits[1:] for edits in seen.edits.values())
    moved, left = ((4 * (one - photo).square()).flatten(1).mean(1) for one in (protected, purified))  # on [-1, 1]
    found = check(tmp_path / "protected.png", tmp_path / "photo.jpg", forger="stargan", face_detector="none")
    counted = found.broken["as it is"]["stargan"]
    assert seen.table["as it is"][0] == f"{counted.whole} of {counted.take}" and counted.whole == counted.take > 0
    assert (moved > 0.05).sum() >= counted.whole and torch.all(left < moved)
    assert seen.table["as it is"][1].startswith("0 of")


def test_what_is_uploaded_becomes_a_file_of_its_own_name_and_no_path(tmp_path):
    assert uploaded((), tmp_path, "drawn") == "drawn"
    path = uploaded([{"name": "../../me.jpg", "content": memoryview(b"jpeg")}], tmp_path, "drawn")
    assert path == str(tmp_path / "me.jpg") and (tmp_path / "me.jpg").read_bytes() == b"jpeg"
