"""Runs: what is redone, what is left alone, and what a failure takes with it. Notebooks run in this process here."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_study_graph import DISRUPT, EVALUATE, SPLIT, make_study, write_notebook

from antidisrupt_lib.study.locks import lock
from antidisrupt_lib.study.manifest import hash_outputs, read_manifest
from antidisrupt_lib.study.node import Result
from antidisrupt_lib.study.params import code_cells
from antidisrupt_lib.study.progress import Progress, Running
from antidisrupt_lib.study.runner import choose_stages, plan, run

WRITE_SPLIT = "from pathlib import Path\n(Path(out) / 'B').mkdir()\n(Path(out) / 'B/n').write_text(str(count + seed))"
WRITE_DISRUPTED = """
from pathlib import Path
if attack == "bad":
    raise ValueError("no such attack")
(Path(out) / "n").write_text(f"{attack} {eps} {(Path(photos) / 'n').read_text()}")
"""
WRITE_RESULTS = (
    "from pathlib import Path\n(Path(out) / 'all').write_text(' '.join((Path(t) / 'n').read_text() for t in tables))"
)
STOP_THE_FIRST_TIME = """
from pathlib import Path
if not (Path(out) / "checkpoint").exists():
    (Path(out) / "checkpoint").touch()
    raise ValueError("stopped")
