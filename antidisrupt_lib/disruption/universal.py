"""One perturbation for every face, in the spirit of CMUA-Watermark (Huang et al., AAAI 2022).

    delta = clip(delta + step sign(sum over all photos of grad objective), -eps, eps)

CMUA steps by each batch of its photos; here a step looks at all of them, summed in float64, so that neither the size of
the batches nor the order of the photos decides a sign. There is one forger here; CMUA's own steps, with its fusion of
several forgers, are in fusion.py.
"""

from collections.abc import Sequence

from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import check_attack, project
from antidisrupt_lib.disruption.declared import Attack, declare
from antidisrupt_lib.disruption.objectives import Objective, loss_and_gradient
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
        batches, objectives: photos in [0, 1], n x C x H x W, and for each batch the objective that knows it. Batches
            bound the memory and change nothing else.
        eps, step: in [0, 1] units.
        steps: passes over all photos, a step for each.
        generator: for the start, uniform in [-eps, eps].

    Raises:
        ValueError: there are no photos, or what `check_attack` and `loss_and_gradient` refuse.
    """
    if not batches:
        raise ValueError("A universal perturbation needs photos to be made of. Give at least one batch.")
    batches = [check_attack(x, eps, step, steps) for x in batches]
    delta = uniform_like(batches[0][:1], [generator], eps)
    for _ in range(steps):
        g = sum(_gradient(x, delta, objective) for x, objective in zip(batches, objectives, strict=True))
        delta = (delta + step * g.sign().to(delta)).clamp(-eps, eps)
    return delta[0]


def _gradient(x: Tensor, delta: Tensor, objective: Objective) -> Tensor:
    """The gradient for delta of the losses of all photos x together, in float64."""
    here = x + delta
    _, g = loss_and_gradient(objective, here.clamp(0, 1))
    return g.where((here >= 0) & (here <= 1), 0).double().sum(0)  # as through the clamp


def fixed_perturbation(delta: Tensor) -> Attack:
    """The attack, of the shared signature, that adds delta (C x H x W), clipped to eps, to every photo."""

    @declare(own_step=True)
    def universal(
        x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
    ) -> Tensor:
        x = check_attack(x, eps, step, steps)
        if x.shape[1:] != delta.shape:
            raise ValueError(f"The perturbation is {tuple(delta.shape)}, the photos are {tuple(x.shape[1:])}.")
        return project(x + delta.to(x), x, eps)

    return universal
