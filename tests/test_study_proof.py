"""A finished study is proved, its numbers are held against expected ones, and two studies are compared."""

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
import rocrate
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.services import validate
from test_study_graph import SPLIT, make_study, write_notebook
from test_study_runner import go

from antidisrupt_lib.study import manifest
from antidisrupt_lib.study.circumstances import git_state, knows_commit
from antidisrupt_lib.study.compare import compare_studies
from antidisrupt_lib.study.crate import write_crate
from antidisrupt_lib.study.expected import compare_with_expected, read_numbers, write_expected
from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.report import write_report
from antidisrupt_lib.study.verify import verdict, verify

ROOT = Path(__file__).parents[1]
FACES = SPLIT + '\nfaces: str = "drawn"'
EVALUATE = f'photos = "{BY_HAND}01_split"\nshift = 0.0\nout = "{BY_HAND}08_evaluate"'
WRITE_PHOTOS = """
from pathlib import Path
notebooks = Path(out).parents[3] / "notebooks"
(Path(out) / 'photos').write_text((notebooks / faces / "labels.csv").read_text())
"""
WRITE_RESULTS = """
from pathlib import Path
(Path(out) / "results.csv").write_text(
    "stage,metric,value,low,high,n,unit,over,note\\n"
    f"detect,accuracy,{0.9 + shift},0.85,0.95,60,share,12 people,\\n"
    f"purify,psnr,{30 + shift},,,60,dB,,\\n"
    "purify,auc,,,,0,share,,one class only\\n"
    "purify,seconds_per_image,0.123,,,60,s,,\\n"
)
"""
STAGES = {"01_split": {"faces": "faces"}, "08_evaluate": {}}


@pytest.fixture
def done(tmp_path):
    """A finished study in a git repository, with its report, metadata and expected numbers."""
    write_notebook(tmp_path / "notebooks/01_split.ipynb", FACES, WRITE_PHOTOS)
    write_notebook(tmp_path / "notebooks/08_evaluate.ipynb", EVALUATE, WRITE_RESULTS)
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/labels.csv").write_text("image_id,Male\n1.jpg,0\n")
    (tmp_path / ".gitignore").write_text("outputs\nexpected\nstudy.yaml\n")
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    git_state.cache_clear(), knows_commit.cache_clear()
    finish(tmp_path)
    write_expected(
        tmp_path / "outputs/tiny/results.csv", tmp_path / "expected/tiny.csv", "Made by a test at no commit."
    )
    return tmp_path


def finish(root, stages=STAGES):
    study, outcome = make_study(root, stages), go(root, stages)
    write_report(study, outcome, "python run_all.py")
    write_crate(study, outcome, "python run_all.py")
    return outcome


def proof(root, stages=STAGES):
    found = verify(make_study(root, stages), root / "expected/tiny.csv")
    return verdict(found), [finding.what for finding in found]


def edit(path, before, after):
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_a_sound_study_passes(done):
    assert proof(done) == ("PASS", [])


def test_a_byte_a_label_a_parameter_and_a_number_are_each_named(done):
    folder = done / "outputs/tiny"
    edit(folder / "01_split/photos", "0", "1")
    edit(done / "faces/labels.csv", "0\n", "1\n")
    edit(folder / "results.csv", "0.9,", "0.7,")
    changed = STAGES | {"08_evaluate": {"shift": 0.5}}
    assert proof(done, changed) == (
        "FAIL",
        [
            "01_split: photos isn't as it was written",
            "01_split: input changed: faces (../faces)",
            "08_evaluate: parameters changed: shift 0.0 -> 0.5",
            "results.csv isn't the one of 08_evaluate",
            "metric=accuracy, stage=detect: 0.7, expected 0.9 within 0.01",
        ],
    )


def test_a_file_that_no_time_betrays_is_read(done):
    path, record = done / "outputs/tiny/01_split/photos", done / "outputs/tiny/01_split/manifest.json"
    edit(path, "0", "1")
    content = json.loads(record.read_text())
    about = path.stat()
    content["outputs"]["photos"] |= {"mtime_ns": about.st_mtime_ns, "ctime_ns": about.st_ctime_ns}
    record.write_text(json.dumps(content))
    assert go(done, STAGES).ran == [] and proof(done)[1] == ["01_split: photos isn't as it was written"]


