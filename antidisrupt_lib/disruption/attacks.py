"""One projected-gradient engine, and the attacks that are settings of it.

    x_0     = clip(x + U(-start, start))
    g_k     = grad of objective at x_k;  with momentum: m_k = mu m_(k-1) + g_k / |g_k|_1
    x_(k+1) = project(x_k + step sign(g_k))      onto {|x' - x| <= eps} and [0, 1]

All share one signature, attack(x, objective, *, eps, step, steps, generators) -> x_adv, with x and x_adv float32 NCHW
in [0, 1], and eps and step in [0, 1] units (the paper's 0.05 on [-1, 1] is 0.025 here, 6.375/255). The engine knows
nothing of networks: the objective may be a forger's or a detector's.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.objectives import Objective
from antidisrupt_lib.seeding import uniform_like

EPS, STEP, STEPS = 0.025, 0.005, 10  # the paper's 0.05, 0.01 and 10, in [0, 1] units
SMALL_START = 0.0005  # the original's 0.001 on [-1, 1]: enough to leave the zero gradient of `away_from_output`


def project(x_adv: Tensor, x: Tensor, eps: float) -> Tensor:
    """The point of the eps ball (L-infinity) around x and of [0, 1] that is nearest to x_adv."""
    return torch.clamp(x_adv, x - eps, x + eps).clamp(0, 1)


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
        momentum: the decay mu of MIM; 0 keeps no memory.

    Raises:
        ValueError: eps, step or steps is not positive, or x leaves [0, 1].
    """
    _check(x, eps, step, steps)
    x_adv = project(x + uniform_like(x, generators, min(start, eps)), x, eps)
    m = torch.zeros_like(x)
    for _ in range(steps):
        x_adv.requires_grad_()
        (g,) = torch.autograd.grad(objective(x_adv).sum(), x_adv)
        m = momentum * m + g / g.abs().flatten(1).mean(1).clamp_min(1e-12)[:, None, None, None]
        x_adv = project(x_adv.detach() + step * m.sign(), x, eps)
    return x_adv


def fgsm(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """One step of size eps (Goodfellow et al. 2015). `step` and `steps` are there for the shared signature only."""
    return projected_gradient(x, objective, eps=eps, step=eps, steps=1, generators=generators, start=SMALL_START)


def fgsm_as_published(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """The original's FGSM: one step of size `step`, not eps, so that |delta| stays near 0.011 of the stated 0.05."""
    return projected_gradient(x, objective, eps=eps, step=step, steps=1, generators=generators, start=SMALL_START)


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


ATTACKS = {"fgsm": fgsm, "bim": bim, "mim": mim, "pgd": pgd}
AS_PUBLISHED = ATTACKS | {"fgsm": fgsm_as_published}


def _check(x: Tensor, eps: float, step: float, steps: int) -> None:
    if min(eps, step) <= 0 or steps < 1:
        raise ValueError(f"eps ({eps}), step ({step}) and steps ({steps}) must be positive.")
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"Images must lie in [0, 1]; these reach from {x.min():.3f} to {x.max():.3f}.")
