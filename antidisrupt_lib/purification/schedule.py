"""The forward process of the paper's DDPM, and the noise levels that explain the start step 10 (protocol 1.4).

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e,   abar_t = prod (1 - beta_s),   beta linear from 1e-4 to 0.02, T = 1000

Diffusion works on [-1, 1]. Steps are Ho et al.'s, t = 1..T with t betas behind x_t; diffusers' DDPMScheduler calls step
t its timestep t - 1. The original counts its betas from 0, so that its step 10 has 11 of them behind it: our step 11.
"""

from functools import cache

import torch
from diffusers import DDPMScheduler
from torch import Tensor

T = 1000


@cache
def scheduler() -> DDPMScheduler:
    """The published schedule: linear betas, epsilon prediction, sigma_t^2 = beta_t, no clipping of x_0."""
    return DDPMScheduler(
        num_train_timesteps=T, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", variance_type="fixed_large",
        prediction_type="epsilon", clip_sample=False,
    )  # fmt: skip


@cache
def _abar() -> Tensor:
    return torch.cat([torch.ones(1), scheduler().alphas_cumprod])  # abar_0 = 1: no step, no noise


def forward_std(t: int) -> float:
    """Standard deviation of the forward noise after t steps, sqrt(1 - abar_t), on [-1, 1]."""
    return float((1 - _abar()[t]).sqrt())


def add_noise(x: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
    """x_t of images x in [-1, 1], for steps t in 0..T, one each or one for all."""
    abar = _abar_at(t, x)
    return abar.sqrt() * x + (1 - abar).sqrt() * noise


def remove_noise(x_t: Tensor, noise: Tensor, t: Tensor | int) -> Tensor:
    """The x_0 in [-1, 1] that `add_noise` made x_t of, if this was the noise."""
    abar = _abar_at(t, x_t)
    return (x_t - (1 - abar).sqrt() * noise) / abar.sqrt()


def _abar_at(t: Tensor | int, x: Tensor) -> Tensor:
    return _abar()[torch.as_tensor(t).cpu()].to(x).view(-1, 1, 1, 1)
