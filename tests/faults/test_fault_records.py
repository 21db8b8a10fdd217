"""Records that are broken, missing or in the way are named or made again; two runs never share a study."""

import shutil
import time

import pytest
from faulty import STAGES, edit_json, executed, facts, go, small_study
from test_study_graph import make_study
from test_study_report import STAGES as SHOWN
from test_study_report import report as write_some_report
from test_study_report import root as report_study  # noqa: F401
from test_study_runner import go as stand

from antidisrupt_lib.study import manifest, runner
from antidisrupt_lib.study.locks import guard, lock
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.runner import plan

GRID = STAGES | {"04_disrupt": {"grid": {"attack": ["pgd", "bim"]}}}


@pytest.fixture
def done(tmp_path):
    go(small_study(tmp_path), report=True)
    (tmp_path / "log").unlink()
    return tmp_path


def without(name):
    return lambda manifest: manifest.pop(name)


BROKEN = [
    *(b"", b"[]", b"5", b"null", b"\xff\xfe", b"{" * 100_000, b'{"key": 5}'),
    *(without(name) for name in ("outputs", "git", "key")),
    lambda manifest: manifest.update(outputs=[]),
    lambda manifest: manifest["outputs"]["B/n"].pop("sha256"),
    lambda manifest: manifest.update(parameters={"count": 3}),
    lambda manifest: manifest.update(wall_seconds="long"),
]


@pytest.mark.fault("a manifest that lacks a part, is no table, no text or another's, or whose parts were edited",
                   "the node is named, and runs again")  # fmt: skip
@pytest.mark.parametrize("harm", BROKEN, ids=lambda harm: str(harm[:9]) if isinstance(harm, bytes) else "edited")
def test_a_broken_manifest_is_named(done, harm):
    before, path = facts(done), done / "outputs/tiny/01_split/manifest.json"
    path.write_bytes(harm) if isinstance(harm, bytes) else edit_json(path, harm)
    step = plan(make_study(done, STAGES), list(STAGES))[0]
    assert step.verdict == "run" and step.why in ("its manifest is unreadable", "its manifest was altered")
    assert go(done).ran == ["01_split"] and facts(done) == before


@pytest.mark.fault("a file where a result's folder was, a folder where its manifest was, a link to nowhere",
                   "the node runs again")  # fmt: skip
@pytest.mark.parametrize("harm", ["file", "folder", "link"])
def test_something_else_in_a_results_place(done, harm):
    before, place = facts(done), done / "outputs/tiny/01_split"
    if harm == "folder":
        (place / "manifest.json").unlink()
        (place / "manifest.json").mkdir()
    else:
        shutil.rmtree(place)
        place.touch() if harm == "file" else place.symlink_to(done / "nowhere")
    assert go(done).ran == ["01_split"] and facts(done) == before and not place.is_symlink()


@pytest.mark.fault("results.csv deleted, edited, or a folder in its place", "restored by the next run")
@pytest.mark.parametrize("harm", ["deleted", "edited", "folder"])
def test_the_results_table_is_restored(done, harm):
    table = done / "outputs/tiny/results.csv"
    before = table.read_text()
    table.write_text(before.replace("1", "2")) if harm == "edited" else table.unlink()
    if harm == "folder":
        table.mkdir()
    assert go(done, report=True).ran == [] and table.read_text() == before


@pytest.mark.fault("the report is no UTF-8, a folder, gone, or half of it is", "written anew")
@pytest.mark.parametrize("harm", [b"\xff\xfe\x00", b"", None, "folder"])
def test_the_report_is_restored(done, harm):
    index = done / "outputs/tiny/report/index.html"
    before = index.read_bytes()
    index.unlink()
    if harm == "folder":
        index.mkdir()
    elif harm is not None:
        index.write_bytes(harm)
    go(done, report=True)
    assert index.read_bytes() == before


