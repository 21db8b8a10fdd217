"""Plug-ins: an attack, an objective, a purifier, a metric, a forger and a detector that the library doesn't have.

params/your_own.yaml names them as `your_own.py:langevin` and so on, notebooks/13_your_own.ipynb shows them at work.
Copy this file anywhere and change what you like: a study runs again what hangs on it.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from antidisrupt_lib.disruption.ball import project
from antidisrupt_lib.seeding import randn_like


def langevin(x, objective, *, eps, step, steps, generators):
    """The gradient's sign, and noise that fades; `objective(x)` is the loss per image that an attack maximises."""
    x_adv = project(x + eps * randn_like(x, generators), x, eps)
    for k in range(steps):
        x_adv.requires_grad_()
        (g,) = torch.autograd.grad(objective(x_adv).sum(), x_adv)
        noise = step * (1 - k / steps) * randn_like(x, generators)
        x_adv = project(x_adv.detach() + step * g.sign() + noise, x, eps)
    return x_adv


def worst_corner(y: Tensor, y0: Tensor, x: Tensor) -> Tensor:
    """The objective: how far the edit is from the clean one in the 16 x 16 squares where it is farthest, N."""
    return avg_pool2d((y - y0).square(), 16).flatten(1).topk(8).values.mean(1)


class Rescale:
    """A purifier: half the size and back. It says what it costs, and that an attacker can differentiate it."""

    network_calls = 0
    differentiable = True

    def __call__(self, x, generators):
        half = interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True)
        return interpolate(half, x.shape[2:], mode="bicubic").clamp(0, 1)


def edge_error(y: Tensor, y0: Tensor, x: Tensor) -> Tensor:
    """A metric: the mean difference of the edits' horizontal edges, N, in [0, 1] units."""
    return (y.diff(dim=3) - y0.diff(dim=3)).abs().flatten(1).mean(1)


class Residual(nn.Module):
    """A forger: G(x, c) on [-1, 1] adds to the photo what three convolutions make of it and of the wanted labels."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        layers = [nn.Conv2d(8, width, 7, padding=3), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1), nn.ReLU()]
        self.main = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        maps = c[:, :, None, None].expand(-1, -1, *x.shape[2:])
        return (x + self.main(torch.cat([x, maps], dim=1))).clamp(-1, 1)


class HighPass(nn.Module):
    """A detector: one logit for each image in [0, 1], of what is left when the image is blurred away."""

    def __init__(self) -> None:
        super().__init__()
        convs = [nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.ReLU()]
        self.layers = nn.Sequential(*convs, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(512, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(8 * (x - avg_pool2d(x, 3, 1, 1))).flatten()
