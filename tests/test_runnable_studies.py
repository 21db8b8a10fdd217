"""Every study that ships can run at its size, and one that can't is refused before its first node, by its own words."""

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_study_checks import tag_last_cell
from test_study_graph import SPLIT, write_notebook

from antidisrupt_lib.deepfakes.classifier import AttributeClassifier
from antidisrupt_lib.deepfakes.forgers import make_generator
from antidisrupt_lib.detection.detectors import Detector, check_detector
from antidisrupt_lib.purification.autoencoders import make_autoencoders
from antidisrupt_lib.purification.unets import make_network
from antidisrupt_lib.rehearsal import at_least, promise, promised, require_multiple, try_network
from antidisrupt_lib.study.checks import refusals, run_cells
from antidisrupt_lib.study.graph import Study, load_study
from antidisrupt_lib.study.study_file import read_study
from antidisrupt_lib.weights import save_weights

ROOT = Path(__file__).parents[1]
PARAMS = sorted((ROOT / "params").glob("*.yaml"))
pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
kind = pytest.mark.kind("studies that can't run", "refused before the first node")


def read(name: str, folder: Path, assignments=(), overrides=None) -> Study:
    path = ROOT / "params" / f"{name}.yaml"
    return load_study(path, outputs=folder, notebooks=ROOT / "notebooks", assignments=assignments, overrides=overrides)


def rehearse(study: Study) -> dict[str, str]:
    """All refusals, without a process: so that torch and timm are imported once for all tests."""
    with contextlib.chdir(study.notebooks):
        return refusals(study, study.nodes, rehearse=lambda cells, notebooks: run_cells(cells))


def stand_in(path: str, folder: Path) -> Path:
    """What `../outputs/STUDY/STAGE/FILE` would be, had that study run: untrained weights of its size."""
    study, stage, *_, file = Path(path).parts[2:]
    nodes = read(study, folder).nodes
    p, size = nodes[stage].parameters, nodes["01_split"].parameters["size"]
    made = {
        "generator": lambda: (make_generator(p["network"], p["architecture"]), f"{p['network']} generator"),
        "classifier": lambda: (AttributeClassifier(p["classifier_width"]), "attribute classifier"),
        "denoiser": lambda: (make_network(p["network"], p["architecture"]), p["network"]),
        "autoencoders": lambda: (make_autoencoders(0), "autoencoders"),
    }
    place = folder / study / stage / file
    if not place.exists():
        network, name = made.get(Path(file).stem, made["generator"])()
        card = {"network": name, "architecture": getattr(network, "architecture", {}), "size": size}
        save_weights(place, network, card | {"max_t": p.get("max_t")})
    return place


def with_stand_ins(name: str, folder: Path) -> list[str]:
    """Assignments that put stand-ins in the place of other studies' weights."""
    assignments = []
    for stage, values in read_study(ROOT / "params" / f"{name}.yaml").stages.items():
        for key, value in values.items():
            replaced = _with_stand_ins(value, folder)
            if replaced != value:
                assignments.append(f"{stage}.{key}={json.dumps(replaced) if isinstance(replaced, dict) else replaced}")
    return assignments


def _with_stand_ins(value: object, folder: Path) -> object:
    if isinstance(value, dict):
        return {key: _with_stand_ins(inner, folder) for key, inner in value.items()}
    stands_for = isinstance(value, str) and value.startswith("../outputs/")
    return str(stand_in(str(value), folder)) if stands_for else value


@pytest.mark.kind("studies that can't run", "proved runnable")
@pytest.mark.parametrize("path", PARAMS, ids=lambda path: path.stem)
def test_every_network_of_a_shipped_study_is_built_at_its_size_and_passed_an_image(path, tmp_path):
    assert rehearse(read(path.stem, tmp_path, with_stand_ins(path.stem, tmp_path))) == {}


@pytest.mark.kind("studies that can't run", "proved runnable")
@pytest.mark.parametrize("name", ["paper", "study_paper", "detectors_paper", "quick", "study_quick", "detectors_quick"])
def test_every_study_can_be_walked_in_a_few_steps_at_its_own_sizes(name, tmp_path):
    walked = read(name, tmp_path, with_stand_ins(name, tmp_path), ROOT / "params/overrides/walk.yaml")
    assert rehearse(walked) == {}
    there = read(name, tmp_path)
    for stage in {node.stage for node in walked.nodes.values()}:
        ours, theirs = ([n for n in s.nodes.values() if n.stage == stage] for s in (walked, there))
        for key in ("size", "network", "architecture", "detector", "classifier_width"):
            values = [{json.dumps(node.parameters.get(key)) for node in nodes} for nodes in (ours, theirs)]
            assert values[0] == values[1], (stage, key)
        trained = ours[0].notebook.path.stem[:2] in ("02", "03", "07", "14")
        assert not trained or all(node.parameters["steps"] == 2 for node in ours)