@pytest.mark.fault("captions, headlines and tables that are no UTF-8", "shown with a mark for what can't be read")
def test_odd_bytes_in_exhibits(report_study):  # noqa: F811
    page = write_some_report(report_study)
    folder = report_study / "outputs/tiny"
    for name in ("09_figures/headline.md", "09_figures/figures/faces.txt", "09_figures/tables/scores.csv"):
        (folder / name).write_bytes(b"caf\xe9,1\n")
    page.unlink()
    study = make_study(report_study, SHOWN)
    outcome = stand(report_study, SHOWN, chosen=set())
    assert "09_figures" in outcome.left
    outcome.done["09_figures"] = outcome.done["08_evaluate"]
    assert "caf\ufffd" in write_report(study, outcome, "").read_text()


@pytest.mark.fault("a grid is added to a stage, and taken away again", "no layout touches the other's results")
def test_a_grid_comes_and_goes(done):
    plain = facts(done)
    assert go(done, GRID).ran == ["04_disrupt[attack=pgd]", "04_disrupt[attack=bim]", "08_evaluate"]
    grid = facts(done, GRID)
    assert go(done).ran == ["08_evaluate"] and facts(done) == plain
    assert go(done, GRID).ran == ["08_evaluate"] and facts(done, GRID) == grid


@pytest.mark.fault("the driver's disk is full when one node is to be published; another is at work",
                   "one sentence; the other is kept, and so is the node: next time it needs no run")  # fmt: skip
def test_a_full_disk_in_the_driver(done, monkeypatch):
    changed, real = (
        STAGES | {"01_split": {"count": 9}, "04_disrupt": {"eps": 0.5, "photos": "00/B"}},
        runner.write_manifest,
    )
    changed |= {"00": {"notebook": "01_split"}}

    def full(folder, manifest):
        if manifest["stage"] == "01_split":
            raise OSError(28, "No space left on device")
        real(folder, manifest)

    monkeypatch.setattr(runner, "write_manifest", full)
    outcome = go(done, changed, jobs=2)
    assert outcome.failed == {
        "01_split": "it is done, but can't take its place (No space left on device). Run again: it is kept"
    }
    assert sorted(outcome.ran) == ["00", "04_disrupt", "08_evaluate"]
    monkeypatch.undo()
    (done / "log").unlink()
    assert go(done, changed).ran == ["01_split"] and not (done / "log").exists()


@pytest.mark.fault("an executor loses its workers, or a task can't come back", "the node fails in one sentence, alone")
def test_an_executors_own_error(tmp_path):
    def lost(task):
        if "04" in task.notebook:
            raise RuntimeError("the worker was lost")
        return executed(task)

    outcome = go(small_study(tmp_path), run_task=lost)
    assert outcome.failed == {"04_disrupt": "it could not be run in 3 tries: the worker was lost"}
    assert outcome.ran == ["01_split"]


@pytest.mark.fault("two drivers on one folder; the lock deleted by hand",
                   "the second is refused; whose lock was deleted stops before it writes")  # fmt: skip
def test_who_lost_the_lock_stops(tmp_path):
    study = make_study(small_study(tmp_path), STAGES)
    with lock(study) as first:
        with pytest.raises(ValueError, match="Another run of study tiny is at work"):
            lock(study)
        require = guard(first)
        require()
        (tmp_path / "outputs/tiny/.lock").unlink()
        with lock(study), pytest.raises(ValueError, match="was deleted while this run held it"):
            go(tmp_path, require_lock=require)
    assert not (tmp_path / "log").exists()


@pytest.mark.fault("a stale lock file", "taken")
def test_a_stale_lock(tmp_path):
    study = make_study(small_study(tmp_path), STAGES)
    study.folder.mkdir(parents=True)
    (study.folder / ".lock").write_text("12345")
    with lock(study):
        pass


@pytest.mark.fault("a clock that jumps back between two runs", "nothing is done again")
def test_a_clock_that_jumps_back(done, monkeypatch):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() - 10**6)
    monkeypatch.setattr(time, "time_ns", lambda: int((real() - 10**6) * 1e9))
    assert go(done).ran == []


@pytest.mark.fault("another torch, or any package that results depend on", "`--list` says so, and the nodes run again")
def test_packages_are_part_of_the_recipe(done, monkeypatch):
    now = manifest.versions()
    monkeypatch.setattr(manifest, "versions", lambda: now | {"torch": "99.0"})
    steps = plan(make_study(done, STAGES), list(STAGES))
    assert steps[0].why == f"packages changed: torch {now['torch']} -> 99.0" and steps[0].verdict == "run"
