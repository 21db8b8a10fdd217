"""One projected-gradient engine, the attacks that are settings of it, and the registry of all attacks.

    x_0     = clip(x + U(-start, start))
    g_k     = grad of objective at x_k;  with momentum: m_k = mu m_(k-1) + g_k / |g_k|_1
    x_(k+1) = project(x_k + step sign(g_k))      onto {|x' - x| <= eps} and [0, 1]

All share one signature, attack(x, objective, *, eps, step, steps, generators) -> x_adv, with x and x_adv float32 NCHW
in [0, 1], and eps and step in [0, 1] units (the paper's 0.05 on [-1, 1] is 0.025 here, 6.375/255). The engine knows
nothing of networks: the objective may be a forger's or a detector's. Attacks of another kind have modules of their own.
What an attack needs besides, it says itself (`declared`).
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.apgd import apgd
from antidisrupt_lib.disruption.ascent import low_frequency
from antidisrupt_lib.disruption.ball import SMALL_START, check_attack, per_image, project
from antidisrupt_lib.disruption.chroma import lab_chroma
from antidisrupt_lib.disruption.cw import cw_l2
from antidisrupt_lib.disruption.declared import declare
from antidisrupt_lib.disruption.objectives import Objective, loss_and_gradient
from antidisrupt_lib.disruption.square import square
from antidisrupt_lib.seeding import uniform_like

EPS, STEP, STEPS = 0.025, 0.005, 10  # the paper's 0.05, 0.01 and 10, in [0, 1] units


def projected_gradient(
    x: Tensor,
    objective: Objective,
    *,
    eps: float,
    step: float,
    steps: int,
    generators: Sequence[Generator],
    start: float = 0.0,
    momentum: float = 0.0,
) -> Tensor:
    """Ascend `objective` by `steps` signed gradient steps inside the eps ball.

    Args:
        objective: x -> loss per image.
        eps, step: in [0, 1] units.
        generators: one per image, for the start.
        start: radius of the uniform random start.
        momentum: the decay mu of MIM, 1 in its paper: how much of the gradients so far goes into the next step, each
            gradient counting the same however long it is. 0 keeps no memory.

    Raises:
        ValueError: what `check_attack` or `loss_and_gradient` refuses.
    """
    x = check_attack(x, eps, step, steps)
    x_adv = project(x + uniform_like(x, generators, min(start, eps)), x, eps)
    return signed_steps(x_adv, x, objective, eps=eps, step=step, steps=steps, momentum=momentum)


def signed_steps(
    x_adv: Tensor, x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, momentum: float = 0.0
) -> Tensor:
    """The steps of `projected_gradient` from x_adv on, which lies in the eps ball around the checked photos x."""
    m = torch.zeros_like(x)
    for _ in range(steps):
        _, g = loss_and_gradient(objective, x_adv)
        m = momentum * m + g / per_image(g.abs().flatten(1).mean(1).clamp_min(1e-12))
        x_adv = project(x_adv + step * m.sign(), x, eps)
    return x_adv


@declare(own_step=True)
def fgsm(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """One step of size eps (Goodfellow et al. 2015). `step` and `steps` are there for the shared signature only."""
    return projected_gradient(x, objective, eps=eps, step=eps, steps=1, generators=generators, start=SMALL_START)


def fgsm_as_published(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """FGSM as its attribute `as_published` has it: one step of size `step`, not eps.

    So |delta| stays near 0.011 of the stated 0.05, both in [-1, 1] units.
    """
    return projected_gradient(x, objective, eps=eps, step=step, steps=1, generators=generators, start=SMALL_START)


fgsm.as_published = fgsm_as_published


def bim(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """Iterated FGSM (Kurakin et al. 2017), from a start just off x."""
    return projected_gradient(x, objective, eps=eps, step=step, steps=steps, generators=generators, start=SMALL_START)


def mim(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """BIM with momentum 1 on gradients normalised by their L1 norm (Dong et al. 2018)."""
    return projected_gradient(
        x, objective, eps=eps, step=step, steps=steps, generators=generators, start=SMALL_START, momentum=1.0
    )


def pgd(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """BIM from a uniform start in the whole eps ball (Madry et al. 2018)."""
    return projected_gradient(x, objective, eps=eps, step=step, steps=steps, generators=generators, start=eps)


@declare(own_step=True, asks_nothing=True)
def uniform_noise(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """x + U(-eps, eps): the control that shows what noise of the same size does. It asks the objective nothing."""
    x = check_attack(x, eps, step, steps)
    return project(x + uniform_like(x, generators, eps), x, eps)


ATTACKS = {
    "fgsm": fgsm, "bim": bim, "mim": mim, "pgd": pgd,
    "apgd": apgd, "cw_l2": cw_l2, "lab_chroma": lab_chroma, "low_frequency": low_frequency, "square": square,
    "uniform_noise": uniform_noise,
}  # fmt: skip