GIVEN = "02_train_deepfake.grid={generator_weights"
REFUSED = [  # study, what is set, the stage that is refused, its words
    ("detectors_paper", "01_split.size=300", "03_train_defense", "a multiple of 32 px, not 300: .* to 288 or 320"),
    ("detectors_paper", "01_split.size=300", "02_train_deepfake", "a multiple of 64 px, not 300: .* to 256 or 320"),
    ("detectors_paper", "01_split.size=299", "02_train_deepfake", "a multiple of 4 px, not 299: .* to 296 or 300"),
    ("paper", "01_split.size=100", "03_train_defense", "a multiple of 32 px, not 100"),
    ("paper", "01_split.size=16", "03_train_defense", "a multiple of 32 px, not 16: .* to 32"),
    ("zoo", "01_split.size=60", "03_train_defense", "a multiple of 8 px, not 60: .* to 56 or 64"),
    ("quick", "01_split.size=0", "01_split", "size must be at least 1, not 0"),
    ("quick", "01_split.size=128", "02_train_deepfake", "holds weights for faces of 64 px and these have 128"),
    ("quick", "01_split.size=128", "03_train_defense", "holds weights for faces of 64 px and these have 128"),
    ("quick", f"{GIVEN}: [nowhere/200000-G.ckpt]}}", "02_train_deepfake", "nothing at .*nowhere"),
    ("quick", "02_train_deepfake.classifier_weights=zoo/attention.safetensors", "02_train_deepfake", "another kind"),
    ("quick", f"{GIVEN}: [zoo/denoiser.safetensors]}}", "02_train_deepfake", "another kind"),
    ("quick", "03_train_defense.denoiser_weights=zoo/autoencoders.safetensors", "03_train_defense", "another kind"),
    ("quick", "03_train_defense.autoencoder_weights=zoo", "03_train_defense", "nothing at|is a folder"),
    (
        "study_quick",
        "02_adversarial_g.architecture={conv_dim: 16}",
        "02_adversarial_g",
        "set network and architecture alike",
    ),
    (
        "study_quick",
        "02_adversarial_g.network=attention; 02_adversarial_g.architecture={}",
        "02_adversarial_g",
        "alike",
    ),
    ("study_quick", "02_adversarial_g.adv_objective=pink", "02_adversarial_g", "There is no objective 'pink'"),
    ("zoo", "02_stargan.architecture={conv_dim: -8}", "02_stargan", "can't be built"),
    ("zoo", "02_stargan.architecture={conv_dim: 1000000000000}", "02_stargan", "can't be built"),
    ("zoo", "02_stargan.architecture={conv_dim: wide}", "02_stargan", "can't be built"),
    ("zoo", "02_stargan.architecture={c_dim: 8}", "02_stargan", "can't be built or take an image"),
    ("zoo", "02_stargan.architecture={colour: 8}", "02_stargan", "unexpected keyword argument 'colour'"),
    ("zoo", "02_stargan.network=stargan_v3", "02_stargan", "There is no forger 'stargan_v3'"),
    ("zoo", "02_attention.architecture={layers: 7}", "02_attention", "a multiple of 128 px, not 64"),
    ("zoo", "01_edits.size=72", "02_stgan", "a multiple of 16 px, not 72"),
    ("zoo", "02_stgan.architecture={layers: 6}", "02_stgan", "can't be built or take an image of 64 px"),
    ("zoo", "02_attention.split=01_split", "02_attention", "need the true edits of drawn faces"),
    ("zoo", "02_stgan.network=stargan_v2; 02_stgan.architecture={size: 128}", "02_stgan", "style encoder can't"),
    ("zoo", "02_stgan.network=stargan_v2; 02_stgan.architecture={attributes: [5]}", "02_stgan", "label at place 5"),
    ("paper", "02_train_deepfake.lambda_truth=1.0", "02_train_deepfake", "need the true edits of drawn faces"),
    ("smoke", "19_forgers.forgers={ours: zoo/denoiser.safetensors}", "19_forgers", "another kind"),
    ("smoke", "19_forgers.classifier_weights=zoo/absent.safetensors", "19_forgers", "nothing at"),
    ("zoo", "02_stargan.d_layers=7", "02_stargan", "a multiple of 128 px, not 64"),
    ("zoo", "02_attention.classifier_width=0", "02_attention", "can't be built"),
    ("zoo", "02_stargan.steps=0", "02_stargan", "steps must be at least 1, not 0"),
    ("zoo", "03_train_defense.network=unet", "03_train_defense", "There is no epsilon network 'unet'"),
    ("zoo", "03_train_defense.architecture={n_feat: 128}", "03_train_defense", "can't be built"),
    ("zoo", "03_train_defense.architecture={channels: [16, 30]}", "03_train_defense", "can't be built"),
    ("paper", "03_train_defense.architecture={n_feat: 100}", "03_train_defense", "can't be built"),
    ("zoo", "03_train_defense.max_t=1001", "03_train_defense", "max_t is a step from 1 to 1000"),
    ("zoo", "03_train_defense.batch_size=0", "03_train_defense", "batch_size must be at least 1"),
    ("quick", "04_others.layer=main.99", "04_others", "The generator has no layer 'main.99'"),
    ("quick", "04_others.seen_through=[one_step]", "04_others", "one_step needs trained weights"),
    ("quick", "04_others.inception_weights=nowhere.pth", "04_others", "no Inception weights at .*nowhere.pth"),
    ("quick", f"04_others.inception_weights={ROOT}/README.md", "04_others", "README.md is (damaged|no checkpoint)"),
    ("quick", "05_diffpure.purifier=diffpure_301", "05_diffpure", "starts at step 301, but its denoiser knows .* 300"),
    ("quick", "05_diffpure.purifier=jpeg+ddim_500x3", "05_diffpure", "starts at step 500"),
    ("quick", "05_diffpure.purifier=average_blur_4", "05_diffpure", "4"),
    ("smoke", "03_train_defense.max_t=50; 10_adaptive.purifier=one_step_60", "10_adaptive", "starts at step 60"),
    ("quick", "07_clean.detector=resnet19", "07_clean", "no network called 'resnet19'"),
    ("quick", "07_clean.detector=vit_tiny_patch16_224", "07_clean", "can't be built or take an image of 64 px"),
    ("quick", "07_clean.detector=maxvit_tiny_rw_224", "07_clean", "can't be built or take an image of 64 px"),
    ("quick", "07_clean.batch_size=1", "07_clean", "batch_size must be at least 2"),
    ("detectors_paper", "14_korean.defence=half_huber+strange", "14_korean", "strange"),
    ("detectors_paper", "14_korean.detector=densenet264d", "14_korean", "has no pretrained weights"),
    ("detectors_paper", "14_korean.optimizer=adamw", "14_korean", "There is no optimizer 'adamw'"),
    ("detectors_quick", "15_cw.cw_steps=0", "15_cw", "cw_steps must be at least 1"),
    ("detectors_quick", "15_cw.attacks=[pgd_2_255_through_diffpure_600]", "15_cw", "starts at step 600"),
    ("videos_quick", "15_attack_detectors.purifiers=[one_step]", "15_attack_detectors", "`defense` be a stage of note"),
    ("videos_quick", "15_attack_detectors.attacks=[pgd_2_255_through_autoencoder_1]", "15_attack_detectors", "defense"),
    ("videos_quick", "16_videos.detector=eyes", "16_videos", "There is no face detector 'eyes'"),
    ("videos_quick", "17_split_leak.detector=swin_tiny_patch4_window7_224", "17_split_leak", "64 px"),
]


