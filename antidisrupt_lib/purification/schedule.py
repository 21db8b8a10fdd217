"""The forward process of the paper's DDPM, and the noise levels that explain the start step 10 (protocol 1.4).

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) e,   abar_t = prod (1 - beta_s),   beta linear from 1e-4 to 0.02, T = 1000

Diffusion works on [-1, 1]. Steps are Ho et al.'s, t = 1..T with t betas behind x_t; diffusers' DDPMScheduler calls step
t its timestep t - 1. The original counts its betas from 0, so that its step 10 has 11 of them behind it: our step 11.
"""

from diffusers import DDPMScheduler
from torch import Tensor

T = 1000


def make_scheduler(steps: int = T) -> DDPMScheduler:
    """The published schedule: linear betas, epsilon prediction, sigma_t^2 = beta_t, no clipping of x_0."""
    return DDPMScheduler(
        num_train_timesteps=steps, beta_start=1e-4, beta_end=0.02, beta_schedule="linear",
        variance_type="fixed_large", prediction_type="epsilon", clip_sample=False,
    )  # fmt: skip


def forward_std(t: int) -> float:
    """Standard deviation of the forward noise after t steps, sqrt(1 - abar_t), on [-1, 1]."""
    return float((1 - make_scheduler().alphas_cumprod[t - 1]).sqrt())


def add_noise(x: Tensor, noise: Tensor, t: Tensor) -> Tensor:
    """x_t of images x in [-1, 1], for steps t in 1..T, one each."""
    abar = make_scheduler().alphas_cumprod.to(x)[t.to(x.device) - 1][:, None, None, None]
    return abar.sqrt() * x + (1 - abar).sqrt() * noise
