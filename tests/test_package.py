"""Promises of the package as a whole: what the README says is what is installed, run and shipped."""

import tomllib
from pathlib import Path

import pytest
import torch
import yaml

from antidisrupt_lib.deepfakes.classifier import load_classifier
from antidisrupt_lib.deepfakes.editing import attribute_accuracy, edits_that_took
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, forger
from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.disruption.effects import treat
from antidisrupt_lib.faces.drawn import write_drawn_celeba
from antidisrupt_lib.faces.readers import open_faces, write_faces
from antidisrupt_lib.metrics.distances import disrupted
from antidisrupt_lib.purification.purify import load_denoiser
from antidisrupt_lib.purification.train import mean_epsilon_loss
from antidisrupt_lib.study.graph import load_study
from antidisrupt_lib.weights import ZOO, read_weights

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_readme_gives_the_two_commands_and_conda_does_the_same():
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert f"git clone {repository} && cd {repository.rpartition('/')[2]}\n" in README
    assert "pip install -e . -c constraints.txt && python run_all.py\n" in README
    assert 'pip install -e ".[dev]" -c constraints.txt && pytest\n' in README
    dependencies = yaml.safe_load((ROOT / "environment.yaml").read_text())["dependencies"]
    assert dependencies[1:] == ["pip", {"pip": ["-c constraints.txt", "-e .[dev]"]}]


def test_the_readme_is_short_and_begins_with_what_picture_commands_and_ten_lines():
    assert len(README.splitlines()) <= 160
    order = ["# Anti-Disrupt", "![", "git clone ", "pip install -e .", "import antidisrupt_lib as ad", "| forger |"]
    places = [README.index(text) for text in order]
    assert places == sorted(places)


def test_every_path_in_the_tree_of_the_layout_exists():
    tree = (ROOT / "docs/layout.md").read_text(encoding="utf-8").split("```")[1]
    paths = [line.split()[0] for line in tree.splitlines() if line and not line.startswith(" ")]
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "params").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_study_is_valid(path, tmp_path):
    assert load_study(path, outputs=tmp_path, notebooks=ROOT / "notebooks").nodes


def test_the_paper_study_has_the_published_hyperparameters(tmp_path):
    nodes = load_study(ROOT / "params/paper.yaml", outputs=tmp_path, notebooks=ROOT / "notebooks").nodes
    forger = {
        "network": "stargan",
        "architecture": {"conv_dim": 64, "blocks": 6},
        "d_layers": 6,
        "steps": 200_000,
        "decay_steps": 100_000,
        "batch_size": 16,
    }
    forger |= {"n_critic": 5, "lr": 1e-4, "lambda_rec": 10, "lambda_id": 0, "id_steps": 0, "ema": 0}
    denoiser = {"network": "published", "architecture": {"n_feat": 128}, "batch_size": 32, "lr": 2e-5, "max_t": 1000}
    autoencoders = {"autoencoder_noise": 0.025, "autoencoder_batch_size": 256, "autoencoder_lr": 1e-3}
    disruption = {"eps": 0.025, "step": 0.005, "steps": 10}
    published = {"02_train_deepfake": forger, "03_train_defense": denoiser | autoencoders | {"ema": 0}}
    for node, values in (published | {"04_disrupt[attack=pgd]": disruption}).items():
        assert {name: nodes[node].parameters[name] for name in values} == values


FORGERS = {"stargan": 0.9, "stargan_truth": 0.95, "attention": 0.95, "stgan": 0.95}  # the least share that takes


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    write_drawn_celeba(folder, 60, seed=7)
    return write_faces(folder / "faces", open_faces(folder), name="drawn", size=64)


def test_zoo_is_small_and_every_weight_has_its_card():
    files = list(ZOO.glob("*.safetensors"))
    assert {path.stem for path in files} >= {"judge", "denoiser", "autoencoders", "dadfi", *FORGERS}
    assert sum(path.stat().st_size for path in files) < 24 * 2**20
    for path in files:
        _, about = read_weights(path)
        assert about["commit"]["commit"] and about["training"]["seed"] == 101 and about["measured_on_C"]
        assert about["size"] == 64, path


@pytest.mark.parametrize("name, least", FORGERS.items())
def test_zoo_forgers_edit_people_they_have_never_seen(faces, name, least):
    judge = load_classifier("zoo/judge.safetensors")
    assert attribute_accuracy(judge, faces)["accuracy"].mean() > 0.97
    took = edits_that_took(forger(load_generator(f"zoo/{name}.safetensors")), judge, faces)
    assert took.float().mean() > least


def test_zoo_disruptor_breaks_the_published_forger_in_one_pass(faces):
    x, c = faces.first(16).x(), faces.first(16).labels(ATTRIBUTES)
    forge = forger(load_generator("zoo/stargan.safetensors"))
    y0 = forge_all(forge, x, c)

    def broken(attack: str) -> float:
        x_adv = treat(faces.first(16), attack, forge, eps=0.05, steps=1, seed=0)
        y = forge_all(forge, x_adv, c)
        return disrupted(y.flatten(0, 1), y0.flatten(0, 1)).float().mean().item()

    assert broken("dadfi") > 0.9 and broken("uniform_noise") < 0.1


def test_zoo_denoiser_knows_noise_better_than_nothing(faces):
    denoiser, max_t = load_denoiser("zoo/denoiser.safetensors")
    assert max_t == 300
    assert mean_epsilon_loss(denoiser, faces.first(16), 10, seed=0) < 0.5
    assert torch.isfinite(torch.tensor(mean_epsilon_loss(denoiser, faces.first(4), 300, seed=0)))


def test_the_citation_names_this_version_and_the_papers_doi():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"] and citation["license"] == project["license"]
    assert citation["references"][0]["doi"] in README
