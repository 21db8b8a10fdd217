"""Publish weights of a finished zoo study, all or some: python -m antidisrupt_lib.zoo outputs/zoo [NAME ...]"""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch

from antidisrupt_lib.deepfakes.classifier import load_classifier
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.disruption.disruptor import read_disruptor
from antidisrupt_lib.purification.autoencoders import load_autoencoders
from antidisrupt_lib.purification.purify import load_denoiser
from antidisrupt_lib.weights import ZOO, read_weights, save_weights

WEIGHTS = {  # name in the zoo: (file in the study, its loader, the table beside it that measures it)
    "attention": ("02_attention/generator", load_generator, "edit_accuracy"),
    "stargan_truth": ("02_stargan_truth/generator", load_generator, "edit_accuracy"),
    "stgan": ("02_stgan/generator", load_generator, "edit_accuracy"),
    "stargan": ("02_stargan/generator", load_generator, "edit_accuracy"),
    "stargan_v2": ("02_stargan_v2/generator", load_generator, "edit_accuracy"),
    "judge": ("02_attention/classifier", load_classifier, "classifier"),
    "denoiser": ("03_train_defense/denoiser", lambda path: load_denoiser(path)[0], "denoiser"),
    "autoencoders": ("03_train_defense/autoencoders", load_autoencoders, "autoencoders"),
    "dadfi": ("20_dadfi/disruptor", lambda path: read_disruptor(path)[0], "trained"),
}
SPLITS = {"dadfi": "01_few"}  # of those that were trained on people of their own


def card(folder: Path, about: dict, measured: str, split: str = "") -> dict:
    """What a reader must know of some weights: their data, training, commit, and what was measured on C."""
    manifest = json.loads((folder / "manifest.json").read_text())
    split = split or ("01_edits" if manifest["parameters"].get("true_edits") else "01_split")
    faces = json.loads((folder.parent / split / "manifest.json").read_text())["parameters"]
    people = f"{faces['count']:,} drawn faces (antidisrupt_lib.faces.drawn, seed 101), part A by identity"
    return about | {
        "size": faces["size"],
        "data_card": people + (", and its true edits" if faces.get("true_edits") else ""),
        "training": {name: value for name, value in manifest["parameters"].items() if name != "out"},
        "commit": manifest["git"],
        "wall_seconds": round(manifest["wall_seconds"]),
        "measured_on_C": pd.read_csv(folder / "tables" / f"{measured}.csv").to_dict("records"),
    }


def publish(study: Path, names: Iterable[str]) -> None:
    """Copy the study's weights into the zoo as float16, with their cards."""
    for name in names:
        file, load, measured = WEIGHTS[name]
        path = study / f"{file}.safetensors"
        about = card(path.parent, read_weights(path)[1], measured, SPLITS.get(name, "")) | {"name": name}
        save_weights(ZOO / f"{name}.safetensors", load(path), about, dtype=torch.float16)


def write_readme() -> None:
    """The zoo's README: every card in it."""
    lines = ["# Zoo", "", "Small weights for 64 px drawn faces, made by `params/zoo.yaml`. MIT, as the code.", ""]
    for path in sorted(ZOO.glob("*.safetensors")):
        about = read_weights(path)[1]
        lines += [f"## {path.name}", "", "```json", json.dumps(about, indent=1), "```", ""]
    (ZOO / "README.md").write_text("\n".join(lines))


if __name__ == "__main__":
    if len(sys.argv) < 2 or set(sys.argv[2:]) - WEIGHTS.keys():
        sys.exit(f"Usage: python -m antidisrupt_lib.zoo outputs/zoo [NAME ...], with names of {', '.join(WEIGHTS)}")
    publish(Path(sys.argv[1]), sys.argv[2:] or WEIGHTS)
    write_readme()
