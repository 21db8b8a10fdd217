"""Ascent from a start that is given, in patterns that are given: what an attacker does who knows a purifier.

    d_0     = start - x
    m_(k+1) = mu m_k + P g_k / |P g_k|_1
    d_(k+1) = fit(P clip(d_k + step (1 - k / steps) sign(m_(k+1)), -eps, eps))

P leaves the patterns that the perturbation may be made of, and `fit` scales what it makes too large. A falling step
settles in the end, and the momentum averages over a purifier's noise.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np
import torch
from scipy.fft import dct
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import check_attack, per_image, project
from antidisrupt_lib.disruption.objectives import Objective, identity, loss_and_gradient
from antidisrupt_lib.seeding import uniform_like

MU = 0.75
LOW = 0.25  # of the frequencies along each side


def ascend(
    x: Tensor, objective: Objective, *, start: Tensor, eps: float, step: float, steps: int,
    generators: Sequence[Generator] = (), patterns: Callable[[Tensor], Tensor] = identity,
) -> Tensor:  # fmt: skip
    """Raise `objective` from `start`, such as another attack's result, inside the eps ball around x.

    Args:
        start: images like x; what lies outside the ball is brought into it.
        step: the first one; it falls to 0 along a line.
        generators: there for the shared signature only.
        patterns: a linear projection of N x 3 x H x W, P above; all patterns, if not given.

    Raises:
        ValueError: what `check_attack` or `loss_and_gradient` refuses.
    """
    x = check_attack(x, eps, step, steps)
    d, m = _fit(patterns(start - x), eps), torch.zeros_like(x)
    for k in range(steps):
        g = patterns(loss_and_gradient(objective, project(x + d, x, eps))[1])
        m = MU * m + g / per_image(g.abs().flatten(1).mean(1).clamp_min(1e-12))
        moved = (d + step * (1 - k / steps) * m.sign()).clamp(-eps, eps)
        d = _fit(patterns(moved), eps)
    return project(x + d, x, eps)


def low_frequency(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator],
    share: float = LOW,
) -> Tensor:  # fmt: skip
    """An ascent in low frequencies alone, since purifiers remove fine patterns (Guo et al., UAI 2019; Sharma et al.,
    IJCAI 2019). It starts from noise of such patterns. Only where a pixel would leave [0, 1] is anything finer left.

    Args:
        share: of the frequencies along each side, from the lowest on.
    """
    x = check_attack(x, eps, step, steps)
    start = x + low_pass(uniform_like(x, generators, eps), share)
    kept = partial(low_pass, share=share)
    return ascend(x, objective, start=start, eps=eps, step=step, steps=steps, patterns=kept)


def low_pass(x: Tensor, share: float = LOW) -> Tensor:
    """The part of N x C x H x W whose DCT (type II, over the whole image) lies in the lowest `share` of each side."""
    rows, columns = (_low_patterns(side, max(1, round(share * side))).to(x) for side in x.shape[-2:])
    return rows @ x @ columns


@cache
def _low_patterns(side: int, count: int) -> Tensor:
    """The projection, side x side, onto the `count` lowest of the orthonormal DCT's patterns."""
    lowest = torch.from_numpy(dct(np.eye(side), axis=0, norm="ortho")[:count]).float()
    return lowest.T @ lowest


def _fit(d: Tensor, eps: float) -> Tensor:
    """Each image's change scaled down until none of it is larger than eps."""
    return d * per_image(eps / d.abs().flatten(1).amax(1).clamp_min(eps))
