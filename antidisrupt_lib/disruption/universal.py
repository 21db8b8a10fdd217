"""One perturbation for every face, in the spirit of CMUA-Watermark (Huang et al., AAAI 2022).

    delta = clip(delta + step sign(sum over a batch of grad objective), -eps, eps)      batch after batch

CMUA's fusion of several forgers and its search for their step sizes are left out: there is one forger here.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import check_attack, project
from antidisrupt_lib.disruption.objectives import Objective
from antidisrupt_lib.seeding import uniform_like


def universal_perturbation(
    batches: Sequence[Tensor],
    objectives: Sequence[Objective],
    *,
    eps: float,
    step: float,
    steps: int,
    generator: Generator,
) -> Tensor:
    """A perturbation, C x H x W in [-eps, eps], that raises the objectives of all photos at once.

    Args:
        batches, objectives: photos in [0, 1], n x C x H x W, and for each batch the objective that knows it.
        eps, step: in [0, 1] units.
        steps: passes over all batches, a step for each batch.
        generator: for the start, uniform in [-eps, eps].

    Raises:
        ValueError: there are no photos, or what `check_attack` refuses.
    """
    if not batches:
        raise ValueError("A universal perturbation needs photos to be made of. Give at least one batch.")
    for x in batches:
        check_attack(x, eps, step, steps)
    delta = uniform_like(batches[0][:1], [generator], eps)
    for _ in range(steps):
        for x, objective in zip(batches, objectives, strict=True):
            delta.requires_grad_()
            (g,) = torch.autograd.grad(objective((x + delta).clamp(0, 1)).sum(), delta)
            delta = (delta.detach() + step * g.sign()).clamp(-eps, eps)
    return delta[0]


def fixed_perturbation(delta: Tensor) -> Callable[..., Tensor]:
    """The attack, of the shared signature, that adds delta (C x H x W), clipped to eps, to every photo."""

    def universal(
        x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
    ) -> Tensor:
        check_attack(x, eps, step, steps)
        if x.shape[1:] != delta.shape:
            raise ValueError(f"The perturbation is {tuple(delta.shape)}, the photos are {tuple(x.shape[1:])}.")
        return project(x + delta.to(x), x, eps)

    return universal