@kind
@pytest.mark.parametrize("name, change, stage, words", REFUSED, ids=[f"{c[0]}-{c[1]}-{c[2][:2]}" for c in REFUSED])
def test_a_study_that_cannot_run_says_where_and_why(name, change, stage, words, tmp_path):
    refused = rehearse(read(name, tmp_path, change.split("; ")))
    found = {why for node, why in refused.items() if node.partition("[")[0] == stage}
    assert found and all(re.search(words, why) for why in found), refused


@kind
def test_a_smooth_detector_needs_a_relu(tmp_path):
    changes = ["14_surrogate.grid={defence: [half_huber]}", "14_surrogate.detector=convnext_atto"]
    refused = rehearse(read("detectors_quick", tmp_path, changes))
    assert list(refused) == ["14_surrogate[defence=half_huber]"] and "no ReLU to smooth" in refused.popitem()[1]


# The command


def command(*words):
    done = subprocess.run([sys.executable, ROOT / "run_all.py", *words], capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done


@kind
def test_list_shows_what_is_refused_and_fails(tmp_path):
    words = ["--outputs", tmp_path, "--set", "01_split.size=300", "--set", "01_split.faces=drawn", "--list"]
    listed = command(ROOT / "params/detectors_paper.yaml", *words)
    refused = [line for line in listed.stdout.splitlines() if line.startswith("refuse")]
    assert listed.returncode == 2 and [line.split()[1] for line in refused] == ["02_train_deepfake", "03_train_defense"]
    assert all("not 300" in line for line in refused) and listed.stdout.count("\nwait") > 40
    assert not any(tmp_path.iterdir())


@kind
def test_a_check_that_dies_is_reported(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, "import os\nos._exit(3)")
    tag_last_cell(tmp_path / "notebooks/01_split.ipynb")
    (tmp_path / "s.yaml").write_text("study: s\nstages: {01_split: {}}")
    died = command(tmp_path / "s.yaml", "--outputs", tmp_path / "o", "--notebooks", tmp_path / "notebooks", "--list")
    assert died.returncode == 2 and "The checks ended with exit status 3" in died.stderr


# The network outside


@pytest.mark.kind("studies that can't run", "refused, with what to do offline")
@pytest.mark.parametrize("name", ["resnet18", "vgg16", "xception"])
def test_pretrained_weights_that_cannot_be_had_are_named_in_one_sentence(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ConnectionError) as refusal:
        Detector(name, pretrained=True)
    text = str(refusal.value)
    assert f"weights of {check_detector(name)} can't be had" in text and "set pretrained to false." in text
    assert "\n" not in text and text.count(". ") == 0


@pytest.mark.kind("studies that can't run", "left to the user")
@pytest.mark.parametrize("value", ["0", None])
def test_the_users_own_word_on_downloads_reaches_the_kernels(tmp_path, value, monkeypatch):
    monkeypatch.delenv("HF_HUB_OFFLINE")
    if value:
        monkeypatch.setenv("HF_HUB_OFFLINE", value)
    cell = "import os\nassert os.environ.get('HF_HUB_OFFLINE') == " + repr(value)
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, cell)
    (tmp_path / "s.yaml").write_text("study: s\nstages: {01_split: {}}")
    places = ["--outputs", tmp_path / "o", "--notebooks", tmp_path / "notebooks"]
    assert command(tmp_path / "s.yaml", *places).returncode == 0


