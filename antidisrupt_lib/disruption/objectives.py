"""What a disruption maximises: `objective(x) -> loss per image`, larger is better for the attacker.

Distances are the paper's L2 (protocol 4.1): the mean squared error in [-1, 1] units, which is 4 times that in [0, 1].
"""

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import Forger

Objective = Callable[[Tensor], Tensor]

GREY, BLACK, WHITE = 0.5, 0.0, 1.0  # in [0, 1]; the original's "black" is a zero tensor in [-1, 1]: mid-grey


def squared_distance(y: Tensor, target: Tensor | float) -> Tensor:
    """Mean squared difference per image in [-1, 1] units, of images in [0, 1]."""
    return 4 * (y - target).square().flatten(1).mean(1)


def away_from_output(forge: Forger, x: Tensor, conditions: Sequence[Tensor]) -> Objective:
    """Push G(x + delta, c) away from the clean G(x, c) (Ruiz et al. 2020, eq. 2).

    Its gradient is zero at delta = 0, so the attack has to start from noise.

    Args:
        conditions: label tensors N x c_dim. Each call of the objective takes the next in turn, so that the
            perturbation works on all of them (iterative class transfer, Ruiz et al. 2020, section 3.3).
    """
    with torch.no_grad():
        clean = [forge(x, c) for c in conditions]
    turns = cycle(zip(conditions, clean, strict=True))

    def objective(x_adv: Tensor) -> Tensor:
        c, y = next(turns)
        return squared_distance(forge(x_adv, c), y)

    return objective


def towards_target(forge: Forger, target: Tensor | float, conditions: Sequence[Tensor]) -> Objective:
    """Pull G(x + delta, c) towards a target image in [0, 1], or a constant such as GREY (as published)."""
    turns = cycle(conditions)

    def objective(x_adv: Tensor) -> Tensor:
        return -squared_distance(forge(x_adv, next(turns)), target)

    return objective
