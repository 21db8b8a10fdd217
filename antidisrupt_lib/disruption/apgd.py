"""APGD (Croce & Hein 2020, algorithm 1): projected gradient ascent that finds its step size by itself.

    z       = project(x_k + eta sign(g_k))
    x_(k+1) = project(x_k + 0.75 (z - x_k) + 0.25 (x_k - x_(k-1)))

eta starts at 2 eps. At checkpoints that come ever closer together, an image whose loss rose in less than 75 % of the
steps since the last one, or whose best loss and eta both stood still, goes back to its best point and halves its eta.
"""

from collections.abc import Sequence
from math import ceil

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import check_attack, per_image, project
from antidisrupt_lib.disruption.declared import declare
from antidisrupt_lib.disruption.objectives import Objective, loss_and_gradient, refuse_changing
from antidisrupt_lib.seeding import uniform_like

MOMENTUM, RISING = 0.75, 0.75  # alpha and rho of the paper


@declare(compares_losses=True, own_step=True)
def apgd(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """Auto-PGD from a uniform start in the eps ball; every image has its own step size and gets its best iterate.

    The schedule compares losses of different steps, so the objective must be the same at every call: combine conditions
    `jointly`, not `in_turn` (`disrupt` does so). It asks for steps + 1 gradients. `step` is there for the shared
    signature only.
    """
    x = check_attack(x, eps, step, steps)
    refuse_changing(objective, "APGD")
    checkpoints = checkpoint_steps(steps)
    before = here = project(x + uniform_like(x, generators, eps), x, eps)
    loss, g = loss_and_gradient(objective, here)
    best, best_loss, best_g = here, loss, g
    eta = torch.full_like(loss, 2 * eps)
    rises, halved, old_best_loss, checked = torch.zeros_like(loss), torch.zeros_like(loss).bool(), best_loss, 0
    for k in range(1, steps + 1):
        alpha = MOMENTUM if k > 1 else 1.0
        z = project(here + per_image(eta) * g.sign(), x, eps)
        before, here = here, project(here + alpha * (z - here) + (1 - alpha) * (here - before), x, eps)
        old_loss = loss
        loss, g = loss_and_gradient(objective, here)
        rises = rises + (loss > old_loss)
        better = loss > best_loss
        best, best_loss, best_g = choose(better, (here, loss, g), (best, best_loss, best_g))
        if k in checkpoints:
            stuck = ~halved & (best_loss <= old_best_loss)
            halved = (rises < RISING * (k - checked)) | stuck
            eta = torch.where(halved, eta / 2, eta)
            here, loss, g = choose(halved, (best, best_loss, best_g), (here, loss, g))
            rises, old_best_loss, checked = torch.zeros_like(loss), best_loss, k
    return best


def checkpoint_steps(steps: int) -> list[int]:
    """The steps ceil(p_j steps), p = 0.22, 0.41, 0.57 ...: each gap 0.03 shorter than the last, and at least 0.06."""
    percent = [0, 22]
    while percent[-1] < 100:
        percent.append(percent[-1] + max(percent[-1] - percent[-2] - 3, 6))
    return sorted({ceil(p * steps / 100) for p in percent[1:-1]})


def choose(mask: Tensor, new: Sequence[Tensor], old: Sequence[Tensor]) -> list[Tensor]:
    """Tensor by tensor, the new one of the images in `mask` and the old one of the others."""
    return [torch.where(mask if a.ndim == 1 else per_image(mask), a, b) for a, b in zip(new, old, strict=True)]
