"""Patching a forger instead of purifying its photos: a short fine-tuning towards the edits that it makes of clean ones.

    min over G'   |G'(x + eta, c) - G(x, c)|^2 + |G'(x, c) - G(x, c)|^2,   eta made against G' as it is in each step

After LoRA-Patching (2025), whose updates are of low rank; here all weights move. Neither critic nor truth is needed: G
itself is the teacher.
"""

from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from antidisrupt_lib.deepfakes.adversarial import Disrupt
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, forger, live_forger
from antidisrupt_lib.deepfakes.translations import one_translation
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator, image_generators
from antidisrupt_lib.training import draw_batch, run_training, update


@dataclass(frozen=True)
class PatchConfig:
    """Hyperparameters of the patch; those of its attack are in `disrupt`."""

    steps: int = 300
    batch_size: int = 16
    lr: float = 1e-4
    seed: int = 0


def patch_forger(
    network: nn.Module, photos: FaceSet, config: PatchConfig, *, disrupt: Disrupt, checkpoint: Path | str,
    device: torch.device | str = "cpu", save_every: int = 100,
) -> tuple[nn.Module, pd.DataFrame]:  # fmt: skip
    """A copy of a forger's generator that withstands `disrupt` better, and the history of its two losses.

    Args:
        network: the generator G; it is left as it is.
        photos: clean ones with attributes.
        disrupt: disrupt(forge, x, c, generators) -> x_adv in [0, 1], as disruption.adversarial makes it.
    """
    patched = deepcopy(network).to(device).requires_grad_(True).train()
    teacher, student = forger(deepcopy(network).to(device)), live_forger(patched)
    optimizer, labels = torch.optim.Adam(patched.parameters(), config.lr), photos.labels(ATTRIBUTES)
    ids = photos.image_ids

    def step(i: int) -> dict[str, Tensor]:
        index = draw_batch(len(photos), config.batch_size, config.seed, "patch", i)
        target, _ = one_translation(labels[index], generator("translation", config.seed, i))
        x, c = photos.x(index, device), target.to(device)
        x_adv = disrupt(student, x, c, image_generators(config.seed, f"patch/{i}", [ids[at] for at in index]))
        with torch.no_grad():
            y = teacher(x, c)
        losses = {"disrupted": mse_loss(student(x_adv, c), y), "clean": mse_loss(student(x, c), y)}
        update(patched, losses["disrupted"] + losses["clean"], optimizer)
        return {name: loss.detach() for name, loss in losses.items()}

    history = run_training(
        step, {"patched": patched, "optimizer": optimizer}, steps=config.steps, checkpoint=checkpoint,
        about=asdict(config) | {"size": photos.size}, what="patch", save_every=save_every,
    )  # fmt: skip
    return patched.eval(), history