@pytest.mark.parametrize(
    "harm, said",
    [
        (lambda folder: (folder / "01_split/photos").unlink(), "01_split: photos is missing"),
        (lambda folder: (folder / "01_split/more").touch(), "01_split: more was added"),
        (lambda folder: (folder / "01_split/manifest.json").write_text("{}"), "01_split: its manifest is unreadable"),
        (lambda folder: (folder / "01_split/manifest.json").unlink(), "01_split: there is no result"),
        (lambda folder: (folder / "results.csv").unlink(), "results.csv isn't the one of 08_evaluate"),
    ],
)
def test_what_is_missing_or_added_is_named(done, harm, said):
    harm(done / "outputs/tiny")
    assert proof(done)[0] == "FAIL" and said in proof(done)[1]


def test_what_no_commit_holds_decides_nothing(done):
    edit(done / "notebooks/01_split.ipynb", "write_text", "write_text ")
    git_state.cache_clear()
    go(done, STAGES, forced=["01_split"])
    result, found = proof(done)
    assert result == "INCONCLUSIVE" and "01_split: made by sources that no commit here holds" in found[0]


def test_without_expected_numbers_nothing_is_decided(done):
    (done / "expected/tiny.csv").unlink()
    assert proof(done)[0] == "INCONCLUSIVE" and "no numbers are expected" in proof(done)[1][0]


@pytest.mark.parametrize(
    "shift, verdicts",
    [(0.0, []), (0.005, []), (0.04, [False]), (0.06, [True]), (0.2, [True, True]), (-0.2, [True, True])],
)
def test_a_number_passes_fails_or_decides_nothing(done, tmp_path_factory, shift, verdicts):
    other = tmp_path_factory.mktemp("other") / "results.csv"
    text = (done / "outputs/tiny/results.csv").read_text()
    other.write_text(text.replace("0.9,", f"{0.9 + shift},").replace("30.0,", f"{30 + shift},"))
    assert sorted(failed for failed, _ in compare_with_expected(other, done / "expected/tiny.csv")) == verdicts


def test_seconds_are_not_expected_and_new_or_lost_rows_are_named(done):
    place = done / "outputs/tiny/results.csv"
    assert "seconds" not in (done / "expected/tiny.csv").read_text() and len(read_numbers(place)) == 3
    edit(place, "psnr", "ssim")
    found = dict(reversed(pair) for pair in compare_with_expected(place, done / "expected/tiny.csv"))
    assert found == {
        "metric=psnr, stage=purify: expected 30.0, and not there": True,
        "metric=ssim, stage=purify: nothing is expected": False,
    }


def test_an_undefined_value_is_expected_to_stay_so(done):
    edit(done / "outputs/tiny/results.csv", "auc,,", "auc,0.5,")
    assert [
        failed for failed, _ in compare_with_expected(done / "outputs/tiny/results.csv", done / "expected/tiny.csv")
    ]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "metric,value,unit\na,1,share\na,2,share\n"])
def test_a_table_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "r.csv").write_text(text)
    with pytest.raises(ValueError, match="r.csv"):
        read_numbers(tmp_path / "r.csv")


# Two studies


