"""One perturbation for every face against several forgers: CMUA-Watermark (Huang et al., AAAI 2022; protocol 3.9).

For each batch and each forger in turn, `steps` times:

    g_n    = grad of the forger's loss at x_n + delta
    eta    = mean over n of clip(x_n + delta + step sign(g_n) - x_n, -eps, eps)      image-level fusion
    delta  = momentum delta + (1 - momentum) eta                                     model-level fusion

so that the forger that comes last doesn't undo what the others have left. CMUA searches a step size for each forger
(TPE); here all share one, or `step_sizes` gives them.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.disruption.ball import check_sizes
from antidisrupt_lib.disruption.disrupt import make_objective
from antidisrupt_lib.disruption.disruptor import Universal
from antidisrupt_lib.disruption.objectives import Objective, loss_and_gradient
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator, uniform_like
from antidisrupt_lib.training import progress


def make_fused(
    photos: FaceSet, forgers: Mapping[str, Forger], *, eps: float, step: float, steps: int, passes: int = 1,
    momentum: float = 0.5, step_sizes: Mapping[str, float] | None = None, seed: int,
    device: torch.device | str = "cpu", batch_size: int = 64,
) -> Universal:  # fmt: skip
    """The universal disruptor made of `photos` against all `forgers`, whose five translations come in turn.

    Args:
        eps, step: in [0, 1] units; published 0.025 and 0.005.
        steps: gradients per batch and forger; published 10.
        passes: over the photos; published 1, of 128 photos.
        momentum: of the fusion; published 0.5.
        step_sizes: a forger's own step, by name.

    Raises:
        ValueError: there are no forgers, or a size is wrong.
    """
    if not forgers:
        raise ValueError("A universal perturbation needs forgers to be made against. Give at least one.")
    check_sizes(eps, step, steps)
    sizes = {name: step for name in forgers} | dict(step_sizes or {})
    labels, batches = photos.labels(ATTRIBUTES), []
    for chosen, x in photos.batches(batch_size):
        x, c = x.to(device), labels[chosen]
        batches.append((x, {name: make_objective("away", forge, x, c) for name, forge in forgers.items()}))
    delta = uniform_like(batches[0][0][:1], [generator(seed, "fused")], eps)[0]
    for x, objectives in progress(passes * batches, "fusing", passes * len(batches)):
        for name, objective in objectives.items():
            for _ in range(steps):
                delta = fuse(delta, x, objective, eps, sizes[name], momentum)
    universal = Universal(photos.size)
    universal.u.copy_(delta / eps)
    return universal


def fuse(delta: Tensor, x: Tensor, objective: Objective, eps: float, step: float, momentum: float) -> Tensor:
    """One step of both fusions: delta, C x H x W in [-eps, eps], after photos x have met one forger."""
    here = (x + delta).clamp(0, 1)
    _, g = loss_and_gradient(objective, here)
    eta = (here + step * g.sign() - x).clamp(-eps, eps).mean(0)
    return momentum * delta + (1 - momentum) * eta
