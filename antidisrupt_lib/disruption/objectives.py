"""What a disruption maximises: `objective(x) -> loss per image`, larger is better for the attacker.

Distances are the paper's L2 (protocol 4.1): the mean squared error in [-1, 1] units, which is 4 times that in [0, 1].
An objective looks at one condition (target labels, N x c_dim) through one transform, which is whatever happens to a
photo between its publication and the forger: a blur, JPEG, a purifier. `in_turn` and `jointly` combine objectives:

    over conditions     iterative and joint class transfer (Ruiz et al. 2020, section 3.3)
    over transforms     spread spectrum (ibid., section 3.5) and expectation over transformation (Athalye et al. 2018b)
"""

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import Forger

Objective = Callable[[Tensor], Tensor]
Transform = Callable[[Tensor], Tensor]

GREY, BLACK, WHITE = 0.5, 0.0, 1.0  # in [0, 1]; the original's "black" is a zero tensor in [-1, 1]: mid-grey


def identity(x: Tensor) -> Tensor:
    """The transform that does nothing."""
    return x


def squared_distance(y: Tensor, target: Tensor | float) -> Tensor:
    """Mean squared difference per image in [-1, 1] units, of images in [0, 1]; of activations, 4 times their own.

    Raises:
        ValueError: the two differ in shape.
    """
    if isinstance(target, Tensor) and y.shape != target.shape:
        raise ValueError(
            f"The forger's output is {tuple(y.shape)}, the target {tuple(target.shape)}. Targets are images; a layer's "
            'activations can only be pushed away from the clean ones (objective "away").'
        )
    return 4 * (y - target).square().flatten(1).mean(1)


def away_from_target(forge: Forger, target: Tensor | float, c: Tensor, transform: Transform = identity) -> Objective:
    """Push G(transform(x + delta), c) away from a target."""
    return lambda x_adv: squared_distance(forge(transform(x_adv), c), target)


def away_from_output(forge: Forger, x: Tensor, c: Tensor, transform: Transform = identity) -> Objective:
    """Push G(transform(x + delta), c) away from the clean, untransformed G(x, c) (Ruiz et al. 2020, eq. 2).

    Without transform its gradient is zero at delta = 0, so the attack has to start from noise. `forge` may give
    activations of any shape instead of images (`layer_outputs`): the feature-level attack.
    """
    with torch.no_grad():
        clean = forge(x, c)
    return away_from_target(forge, clean, c, transform)


def towards_target(forge: Forger, target: Tensor | float, c: Tensor, transform: Transform = identity) -> Objective:
    """Pull G(transform(x + delta), c) towards a target image in [0, 1], or a constant such as GREY (as published)."""
    return lambda x_adv: -squared_distance(forge(transform(x_adv), c), target)


def in_turn(objectives: Sequence[Objective]) -> Objective:
    """Each call takes the next objective, and the first again after the last."""
    turns = cycle(objectives)
    return lambda x_adv: next(turns)(x_adv)


def jointly(objectives: Sequence[Objective]) -> Objective:
    """Each call takes the mean of all objectives, at the cost of them all."""
    return lambda x_adv: torch.stack([objective(x_adv) for objective in objectives]).mean(0)
