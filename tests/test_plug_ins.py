"""README: everything that takes a name takes the dotted name of your own code, and a study knows when that changes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_study_graph import make_study, write_notebook

from antidisrupt_lib.deepfakes.forgers import card, load_generator, make_generator
from antidisrupt_lib.deepfakes.stargan import forger
from antidisrupt_lib.detection.attack import parse_attack
from antidisrupt_lib.detection.detectors import Detector, detect_with, load_detector
from antidisrupt_lib.disruption.disrupt import attack_name, check_choices, disrupt, find_attack
from antidisrupt_lib.metrics.comparison import compare, comparison_results, distribution_draws, own_metrics
from antidisrupt_lib.plug_ins import KINDS, code_of, is_plug_in, plug_in, plug_ins_in, short_name, with_paths
from antidisrupt_lib.purification.purify import check_purifier, load_purifier, write_purified
from antidisrupt_lib.rehearsal import promise
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.study.checks import refusals, run_cells
from antidisrupt_lib.study.graph import load_study
from antidisrupt_lib.study.manifest import recipe, recipe_key, why_run
from antidisrupt_lib.study.own_code import own_sources
from antidisrupt_lib.weights import save_weights

ROOT = Path(__file__).parents[1]
MINE = str(ROOT / "params/your_own.py")
OWN = "the user's own functions"
HOW = {"eps": 0.03, "step": 0.01, "steps": 2}


@pytest.fixture(params=["file", "module"])
def named(request, tmp_path, monkeypatch):
    """named(callable): its name as one of a file, or of a module that Python finds."""
    if request.param == "file":
        yield f"{MINE}:{{}}".format
        return
    package = tmp_path / "mylab_of_tests"
    package.mkdir()
    (package / "mine.py").write_bytes(Path(MINE).read_bytes())
    monkeypatch.syspath_prepend(tmp_path)
    yield "mylab_of_tests.mine:{}".format
    for module in ("mylab_of_tests.mine", "mylab_of_tests"):
        sys.modules.pop(module, None)


# Names


@pytest.mark.kind(OWN, "named")
@pytest.mark.parametrize(
    ("text", "own", "short"),
    [("pgd", [], "pgd"), ("mylab.attacks:langevin", ["mylab.attacks:langevin"], "langevin"),
     ("../my lab/a.py:f", ["../my lab/a.py:f"], "f"), ("jpeg_75+m:F", ["m:F"], "jpeg_75+F"),
     ("m:f+n.py:g", ["m:f", "n.py:g"], "f+g"),
     ("zoo/attention.safetensors", [], "zoo/attention.safetensors"), ("m:", [], "m:"), (":f", [], ":f")],
)  # fmt: skip
def test_a_name_of_ones_own_code_is_told_from_all_others(text, own, short):
    assert list(plug_ins_in({"a": [text, 3, None]})) == own and short_name(text) == short
    assert is_plug_in(text) == (own == [text])
    assert with_paths(text, lambda path: f"/{path}").count("/") == text.count("/") + text.count(".py")


# What each is used for


@pytest.mark.kind(OWN, "read")
def test_an_attack_and_an_objective(named, forge, faces):
    attack, objective = named("langevin"), named("worst_corner")
    x, c, ids = faces.x([0, 1]), faces.labels(["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"])[:2], range(2)
    made = [
        disrupt(x, c, forge, attack=attack, objective=goal, **HOW, generators=image_generators(0, "own", ids))
        for goal in (objective, objective, "away")
    ]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert 0 < (made[0] - x).abs().max() <= 0.03
    assert attack_name(attack, objective=objective, seen_through=[named("Rescale")]) == (
        "langevin_worst_corner_through_Rescale"
    )
    assert parse_attack(f"{attack}_2_255_through_jpeg_75").name == "langevin_2_255_through_jpeg_75"


@pytest.mark.kind(OWN, "read")
def test_a_purifier_alone_and_in_a_composition(named, faces, tmp_path):
    check_purifier(f"jpeg_75+{named('Rescale')}")
    both = load_purifier(f"jpeg_75+{named('Rescale')}", "")
    written, _ = write_purified(tmp_path / "a", faces, both, short_name("jpeg_75+m:Rescale"), seed=0)
    assert both.network_calls == 0 and not both.differentiable and written.axes["purifier"] == "jpeg_75+Rescale"


@pytest.mark.kind(OWN, "read")
def test_a_metric_stands_in_the_results_under_its_own_name(named, forge, faces):
    c, batches = faces.labels(["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]), list(faces.batches(5))
    treated = [(rows, (x + 0.1).clamp(0, 1)) for rows, x in batches]
    metrics = [named("edge_error")]
    found = compare(
        batches, treated, lambda x, rows: forge(x, c[rows])[None], lambda x: x.mean((2, 3)), metrics=metrics
    )
    x, y = faces.x(), torch.cat([x for _, x in treated])
    edges = [forge(image, c).diff(dim=3) for image in (y, x)]
    expected = (edges[0] - edges[1]).abs().mean((1, 2, 3))
    torch.testing.assert_close(torch.from_numpy(found.fakes["edge_error"][:, 0]), expected)
    rows = comparison_results(found, {}, faces.people, "x", distribution_draws(found, faces.people, "x"))
    assert [row["value"] for row in rows if row["metric"] == "edge_error"] == pytest.approx([expected.mean().item()])


@pytest.mark.kind(OWN, "read")
def test_a_forger_is_rebuilt_where_its_stage_has_promised_its_code(named, tmp_path):
    network = named("Residual")
    torch.manual_seed(0)
    made = make_generator(network, {"width": 4})
    save_weights(tmp_path / "own.safetensors", made, card(made))
    x, c = torch.rand(2, 3, 8, 8), torch.ones(2, 5)
    with pytest.raises(ValueError, match="weights alone run no code.*name the code yourself"):
        load_generator(tmp_path / "own.safetensors", 8)
    expected = forger(made)(x, c)
    assert torch.equal(forger(load_generator(tmp_path / "own.safetensors", 8, network=network))(x, c), expected)
    promise(tmp_path, code=code_of(network, "forger"))
    assert torch.equal(forger(load_generator(tmp_path / "own.safetensors", 8))(x, c), expected)
    torch.save(made.state_dict(), tmp_path / "foreign.pth")
    loaded = load_generator(tmp_path / "foreign.pth", network=network, architecture={"width": 4})
    assert torch.equal(forger(loaded)(x, c), expected)


@pytest.mark.kind(OWN, "read")
def test_a_detector_is_rebuilt_where_its_stage_has_promised_its_code(named, tmp_path):
    name = named("HighPass")
    made = Detector(name)
    path = tmp_path / "clean/detector.safetensors"
    save_weights(path, made, {"network": "detector", "architecture": made.architecture})
    with pytest.raises(ValueError, match="weights alone run no code"):
        load_detector(path)
    promise(tmp_path, code=code_of(name, "detector"))
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(detect_with(load_detector(path))(x), made.network(x).sigmoid())


# Refusals

BROKEN = {
    "nowhere.py:f": "there is no file .*nowhere.py",
    "no_such_lab.attacks:f": "there is no module no_such_lab where Python looks; put its folder into PYTHONPATH",
    "own.py:lngevin": "there is no lngevin in it; did you mean langevin",
    "own.py:number": "is a int, and nothing to call",
    "own.py:narrow": r"can't be called: .*it takes \(x\)",
    "raising.py:f": "ZeroDivisionError in .*raising.py, line 2",
    "unfinished.py:f": "SyntaxError",
    "needing.py:f": "ModuleNotFoundError in .*needing.py, line 1: No module named 'no_such_lab'",
}


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_imported_or_called_by_its_name_and_with_what_it_should_be(name, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    narrow = {"forger": "x = 1\ndef narrow(x): ...", "detector": "def narrow(x): ..."}.get(kind, "def narrow(x): ...")
    Path("own.py").write_text(f"def langevin(): ...\nnumber = 3\n{narrow}\n")
    Path("raising.py").write_text("x = 0\n1 / x\n")
    Path("unfinished.py").write_text("def f(:\n")
    Path("needing.py").write_text("import no_such_lab\n")
    text = "is no class" if (kind, name) == ("forger", "own.py:narrow") else BROKEN[name]
    with pytest.raises(ValueError, match=f"The {kind} {name} .*{text}.* It should be "):
        plug_in(name, kind)


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize(
    ("check", "text"),
    [(lambda: find_attack("no_lab:f"), "The attack no_lab:f"),
     (lambda: check_purifier("no_lab:F"), "The purifier no_lab:F"),
     (lambda: check_choices("no_lab:f", "own"), "The objective no_lab:f"),
     (lambda: Detector("no_lab:F"), "The detector no_lab:F"),
     (lambda: own_metrics(["no_lab:f"]), "The metric no_lab:f"), (lambda: own_metrics(["l2"]), "no metric 'l2'"),
     (lambda: make_generator("no_lab:F", {}), "The forger no_lab:F"),
     (lambda: check_purifier(f"{MINE}:langevin"), "can't be called"),
     (lambda: parse_attack("no_lab:f_2_255"), "The attack no_lab:f")],
    ids=range(9),
)  # fmt: skip
def test_every_door_names_what_it_cannot_import(check, text):
    with pytest.raises(ValueError, match=text):
        check()


@pytest.mark.kind(OWN, "refused")
def test_a_purifier_that_does_not_say_what_it_costs_by_its_dotted_name(tmp_path):
    (tmp_path / "own.py").write_text("def purify(x, generators): return x\n")
    with pytest.raises(ValueError, match="The purifier purify must say how many passes"):
        check_purifier(f"{tmp_path}/own.py:purify")


# Studies

SPLIT = 'out = "../outputs/notebooks/01_split"'
STAGE = 'attack: str = "pgd"\nmetrics: list[str] = []\nout: str = "../outputs/notebooks/04_disrupt"'
SOURCE = "import helper\nSIZE = 3\ndef used(): return SIZE + helper.x\ndef f(): return used()\ndef other(): return 1\n"


def judged(root: Path, old: dict | None = None) -> tuple[dict, str | None]:
    node = make_study(root, {"01_split": {}, "04_disrupt": {"attack": f"{root}/own/mine.py:f"}}).nodes["04_disrupt"]
    now = recipe(node, {})
    return now | {"key": recipe_key(now), "outputs": {}}, why_run(node, now, old, root)


@pytest.fixture
def lab(tmp_path):
    """A study of one stage that names the user's code, which imports a module beside it."""
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", STAGE)
    (tmp_path / "own").mkdir()
    (tmp_path / "own/mine.py").write_text(SOURCE)
    (tmp_path / "own/helper.py").write_text("x = 1\n")
    return tmp_path