# What checks are made of


def test_a_promise_is_found_by_the_folder_and_by_those_inside_it(tmp_path):
    promise(tmp_path / "16_videos", size=64, max_t=None)
    for inside in ("", "photos", "photos/B"):
        assert promised(tmp_path / "16_videos" / inside) == {"size": 64, "max_t": None}
    assert promised(tmp_path / "elsewhere") == {}


def test_numbers_and_multiples_are_refused_with_what_would_do():
    at_least(1, steps=1, size=2)
    with pytest.raises(ValueError, match="size must be at least 1, not 0"):
        at_least(1, steps=1, size=0)
    require_multiple(320, 32, "It")
    with pytest.raises(ValueError, match="It needs images whose side is a multiple of 32 px, not 0: .* to 32"):
        require_multiple(0, 32, "It")


def test_a_network_is_tried_without_memory_and_must_give_what_it_promises():
    vast = try_network(lambda: torch.nn.Linear(10**6, 10**6), (1, 10**6), what="It", gives=(1, 10**6))
    assert vast.weight.is_meta
    with pytest.raises(ValueError, match="It makes .1, 3. of an input of .1, 2., and not .1, 4."):
        try_network(lambda: torch.nn.Linear(2, 3), (1, 2), what="It", gives=(1, 4))
    with pytest.raises(ValueError, match="It can't be built or take an image of 5 px: .*"):
        try_network(lambda: torch.nn.Linear(2, 3), (1, 5), what="It")


# Overrides


def test_overrides_change_all_stages_of_a_notebook_and_only_the_axes_they_have(tmp_path):
    (tmp_path / "study.yaml").write_text(
        "study: s\nstages: {a: {notebook: n, steps: 9, grid: {seed: [0, 1], x: [1]}}, n: {steps: 7}, m: {steps: 5}}"
    )
    (tmp_path / "over.yaml").write_text("n: {steps: 2, x: 3, grid: {seed: [4], y: [5]}}\nabsent: {steps: 1}")
    stages = read_study(tmp_path / "study.yaml", ["m.steps=6"], tmp_path / "over.yaml").stages
    assert stages["a"] == {"notebook": "n", "steps": 2, "grid": {"seed": [4], "x": [1]}}
    assert stages["n"] == {"steps": 2, "x": 3} and stages["m"] == {"steps": 6}


@kind
@pytest.mark.parametrize(
    "content, words",
    [
        ("5", "expected names with values"),
        ("n: 5", "over.yaml, notebook n"),
        ("{", "no valid YAML"),
        ("n: {grid: 5}", "grid"),
        (None, "no file of overrides"),
    ],
)
def test_overrides_that_are_no_tables_are_refused(tmp_path, content, words):
    (tmp_path / "study.yaml").write_text("study: s\nstages: {n: {steps: 7}}")
    if content:
        (tmp_path / "over.yaml").write_text(content)
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        read_study(tmp_path / "study.yaml", (), tmp_path / "over.yaml")