def test_two_studies_are_compared(done, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (done / "outputs/tiny").rename(other / "one")
    finish(done, STAGES | {"08_evaluate": {"shift": 0.02}})
    lines, same = compare_studies(other / "one", done / "outputs/tiny")
    assert not same and "08_evaluate: parameter shift: 0.0 | 0.02" in lines
    assert "metric=psnr, stage=purify: 30.0 | 30.02, apart" in lines  # accuracy's intervals overlap
    assert lines[-1] == "2 of 3 numbers are the same, or their intervals overlap"
    assert compare_studies(other / "one", other / "one") == (
        ["3 of 3 numbers are the same, or their intervals overlap"],
        True,
    )
    with pytest.raises(ValueError, match="holds no results of a study"):
        compare_studies(other, other)


# Packages


def test_other_packages_are_said_and_can_be_accepted(done, monkeypatch):
    now = manifest.versions()
    monkeypatch.setattr(manifest, "versions", lambda: now | {"torch": "99.0"})
    study, newer = make_study(done, STAGES), manifest.versions()
    assert "packages changed: torch" in proof(done)[1][0]
    assert all(manifest.accept_versions(study.result(node), newer) for node in study.nodes)
    assert not any(manifest.accept_versions(study.result(node), newer) for node in study.nodes)
    assert go(done, STAGES).ran == [] and proof(done)[0] == "PASS"
    assert manifest.read_manifest(study.result("01_split"))["accepted"] == [newer]
    monkeypatch.setattr(manifest, "versions", lambda: now | {"torch": "100.0"})
    assert go(done, STAGES).ran == ["01_split", "08_evaluate"]


# The metadata


def test_the_metadata_name_every_file_and_action(done):
    folder = done / "outputs/tiny"
    graph = {entity["@id"]: entity for entity in json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]}
    mentioned = [leaf["@id"] for entity in graph.values() for value in entity.values() for leaf in references(value)]
    assert {name for name in mentioned if not name.startswith("https://w3id.org/ro/crate")} <= graph.keys()
    assert (
        graph["01_split/photos"]["sha256"] == manifest.read_manifest(folder / "01_split")["outputs"]["photos"]["sha256"]
    )
    action = graph["#run-08_evaluate"]
    assert (
        action["instrument"] == {"@id": "08_evaluate/notebook.ipynb"}
        and {"@id": "01_split/manifest.json"} in action["object"]
    )
    assert json.loads((folder / "study.json").read_text())["nodes"]["08_evaluate"]["reads"] == {"photos": "01_split"}


def references(value):
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, dict) and one.keys() == {"@id"}]


def test_the_metadata_are_written_anew_only_if_something_changed_and_only_of_a_complete_study(done):
    place = done / "outputs/tiny/ro-crate-metadata.json"
    before = place.stat().st_mtime_ns
    finish(done)
    assert place.stat().st_mtime_ns == before
    place.write_text("{")
    write_crate(make_study(done, STAGES), go(done, STAGES, chosen={"01_split"}, forced=["01_split"]), "")
    assert json.loads(place.read_text())["@graph"]


def test_the_metadata_are_valid_by_the_profiles_own_validator(done):
    folder = done / "outputs/tiny"
    for node in ("01_split", "08_evaluate"):
        (folder / node / "notebook.ipynb").write_text("{}")  # in this process nothing executes notebooks
    terms = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
    terms["ComputationalWorkflow"] = "https://bioschemas.org/ComputationalWorkflow"  # as in RO-Crate 1.1
    metadata = json.loads((folder / "ro-crate-metadata.json").read_text())
    (folder / "ro-crate-metadata.json").write_text(json.dumps(metadata | {"@context": terms}))  # no network here
    settings = ValidationSettings(rocrate_uri=str(folder), profile_identifier="provenance-run-crate", offline=True)
    issues = validate(settings).get_issues(Severity.REQUIRED)
    assert [issue.message for issue in issues if "@context" not in issue.message] == []


# The command


def test_the_command_proves_expects_and_compares(done, capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("run_all", ROOT / "run_all.py")
    run_all = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(run_all)
    make_study(done, STAGES)
    words = [str(done / "study.yaml"), "--outputs", str(done / "outputs"), "--notebooks", str(done / "notebooks")]
    assert run_all.main([*words, "--verify"]) == 0
    assert capsys.readouterr().out == "PASS: 2 results, 0 findings\n"
    edit(done / "outputs/tiny/results.csv", "30.0", "31.0")
    edit(done / "outputs/tiny/08_evaluate/results.csv", "30.0", "31.0")
    assert run_all.main([*words, "--verify"]) == 1
    assert "FAIL         metric=psnr, stage=purify: 31, expected 30 within 0.1" in capsys.readouterr().out
    (done / "page.md").write_text("<!-- numbers of tiny: metric=psnr -->30.0 dB<!-- end -->")
    monkeypatch.setattr(run_all, "pages", lambda: [done / "page.md"])
    monkeypatch.setattr(run_all, "EXPECTED", done / "expected")
    assert run_all.main([*words, "--expect"]) == 0
    assert "31.0 dB" in (done / "page.md").read_text() and "numbers now: page.md" in capsys.readouterr().out
    first = (done / "expected/tiny.csv").read_text().splitlines()[0]
    assert first.startswith("# Made by `python run_all.py") and "psnr,31.0" in (done / "expected/tiny.csv").read_text()
    assert run_all.main(["--compare", str(done / "outputs/tiny"), str(done / "outputs/tiny")]) == 0
