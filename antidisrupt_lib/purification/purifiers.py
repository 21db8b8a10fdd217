"""Purifiers: `purify(x, generators) -> x`, images float32 NCHW in [0, 1], one generator per image.

Each knows its cost: `network_calls`, the passes through a network that one image takes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Generator, Tensor

from antidisrupt_lib.purification.schedule import T, add_noise, make_scheduler
from antidisrupt_lib.seeding import randn_like

EpsilonNetwork = Callable[[Tensor, Tensor], Tensor]


class Purifier(Protocol):
    """What every purifier is: a call on images, and a number of network calls per image."""

    network_calls: int

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor: ...


def reverse_diffusion(e: EpsilonNetwork, x_t: Tensor, start: int, generators: Sequence[Generator]) -> Tensor:
    """Ancestral DDPM steps t = start .. 1 (Ho et al. 2020, algorithm 2), sigma_t^2 = beta_t, no noise in the last.

    Args:
        x_t: images in [-1, 1], taken to be at step `start`.
    """
    scheduler = make_scheduler()
    for t in range(start, 0, -1):
        steps = torch.full((len(x_t),), t, device=x_t.device)
        x_t = scheduler.step(e(x_t, steps), t - 1, x_t, generator=list(generators)).prev_sample
    return x_t


@dataclass(frozen=True)
class ReverseDiffusion:
    """The paper's purifier: the disrupted photo itself is taken for x_start, without forward noise, and denoised.

    At start 10 the model expects noise of std 0.044 on [-1, 1], near the size of the paper's disruption, 0.05.
    """

    network: EpsilonNetwork
    start: int = 10

    def __post_init__(self) -> None:
        _check_step(self.start)

    @property
    def network_calls(self) -> int:
        return self.start

    @torch.no_grad()
    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return to_unit(reverse_diffusion(self.network, 2 * x - 1, self.start, generators))


@dataclass(frozen=True)
class DiffPure:
    """Forward to step t with fresh noise, then the whole way back (Nie et al., ICML 2022, eqs. 3-4, as a DDPM)."""

    network: EpsilonNetwork
    start: int = 300

    def __post_init__(self) -> None:
        _check_step(self.start)

    @property
    def network_calls(self) -> int:
        return self.start

    @torch.no_grad()
    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        noise = randn_like(x, generators)
        x_t = add_noise(2 * x - 1, noise, torch.full((len(x),), self.start, device=x.device))
        return to_unit(reverse_diffusion(self.network, x_t, self.start, generators))


@dataclass(frozen=True)
class Autoencoder:
    """A denoising autoencoder in one pass. It is given what it was trained on: [0, 1], or [-1, 1] as published."""

    network: Callable[[Tensor], Tensor]
    as_published: bool = False
    network_calls: int = 1

    @torch.no_grad()
    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return to_unit(self.network(2 * x - 1)) if self.as_published else self.network(x).clamp(0, 1)


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], clipped."""
    return (x / 2 + 0.5).clamp(0, 1)


def _check_step(start: int) -> None:
    if not 1 <= start <= T:
        raise ValueError(f"A diffusion can start at steps 1 to {T}, not {start}.")
