"""Training the purifiers on A: the epsilon network of the diffusion, and the denoising autoencoders."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.purifiers import to_unit
from antidisrupt_lib.purification.schedule import T, add_noise, remove_noise
from antidisrupt_lib.seeding import generator, image_generators, randn_like
from antidisrupt_lib.training import draw_batch, random_flip, run_training


@dataclass(frozen=True)
class DenoiserConfig:
    """Hyperparameters of the epsilon network; the defaults are the recipe the paper most likely used (protocol 1.4).

    `max_t` below 1000 trains only the steps that a short purification visits. `ema` 0 trains without an average.
    """

    steps: int = 443_000
    batch_size: int = 32
    lr: float = 2e-5
    max_t: int = T
    ema: float = 0.0
    seed: int = 0


def epsilon_loss(e: Callable[[Tensor, Tensor], Tensor], x: Tensor, t: Tensor, noise: Tensor) -> Tensor:
    """Mean squared error of the predicted noise (Ho et al. 2020, eq. 14), x in [-1, 1]."""
    return mse_loss(e(add_noise(x, noise, t), t), noise)


def train_denoiser(
    faces: FaceSet, network: nn.Module, config: DenoiserConfig, *, checkpoint: Path | str,
    device: torch.device | str = "cpu", save_every: int = 500,
) -> tuple[nn.Module, pd.DataFrame]:  # fmt: skip
    """Train an epsilon network on `faces`; returns it (or its weight average) and the loss history."""
    network = network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), config.lr)
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.ema)) if config.ema else None
    seed = config.seed

    def step(i: int) -> dict[str, Tensor]:
        index = draw_batch(len(faces), config.batch_size, seed, "denoiser", i)
        x = 2 * random_flip(faces.x(index, device), seed, "denoiser-flip", i) - 1
        keyed = generator(seed, "denoiser-noise", i)
        t = torch.randint(1, config.max_t + 1, (len(x),), generator=keyed).to(device)
        loss = epsilon_loss(network, x, t, torch.randn(x.shape, generator=keyed).to(device))
        _descend(optimizer, loss)
        if average:
            average.update_parameters(network)
        return {"loss": loss.detach()}

    state = {"network": network, "optimizer": optimizer} | ({"average": average} if average else {})
    about = asdict(config) | {"size": faces.size, "architecture": network.architecture}
    history = run_training(
        step, state, steps=config.steps, checkpoint=checkpoint, about=about, what="denoiser", save_every=save_every
    )
    return (average.module if average else network).eval(), history


@torch.no_grad()
def mean_epsilon_loss(e: nn.Module, faces: FaceSet, t: int, seed: int, device: torch.device | str = "cpu") -> float:
    """The loss at step t, averaged over the faces, with one noise per image."""
    losses = []
    for chosen, x in faces.batches(32):
        noise = randn_like(x, image_generators(seed, "epsilon-loss", faces.image_ids[chosen]))
        steps = torch.full((len(x),), t, device=device)
        losses += [epsilon_loss(e, 2 * x.to(device) - 1, steps, noise.to(device)).item()] * len(x)
    return sum(losses) / len(losses)


@torch.no_grad()
def denoise_once(e: nn.Module, x_t: Tensor, t: int, device: torch.device | str = "cpu") -> Tensor:
    """The x_0 that the noise predicted at step t implies, in [0, 1] on the CPU, for x_t in [-1, 1]."""
    predicted = e(x_t.to(device), torch.full((len(x_t),), t, device=device)).cpu()
    return to_unit(remove_noise(x_t, predicted, t))


def train_autoencoder(
    faces: FaceSet, network: nn.Module, *, steps: int, checkpoint: Path | str, noise_std: float = 0.025,
    as_published: bool = False, lr: float = 1e-3, batch_size: int = 256, seed: int = 0, what: str = "autoencoder",
    device: torch.device | str = "cpu",
) -> tuple[nn.Module, pd.DataFrame]:  # fmt: skip
    """Train a denoising autoencoder: mean squared error, Adam, learning rate x 0.8 ten times on the way.

    Args:
        noise_std: of the Gaussian training noise, in [-1, 1] units (published: 0.025).
        as_published: images in [-1, 1], and noisy images clipped to [0, 1] all the same (protocol 1.4, defects).
    """
    network = network.to(device).train()
    optimizer = torch.optim.Adam(network.parameters(), lr)
    about = {"what": what, "steps": steps, "noise_std": noise_std, "as_published": as_published, "lr": lr}
    about |= {"batch_size": batch_size, "size": faces.size, "seed": seed}

    def step(i: int) -> dict[str, Tensor]:
        x = faces.x(draw_batch(len(faces), batch_size, seed, what, i), device)
        x, std = (2 * x - 1, noise_std) if as_published else (x, noise_std / 2)
        noise = torch.randn(x.shape, generator=generator(seed, what, "noise", i)).to(device)
        optimizer.param_groups[0]["lr"] = lr * 0.8 ** (10 * i // steps)
        loss = mse_loss(network((x + std * noise).clamp(0, 1)), x)
        _descend(optimizer, loss)
        return {"loss": loss.detach()}

    state = {"network": network, "optimizer": optimizer}
    history = run_training(step, state, steps=steps, checkpoint=checkpoint, about=about, what=what)
    return network.eval(), history


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
