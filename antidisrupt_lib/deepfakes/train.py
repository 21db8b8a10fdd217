"""Training StarGAN: WGAN-GP, attribute and cycle losses (Choi et al., eqs. 1-8), resumable to the same weights.

It may start from trained weights, and be adversarial (see adversarial.py); vanilla is the case of no perturbation.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antidisrupt_lib.deepfakes.adversarial import FORMS, Batch, Disrupt, disrupt_batch
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Discriminator, Generator, load_generator
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator as keyed
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import draw_batch, random_flip, run_training
from antidisrupt_lib.weights import load_state


@dataclass(frozen=True)
class StarGANConfig:
    """Hyperparameters; the defaults are the published ones.

    Three are ours, and 0 as published: `ema`, the decay of a weight average that is kept instead of the last weights,
    and `lambda_id`, the weight of |G(x, c) - x| with the photo's own labels c, which fades to 0 over the first
    `id_steps`. A short training needs it: the cycle alone takes tens of thousands of steps to teach the generator to
    keep the background.

    `start_weights` names a generator's weights to go on from. The discriminator starts fresh all the same, and trains
    alone for the first `critic_first` steps, so that it has something to say to a generator that can forge already.

    `adversarial` is "", "g" or "gd" (see adversarial.py), against a disruption of `adv_steps` steps of `adv_step`
    inside `adv_eps`, in [0, 1] units: the published 10 of 0.01 inside 0.1 on [-1, 1]. `adv_objective` is "away" from
    the clean output, or "grey" as published.
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
    start_weights: str = ""
    critic_first: int = 0
    adversarial: str = ""
    adv_objective: str = "away"
    adv_eps: float = 0.05
    adv_step: float = 0.005
    adv_steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.adversarial not in FORMS:
            raise ValueError(
                f"There is no adversarial training {self.adversarial!r}. Choose from: {', '.join(map(repr, FORMS))}."
            )


def attribute_loss(logits: Tensor, c: Tensor) -> Tensor:
    """Binary cross-entropy summed over attributes, averaged over the batch."""
    return binary_cross_entropy_with_logits(logits, c, reduction="sum") / len(c)


def gradient_penalty(d: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """WGAN-GP: mean of (|d D(x) / dx|_2 - 1)^2 at x = alpha real + (1 - alpha) fake, alpha of shape N."""
    alpha = alpha[:, None, None, None]
    x = (alpha * real + (1 - alpha) * fake).requires_grad_()
    (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_losses(d: Discriminator, g: Generator, batch: Batch, alpha: Tensor) -> dict[str, Tensor]:
    """The discriminator's loss terms: tell reals from fakes, and name the attributes of the reals."""
    realness, logits = d(batch.real)
    with torch.no_grad():
        fake = batch.fake(g)
    return {
        "d_adv": d(fake)[0].mean() - realness.mean(),
        "d_cls": attribute_loss(logits, batch.c),
        "d_gp": gradient_penalty(lambda image: d(image)[0], batch.real, fake, alpha),
    }


def generator_losses(d: Discriminator, g: Generator, batch: Batch, identity: bool = False) -> dict[str, Tensor]:
    """The generator's loss terms: fool D, show the target attributes, come back to x, and (`identity`) keep x."""
    fake = batch.fake(g)
    realness, logits = d(fake)
    return {
        "g_adv": -realness.mean(),
        "g_cls": attribute_loss(logits, batch.target),
        "g_rec": l1_loss(g(fake, batch.c), batch.x),
    } | ({"g_id": l1_loss(g(batch.source, batch.c), batch.x)} if identity else {})


def train_stargan(
    faces: FaceSet,
    config: StarGANConfig,
    *,
    checkpoint: Path | str,
    device: torch.device | str = "cpu",
    save_every: int = 1000,
    on_sample: Callable[[Generator, int], None] | None = None,
    disrupt: Disrupt | None = None,
) -> tuple[Generator, pd.DataFrame]:
    """Train a StarGAN on `faces`.

    Args:
        checkpoint: written every `save_every` steps; a run that finds it goes on from there.
        on_sample: called with the generator and the number of steps done after each checkpoint.
        disrupt: the attack of adversarial training, called only if `config.adversarial`.

    Returns:
        The generator (its weight average, if `config.ema`) and the loss history.

    Raises:
        ValueError: there is no attack to be adversarial with, or `config.start_weights` doesn't fit.
        FileNotFoundError: there is nothing at `config.start_weights`.
    """
    if config.adversarial and disrupt is None:
        raise ValueError("Adversarial training needs an attack: give disrupt=training_attack(config).")
    g, d = _networks(faces.size, config, device)
    result = AveragedModel(g, multi_avg_fn=get_ema_multi_avg_fn(config.ema)) if config.ema else None
    optimizers = [torch.optim.Adam(net.parameters(), config.lr, (0.5, 0.999)) for net in (g, d)]
    state = {"g": g, "d": d, "g_optimizer": optimizers[0], "d_optimizer": optimizers[1]}
    state |= {"ema": result} if result else {}
    step = _stargan_step(faces, config, g, d, optimizers, result, disrupt, device)
    final = result.module if result else g
    history = run_training(
        step, state, steps=config.steps, checkpoint=checkpoint, about=asdict(config) | {"size": faces.size},
        what="StarGAN", save_every=save_every, on_save=(lambda done: on_sample(final, done)) if on_sample else None,
    )  # fmt: skip
    return final, history


def _networks(size: int, config: StarGANConfig, device: torch.device | str) -> tuple[Generator, Discriminator]:
    torch.manual_seed(config.seed)
    g = Generator(config.conv_dim, len(ATTRIBUTES), config.blocks)
    d = Discriminator(size, config.d_conv_dim, len(ATTRIBUTES), config.d_layers)
    if config.start_weights:
        load_state(g, load_generator(config.start_weights).state_dict(), config.start_weights)
    return g.to(device), d.to(device)


def _stargan_step(
    faces: FaceSet, config: StarGANConfig, g: Generator, d: Discriminator,
    optimizers: list[torch.optim.Optimizer], ema: AveragedModel | None, disrupt: Disrupt | None,
    device: torch.device | str,
) -> Callable[[int], dict[str, Tensor]]:  # fmt: skip
    labels, seed = faces.labels(ATTRIBUTES), config.seed

    def step(i: int) -> dict[str, Tensor]:
        index = draw_batch(len(faces), config.batch_size, seed, "stargan", i)
        x = 2 * random_flip(faces.x(index, device), seed, "stargan-flip", i) - 1
        c = labels[index].to(device)
        target = c[torch.randperm(len(c), generator=keyed(seed, "stargan-target", i)).to(device)]
        batch = Batch(x, c, target)
        if config.adversarial:
            generators = image_generators(seed, f"stargan-eta/{i}", index.tolist())
            batch = disrupt_batch(batch, config.adversarial, g, disrupt, generators)
        alpha = torch.rand(len(x), generator=keyed(seed, "stargan-alpha", i)).to(device)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = config.lr * _decay(i, config)
        losses = critic_losses(d, g, batch, alpha)
        _update(optimizers[1], d, _weighted(losses, config))
        if i >= config.critic_first and (i + 1) % config.n_critic == 0:
            g_losses = generator_losses(d, g, batch, identity=i < config.id_steps)
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
