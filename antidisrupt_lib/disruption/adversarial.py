"""The attack inside adversarial training, injected so that the forger's room knows none of this one."""

from collections.abc import Sequence

import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.adversarial import Disrupt
from antidisrupt_lib.deepfakes.stargan import Forger
from antidisrupt_lib.deepfakes.train import ForgerConfig
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.disruption.disrupt import make_objective


def training_attack(config: ForgerConfig) -> Disrupt:
    """PGD with the size and objective of `config`, for `train_forger(..., disrupt=training_attack(config))`."""

    def disrupt(forge: Forger, x: Tensor, c: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        objective = make_objective(config.adv_objective, forge, x, c, conditioning="own")
        return pgd(
            x, objective, eps=config.adv_eps, step=config.adv_step, steps=config.adv_steps, generators=generators
        )

    return disrupt