"""
STAGES = {"01_split": {}, "04_disrupt": {"grid": {"attack": ["pgd", "fgsm"]}}, "08_evaluate": {}}
ALL = ["01_split", "04_disrupt[attack=pgd]", "04_disrupt[attack=fgsm]", "08_evaluate"]


@pytest.fixture
def root(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, WRITE_SPLIT)
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", DISRUPT, WRITE_DISRUPTED)
    write_notebook(tmp_path / "notebooks/08_evaluate.ipynb", EVALUATE, WRITE_RESULTS)
    return tmp_path


def execute(task):
    """Stands for `run_node`: the cells one after the other, without a kernel."""
    first, *cells = [cell["source"] for cell in code_cells(Path(task.notebook))]
    scope, error = {}, None
    try:
        exec(first, scope)
        scope |= task.parameters
        for cell in cells:
            exec(cell, scope)
    except ValueError as failure:
        error = f"ValueError: {failure}"
    return Result("2026-01-01T00:00:00+00:00", 0.5, 1.0, hash_outputs(Path(task.folder)), error)


def go(root, stages=STAGES, jobs=1, **options):
    with ThreadPoolExecutor(jobs) as executor:
        return run(make_study(root, stages), executor=executor, jobs=jobs, execute=execute, **options)


def verdicts(root, stages=STAGES, chosen=None, forced=()):
    study = make_study(root, stages)
    return [(step.verdict, step.why) for step in plan(study, chosen or study.stages, forced)]


def test_a_second_run_does_nothing(root):
    assert go(root).ran == ALL
    again = go(root)
    assert again.ran == [] and list(again.done) == ALL
    assert {verdict for verdict, _ in verdicts(root)} == {"skip"}


def test_a_manifest_says_how_its_result_was_made(root):
    go(root)
    manifest = read_manifest(root / "outputs/tiny/04_disrupt[attack=fgsm]")
    assert manifest["parameters"] == {"attack": "fgsm", "eps": 0.025, "seed": 0} and manifest["seed"] == 0
    assert list(manifest["outputs"]) == ["n"] and list(manifest["inputs"]) == ["photos"]
    assert {"git", "key", "library", "versions", "device", "threads", "wall_seconds"} <= manifest.keys()


def test_only_what_depends_on_a_change_runs_again(root):
    go(root)
    assert go(root, STAGES | {"08_evaluate": {"note": "new"}}).ran == ["08_evaluate"]
    more = STAGES | {"04_disrupt": {"grid": {"attack": ["pgd", "fgsm", "bim"]}}}
    assert go(root, more).ran == ["04_disrupt[attack=bim]", "08_evaluate"]


def test_the_list_says_what_would_run_and_why(root):
    go(root)
    changed = STAGES | {"01_split": {"count": 4}}
    assert verdicts(root, changed) == [
        ("run", "parameters changed: count 3 -> 4"),
        ("wait", "waits for 01_split"),
        ("wait", "waits for 01_split"),
        ("wait", "waits for 04_disrupt[attack=fgsm] and 1 more"),
    ]
    assert verdicts(root, forced=["04_disrupt"])[1] == ("run", "forced")


def test_a_result_that_comes_out_the_same_redoes_nothing_after_it(root):
    go(root)
    assert go(root, STAGES | {"01_split": {"count": 2, "seed": 1}}).ran == ["01_split"]
    assert go(root, STAGES | {"01_split": {"count": 2, "seed": 1}}, forced=["04_disrupt"]).ran == ALL[1:3]


def test_a_failure_takes_only_what_needs_it(root):
    stages = STAGES | {"04_disrupt": {"grid": {"attack": ["bad", "pgd"]}}}
    outcome = go(root, stages)
    assert outcome.failed == {"04_disrupt[attack=bad]": "ValueError: no such attack"}
    assert outcome.left == {"08_evaluate": "needs 04_disrupt[attack=bad], which failed"}
    assert outcome.ran == ["01_split", "04_disrupt[attack=pgd]"]
    assert go(root).ran == ["04_disrupt[attack=fgsm]", "08_evaluate"]


def test_an_input_that_its_stage_does_not_write_fails_its_reader_alone(root):
    outcome = go(root, STAGES | {"04_disrupt": {"photos": "01_split/D"}})
    assert "01_split wrote no `D`, but: B" in outcome.failed["04_disrupt"] and outcome.ran == ["01_split"]


def test_results_do_not_depend_on_jobs(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (root / "notebooks").rename(other / "notebooks")
    one = go(other, jobs=1).done
    (other / "outputs").rename(other / "first")
    three = go(other, jobs=3).done
    contents = [
        {node: {n: o["sha256"] for n, o in m["outputs"].items()} for node, m in d.items()} for d in (one, three)
    ]
    assert contents[0] == contents[1] and {n: m["key"] for n, m in one.items()} == {
        n: m["key"] for n, m in three.items()
    }


def test_only_and_until_choose_stages_and_refuse_gaps(root):
    study = make_study(root, STAGES)
    assert choose_stages(study, until="04_disrupt") == {"01_split", "04_disrupt"}
    with pytest.raises(ValueError, match=r"04_disrupt.* needs 01_split, which is not asked for, never ran. Run stage"):
        plan(study, ["04_disrupt"])
    with pytest.raises(ValueError, match="no stage `04_disrup`. Did you mean `04_disrupt`"):
        choose_stages(study, only=["04_disrup"])
    outcome = go(root, chosen={"01_split"})
    assert outcome.ran == ["01_split"] and outcome.left["04_disrupt[attack=pgd]"] == "not asked for, never ran"


def test_a_killed_run_is_resumed_for_the_same_recipe_and_dropped_for_another(root):
    write_notebook(root / "notebooks/01_split.ipynb", SPLIT, STOP_THE_FIRST_TIME)
    stages = {"01_split": {}}
    assert go(root, stages).failed  # leaves its partial folder, as a kill does
    assert go(root, {"01_split": {"count": 9}}).failed  # another recipe finds nothing to resume
    assert len(list((root / "outputs/tiny/.partial").iterdir())) == 1
    assert go(root, {"01_split": {"count": 9}}).ran == ["01_split"]


def test_a_replaced_result_is_replaced_as_a_whole(root):
    go(root)
    (root / "outputs/tiny/01_split/stray").touch()
    go(root, STAGES | {"01_split": {"count": 4}})
    assert {path.name for path in (root / "outputs/tiny/01_split").iterdir()} == {"B", "manifest.json"}
    assert not list((root / "outputs/tiny/.partial").iterdir())


def test_one_run_of_a_study_at_a_time(root):
    study = make_study(root, STAGES)
    with lock(study), pytest.raises(ValueError, match="Another run of study tiny is at work"):
        lock(study)


def test_progress_estimates_from_reports_and_earlier_runs(tmp_path):
    (tmp_path / "report").write_text('{"what": "PGD", "done": 5, "total": 20, "seconds_left": 30}')
    job = Running("04_disrupt[attack=pgd]", 0, tmp_path / "report")
    todo = {job.node: "04_disrupt", "04_disrupt[attack=fgsm]": "04_disrupt", "08_evaluate": "08_evaluate"}
    progress = Progress(todo, {"04_disrupt[attack=old]": 40.0, "08_evaluate": 10.0}, jobs=1, out=io.StringIO())
    assert progress.status([job]) == "04_disrupt[attack=pgd] PGD 5/20, about 30 s left | 3 to go, about 80 s left"
    progress.finished(job.node, 60)
    assert progress.seconds_left([]) == 60
    assert Progress(todo, {}, jobs=1).seconds_left([]) is None
