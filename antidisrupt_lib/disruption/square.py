"""Square Attack (Andriushchenko et al., ECCV 2020, algorithms 1 and 2, L-infinity): random search without gradients.

It shows what a defence is worth whose gradients mislead: where it beats an attack by gradients, they do.
"""

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import check_attack, project
from antidisrupt_lib.disruption.declared import declare
from antidisrupt_lib.disruption.objectives import Objective, plain_losses, refuse_changing

FIRST = 0.8  # the share of an image that the first squares cover
HALVED = (0.001, 0.005, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)  # of all steps: where that share is halved


@declare(compares_losses=True, own_step=True)
@torch.no_grad()
def square(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """Keep each random square of +-eps that raises the loss of its image; asks for steps + 1 losses.

    It starts from vertical stripes of +-eps. `step` is there for the shared signature only.
    """
    x = check_attack(x, eps, step, steps)
    refuse_changing(objective, "Square")
    d = eps * torch.stack([_signs((3, 1, x.shape[3]), key) for key in generators]).to(x).expand_as(x)
    best = plain_losses(objective, project(x + d, x, eps))
    for k in range(steps):
        side = max(1, isqrt(int(share_covered(k, steps) * x.shape[2] * x.shape[3])))
        tried = torch.stack([_with_square(each, side, eps, key) for each, key in zip(d, generators, strict=True)])
        loss = plain_losses(objective, project(x + tried, x, eps))
        d[loss > best], best = tried[loss > best], torch.maximum(loss, best)
    return project(x + d, x, eps)


def share_covered(k: int, steps: int) -> float:
    """How much of an image the square of step k covers, 0 .. steps - 1."""
    return FIRST / 2 ** sum(k >= at * steps for at in HALVED)


def _with_square(d: Tensor, side: int, eps: float, key: Generator) -> Tensor:
    """The change d, 3 x H x W, with one random square of a random sign per channel."""
    side = min(side, *d.shape[1:])
    top, left = (int(torch.randint(0, length - side + 1, (), generator=key)) for length in d.shape[1:])
    changed = d.clone()
    changed[:, top : top + side, left : left + side] = eps * _signs((3, 1, 1), key).to(d)
    return changed


def _signs(shape: tuple[int, ...], key: Generator) -> Tensor:
    return torch.randint(0, 2, shape, generator=key).float() * 2 - 1