@pytest.mark.kind(OWN, "made anew")
@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("mine", "return used()", "return -used()"), ("mine", "SIZE = 3", "SIZE = 4"),
     ("mine", "return SIZE", "return 0 -"),
     ("mine", "import helper", "print()"), ("helper", "x = 1", "x = 2"),
     ("mine", "def other", "f.own_step = True\ndef other")],
)  # fmt: skip
def test_a_stage_is_made_anew_when_the_code_that_it_names_or_what_this_uses_changes(lab, file, old, new):
    done, _ = judged(lab)
    path = lab / f"own/{file}.py"
    path.write_text(path.read_text().replace(old, new))
    assert judged(lab, done)[1] == "input changed: attack (../own/mine.py:f)"


@pytest.mark.kind(OWN, "kept")
@pytest.mark.parametrize(
    ("old", "new"), [("def f()", "# a comment\ndef f()"), ("return 1", "return 2")]
)  # fmt: skip
def test_a_stage_stands_when_only_comments_or_other_code_of_the_file_change(lab, old, new):
    done, _ = judged(lab)
    path = lab / "own/mine.py"
    path.write_text(path.read_text().replace(old, new))
    assert judged(lab, done)[1] is None


@pytest.mark.kind(OWN, "made anew")
@pytest.mark.parametrize(
    ("name", "source"),
    [("{root}/own/mine.py:f", "import antidisrupt_lib as ad\ndef f(): return ad.deepfakes.sensitivity()\n"),
     ("{root}/own/mine.py:f", "from antidisrupt_lib.deepfakes.sensitivity import sensitivity as f\n"),
     ("antidisrupt_lib.deepfakes.sensitivity:sensitivity", "")],
)  # fmt: skip
def test_a_stage_hangs_on_what_the_code_that_it_names_needs_of_the_library(lab, name, source):
    (lab / "own/mine.py").write_text(source)
    study = make_study(lab, {"01_split": {}, "04_disrupt": {"attack": name.format(root=lab)}})
    counted = recipe(study.nodes["04_disrupt"], {})["library"]
    assert "antidisrupt_lib/deepfakes/sensitivity.py" in counted and "antidisrupt_lib/detection/train.py" not in counted


