"""Carlini & Wagner's L2 attack (2017): the smallest perturbation that reaches a goal, instead of the best in a ball.

    minimise |x' - x|^2 + c max(0, threshold - objective(x')),   x' = centre + half tanh(w),   over w by Adam

centre and half are those of the box [max(0, x - eps), min(1, x + eps)]; with eps = 1 that is all of [0, 1], as
published. c is searched per image: ten times larger until the goal is reached, then by bisection.

Differences from the published code, as in foolbox otherwise: each image stops its search by itself (there, the whole
batch does), w starts a little off x, and where nothing reaches the goal the image of the highest objective is returned.
"""

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import SMALL_START, check_attack, per_image, project
from antidisrupt_lib.disruption.declared import declare
from antidisrupt_lib.disruption.objectives import DISRUPTED, Objective, losses, refuse_changing
from antidisrupt_lib.seeding import uniform_like


class Best(NamedTuple):
    """The best so far, per image: the smallest that reached the goal, else the one of the highest objective."""

    x: Tensor
    distance: Tensor  # inf where nothing reached the goal
    objective: Tensor


@declare(compares_losses=True, other_ball=True, own_step=True)
def cw_l2(
    x: Tensor,
    objective: Objective,
    *,
    eps: float,
    step: float,
    steps: int,
    generators: Sequence[Generator],
    threshold: float = DISRUPTED,
    searches: int = 9,
    initial_c: float = 1e-3,
    abort_early: bool = True,
    start: float = SMALL_START,
) -> Tensor:
    """The smallest perturbation found, by L2 norm, whose objective reaches `threshold`.

    Losses of different steps are compared, so the objective must be the same at every call: combine conditions
    `jointly`, not `in_turn` (`disrupt` does so). At most searches x steps gradients.

    Args:
        eps: half the box's width; 1 for the published, unbounded attack.
        step, steps: Adam's learning rate, on w, and its steps in each search. Published: 0.01 and 1,000 or more.
        threshold: the goal, in the objective's units: the L2 of a disrupted edit for `away_from_output`, the confidence
            for a detector's logit margin. An objective towards a target is never positive and needs its own.
        searches: values of c tried per image; from 10 on the last is the largest that may be needed, as published.
        initial_c: the first c. A goal far away needs a larger one, or more searches.
        abort_early: end an image's search when its loss fell by less than 0.01 % in a tenth of the steps.
        start: radius of the uniform random start, which `away_from_output` needs; 0 is published.
    """
    x = check_attack(x, eps, step, steps)
    refuse_changing(objective, "C&W")
    centre, half = _box(x, eps)
    x_start = project(x + uniform_like(x, generators, min(start, eps)), x, eps)
    w_start = torch.atanh(((x_start - centre) / half).clamp(-1, 1) * 0.999999)  # keeps w finite
    c = x.new_full((len(x),), initial_c)
    lower, upper = torch.zeros_like(c), torch.full_like(c, inf)
    best = Best(x, upper, -upper)
    for search in range(searches):
        if search == searches - 1 and searches >= 10:
            c = upper.clamp_max(1e10)

        def evaluate(w: Tensor, c: Tensor = c) -> tuple[Tensor, ...]:
            x_adv = centre + half * w.tanh()
            distance, value = (x_adv - x).square().flatten(1).sum(1), losses(objective, x_adv)
            return distance + c * (threshold - value).clamp_min(0), x_adv, distance, value

        best, reached = _search(evaluate, w_start, best, threshold, step, steps, abort_early)
        lower, upper = torch.where(reached, lower, c), torch.where(reached, c, upper)
        c = torch.where(upper.isinf(), 10 * c, (lower + upper) / 2)
    return project(best.x, x, eps)  # which rounding may leave by 1e-7


def _box(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(centre, half the width) of what lies inside the eps ball and [0, 1]."""
    low, high = project(x - eps, x, eps), project(x + eps, x, eps)
    return (high + low) / 2, (high - low) / 2


@torch.enable_grad()
def _search(
    evaluate: Callable[[Tensor], tuple[Tensor, ...]],
    w_start: Tensor,
    best: Best,
    threshold: float,
    step: float,
    steps: int,
    abort_early: bool,
) -> tuple[Best, Tensor]:
    """Adam for one c per image: the best so far, and which images reached the goal in this search."""
    w = w_start.clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=step)
    reached = torch.zeros(len(w), dtype=torch.bool, device=w.device)
    going, checked_loss = ~reached, torch.full_like(best.distance, inf)
    for k in range(steps):
        loss, x_adv, distance, value = evaluate(w)
        adam.zero_grad()
        loss.sum().backward(inputs=[w])
        adam.step()
        if abort_early and k % ceil(steps / 10) == 0:
            going = going & (loss <= 0.9999 * checked_loss)
            checked_loss = loss.detach()
            if not going.any():
                break
        reached = reached | (going & (value >= threshold))
        best = _better(best, x_adv.detach(), distance.detach(), value.detach(), threshold, going)
    return best, reached


def _better(best: Best, x_adv: Tensor, distance: Tensor, value: Tensor, threshold: float, going: Tensor) -> Best:
    smaller = going & (value >= threshold) & (distance < best.distance)
    nearer = going & best.distance.isinf() & (value > best.objective)
    new = smaller | nearer
    return Best(
        torch.where(per_image(new), x_adv, best.x),
        torch.where(smaller, distance, best.distance),
        torch.where(new, value, best.objective),
    )
