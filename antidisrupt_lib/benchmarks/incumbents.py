"""What the incumbents do, written from their description (protocol 1.5, 1.7, 3.1), to be measured against.

They work on [-1, 1]. Nothing here is meant for use.
"""

import numpy as np
import torch
from scipy.linalg import sqrtm
from torch import Tensor, nn
from torch.nn.functional import mse_loss


def disrupt(generator: nn.Module, x: Tensor, c: Tensor, *, eps: float, step: float, steps: int) -> Tensor:
    """PGD away from the clean output, as Ruiz et al.'s code has it: weights keep their gradients, which nobody uses.

    Args:
        x: N x 3 x H x W in [-1, 1]; eps and step in the same units.
    """
    with torch.no_grad():
        clean = generator(x, c)
    x_adv = x + torch.empty_like(x).uniform_(-eps, eps)
    for _ in range(steps):
        x_adv = x_adv.detach().requires_grad_()
        loss = mse_loss(generator(x_adv, c), clean)
        generator.zero_grad()
        loss.backward()
        moved = x_adv + step * x_adv.grad.sign()
        x_adv = (x + (moved - x).clamp(-eps, eps)).clamp(-1, 1)
    return x_adv.detach()


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) by SciPy's matrix square root, as FID packages have it."""
    s_a, s_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(s_a @ s_b))
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(s_a) + np.trace(s_b) - 2 * np.trace(root))