@pytest.mark.kind(OWN, "made anew")
def test_the_sources_of_a_package_of_ones_own_are_found_without_running_it(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mylab_seen/deep").mkdir(parents=True)
    (tmp_path / "mylab_seen/__init__.py").write_text("raise SystemExit('it was run')\n")
    (tmp_path / "mylab_seen/deep/attacks.py").write_text(
        "import torch\nfrom . import tools\nfrom .. import top\ndef f(): tools, top\n"
    )
    (tmp_path / "mylab_seen/deep/tools.py").write_text("x = 1\n")
    (tmp_path / "mylab_seen/top.py").write_text("y = 1\n")
    found = own_sources(["mylab_seen.deep.attacks:f"], tmp_path)["mylab_seen.deep.attacks:f"]
    assert {name.removeprefix("mylab_seen") for name in found} == {"", ".deep.attacks", ".deep.tools", ".top"}


@pytest.mark.kind(OWN, "read")
def test_names_in_params_and_on_the_command_line_are_relative_as_paths_are(lab, monkeypatch):
    monkeypatch.chdir(lab / "own")
    (lab / "own/s.yaml").write_text("study: s\nstages: {01_split: {}, 04_disrupt: {grid: {attack: [pgd, mine.py:f]}}}")
    command = [
        sys.executable,
        ROOT / "run_all.py",
        "s.yaml",
        "--list",
        "--notebooks",
        lab / "notebooks",
        "--outputs",
        lab / "o",
    ]
    command += ["--set", "04_disrupt.metrics=[mine.py:other]"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "04_disrupt[attack=f] " in done.stdout and done.returncode == 0, done.stderr
    study = make_study(lab, {"01_split": {}, "04_disrupt": {"grid": {"attack": [f"{lab}/own/mine.py:f"]}}})
    assert study.nodes["04_disrupt[attack=f]"].parameters["attack"] == "../own/mine.py:f"
    assert study.result("04_disrupt[attack=f]").name == "04_disrupt[attack=f]"


NAMES = {
    "02_train_deepfake.network": "Residual", "04_disrupt.attack": "langevin", "04_disrupt.objective": "worst_corner",
    "04_disrupt.metrics": "[edge_error]", "05_purify.purifier": "Rescale", "07_train_detectors.detector": "HighPass",
}  # fmt: skip


@pytest.mark.kind(OWN, "refused")
def test_a_study_says_which_names_cannot_be_imported_before_it_runs(tmp_path, monkeypatch):
    stages = {name.partition(".")[0]: {} for name in NAMES} | {
        "01_split": {},
        "03_train_defense": {},
        "06_generate_fakes": {},
    }
    (tmp_path / "tiny.yaml").write_text(json.dumps({"study": "tiny", "stages": stages}))
    monkeypatch.chdir(tmp_path)
    changes = [f"{name}=gone.py:{value}".replace("gone.py:[", "[gone.py:") for name, value in NAMES.items()]
    study = load_study("tiny.yaml", outputs=tmp_path, notebooks=ROOT / "notebooks", assignments=changes)
    refused = "\n".join(refusals(study, study.nodes, rehearse=lambda cells, notebooks: run_cells(cells)).values())
    for kind, name in (
        ("forger", "Residual"),
        ("attack", "langevin"),
        ("purifier", "Rescale"),
        ("detector", "HighPass"),
    ):
        assert f"The {kind} {tmp_path}/gone.py:{name} can't be imported: there is no file {tmp_path}/gone.py" in refused
