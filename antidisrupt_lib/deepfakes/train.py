"""Training StarGAN: WGAN-GP, attribute and cycle losses (Choi et al., eqs. 1-8), resumable to the same weights."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Discriminator, Generator
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator as keyed
from antidisrupt_lib.training import draw_batch, random_flip, run_training


@dataclass(frozen=True)
class StarGANConfig:
    """Hyperparameters; the defaults are the published ones.

    Three are ours, and 0 as published: `ema`, the decay of a weight average that is kept instead of the last weights,
    and `lambda_id`, the weight of |G(x, c) - x| with the photo's own labels c, which fades to 0 over the first
    `id_steps`. A short training needs it: the cycle alone takes tens of thousands of steps to teach the generator to
    keep the background.
    """

    conv_dim: int = 64
    blocks: int = 6
    d_conv_dim: int = 64
    d_layers: int = 6
    steps: int = 200_000
    decay_steps: int = 100_000
    batch_size: int = 16
    n_critic: int = 5
    lr: float = 1e-4
    lambda_cls: float = 1.0
    lambda_rec: float = 10.0
    lambda_gp: float = 10.0
    lambda_id: float = 0.0
    id_steps: int = 0
    ema: float = 0.0
    seed: int = 0


def attribute_loss(logits: Tensor, c: Tensor) -> Tensor:
    """Binary cross-entropy summed over attributes, averaged over the batch."""
    return binary_cross_entropy_with_logits(logits, c, reduction="sum") / len(c)


def gradient_penalty(d: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """WGAN-GP: mean of (|d D(x) / dx|_2 - 1)^2 at x = alpha real + (1 - alpha) fake, alpha of shape N."""
    alpha = alpha[:, None, None, None]
    x = (alpha * real + (1 - alpha) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_losses(
    d: Discriminator, g: Generator, x: Tensor, c: Tensor, target: Tensor, alpha: Tensor
) -> dict[str, Tensor]:
    """The discriminator's loss terms on reals x with labels c, fakes towards `target`."""
    realness, logits = d(x)
    with torch.no_grad():
        fake = g(x, target)
    return {
        "d_adv": d(fake)[0].mean() - realness.mean(),
        "d_cls": attribute_loss(logits, c),
        "d_gp": gradient_penalty(lambda image: d(image)[0], x, fake, alpha),
    }


def generator_losses(
    d: Discriminator, g: Generator, x: Tensor, c: Tensor, target: Tensor, identity: bool = False
) -> dict[str, Tensor]:
    """The generator's loss terms: fool D, show the target attributes, come back to x, and (`identity`) keep x."""
    fake = g(x, target)
    realness, logits = d(fake)
    return {
        "g_adv": -realness.mean(),
        "g_cls": attribute_loss(logits, target),
        "g_rec": l1_loss(g(fake, c), x),
    } | ({"g_id": l1_loss(g(x, c), x)} if identity else {})


def train_stargan(
    faces: FaceSet,
    config: StarGANConfig,
    *,
    checkpoint: Path | str,
    device: torch.device | str = "cpu",
    save_every: int = 1000,
    on_sample: Callable[[Generator, int], None] | None = None,
) -> tuple[Generator, pd.DataFrame]:
    """Train a StarGAN on `faces`.

    Args:
        checkpoint: written every `save_every` steps; a run that finds it goes on from there.
        on_sample: called with the generator and the number of steps done after each checkpoint.

    Returns:
        The generator (its weight average, if `config.ema`) and the loss history.
    """
    torch.manual_seed(config.seed)
    g = Generator(config.conv_dim, len(ATTRIBUTES), config.blocks).to(device)
    d = Discriminator(faces.size, config.d_conv_dim, len(ATTRIBUTES), config.d_layers).to(device)
    result = AveragedModel(g, multi_avg_fn=get_ema_multi_avg_fn(config.ema)) if config.ema else None
    optimizers = [torch.optim.Adam(net.parameters(), config.lr, (0.5, 0.999)) for net in (g, d)]
    state = {"g": g, "d": d, "g_optimizer": optimizers[0], "d_optimizer": optimizers[1]}
    state |= {"ema": result} if result else {}
    step = _stargan_step(faces, config, g, d, optimizers, result, device)
    final = result.module if result else g
    history = run_training(
        step, state, steps=config.steps, checkpoint=checkpoint, about=asdict(config) | {"size": faces.size},
        what="StarGAN", save_every=save_every, on_save=(lambda done: on_sample(final, done)) if on_sample else None,
    )  # fmt: skip
    return final, history


def _stargan_step(
    faces: FaceSet, config: StarGANConfig, g: Generator, d: Discriminator,
    optimizers: list[torch.optim.Optimizer], ema: AveragedModel | None, device: torch.device | str,
) -> Callable[[int], dict[str, Tensor]]:  # fmt: skip
    labels, seed = faces.labels(ATTRIBUTES), config.seed

    def step(i: int) -> dict[str, Tensor]:
        index = draw_batch(len(faces), config.batch_size, seed, "stargan", i)
        x = 2 * random_flip(faces.x(index, device), seed, "stargan-flip", i) - 1
        c = labels[index].to(device)
        target = c[torch.randperm(len(c), generator=keyed(seed, "stargan-target", i)).to(device)]
        alpha = torch.rand(len(x), generator=keyed(seed, "stargan-alpha", i)).to(device)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = config.lr * _decay(i, config)
        losses = critic_losses(d, g, x, c, target, alpha)
        _update(optimizers[1], d, _weighted(losses, config))
        if (i + 1) % config.n_critic == 0:
            g_losses = generator_losses(d, g, x, c, target, identity=i < config.id_steps)
            _update(optimizers[0], g, _weighted(g_losses, config, 1 - i / max(1, config.id_steps)))
            losses |= g_losses
            if ema:
                ema.update_parameters(g)
        return {name: loss.detach() for name, loss in losses.items()}

    return step


def _weighted(losses: dict[str, Tensor], config: StarGANConfig, fade: float = 1.0) -> Tensor:
    """Their sum, each times its lambda; the adversarial term has none, and that of the identity term fades."""
    weights = {"cls": config.lambda_cls, "gp": config.lambda_gp, "rec": config.lambda_rec}
    weights["id"] = fade * config.lambda_id
    return sum(weights.get(name[2:], 1.0) * loss for name, loss in losses.items())


def _update(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Tensor) -> None:
    """One step of `network` alone: gradients are taken for its parameters only."""
    parameters = list(network.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    optimizer.step()


def _decay(i: int, config: StarGANConfig) -> float:
    """Learning-rate factor: 1, then linearly towards 0 over the last `decay_steps`."""
    return min(1.0, (config.steps - i) / max(1, config.decay_steps))
