"""Training a forger, of whatever network and with whichever losses, resumable to the same weights.

It may start from trained weights, and be adversarial (see adversarial.py); vanilla is the case of no perturbation.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antidisrupt_lib.deepfakes.adversarial import FORMS, Batch, Disrupt, disrupt_batch
from antidisrupt_lib.deepfakes.classifier import train_classifier
from antidisrupt_lib.deepfakes.forgers import load_generator, make_generator
from antidisrupt_lib.deepfakes.losses import critic_losses, generator_losses
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Discriminator
from antidisrupt_lib.deepfakes.translations import one_translation
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator as keyed
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import (
    draw_batch,
    half_precision,
    random_flip,
    run_training,
    trained_parameters,
    update,
)
from antidisrupt_lib.weights import load_state


@dataclass(frozen=True)
class ForgerConfig:
    """Hyperparameters; the defaults are those of the published StarGAN.

    `network` is one of forgers.NETWORKS, `architecture` its constructor's arguments. Each loss term has its weight
    lambda; a term of weight 0 isn't computed, and without `lambda_adv` and `lambda_cls` there is no critic.

    These are ours, and 0 as published: `ema`, the decay of a weight average that is kept instead of the last weights;
    `lambda_id`, the weight of |G(x, c) - x| with the photo's own labels c, which fades to 0 over the first `id_steps`
    (the cycle alone takes tens of thousands of steps to teach a generator to keep the background); `lambda_truth`, the
    weight of the distance to the true edit, which only drawn faces have; and `lambda_mask`, of an attention
    generator's mask. STGAN's estimator of the photo's own attributes is trained first, for `estimator_steps`. `bf16`
    lets the networks compute in bfloat16, the gradient penalty aside.

    `start_weights` names a generator's weights to go on from. The discriminator starts fresh all the same, and trains
    alone for the first `critic_first` steps, so that it has something to say to a generator that can forge already.

    `adversarial` is "", "g" or "gd" (see adversarial.py), against a disruption of `adv_steps` steps of `adv_step`
    inside `adv_eps`, in [0, 1] units: the published 10 of 0.01 inside 0.1 on [-1, 1]. `adv_objective` is "away" from
    the clean output, or "grey" as published.
    """

    network: str = "stargan"
    architecture: dict = field(default_factory=dict)
    d_conv_dim: int = 64
    d_layers: int = 6
    steps: int = 200_000
    decay_steps: int = 100_000
    batch_size: int = 16
    n_critic: int = 5
    lr: float = 1e-4
    lambda_adv: float = 1.0
    lambda_cls: float = 1.0
    lambda_rec: float = 10.0
    lambda_gp: float = 10.0
    lambda_id: float = 0.0
    id_steps: int = 0
    lambda_truth: float = 0.0
    lambda_mask: float = 0.0
    estimator_steps: int = 1000
    ema: float = 0.0
    bf16: bool = False
    start_weights: str = ""
    critic_first: int = 0
    adversarial: str = ""
    adv_objective: str = "away"
    adv_eps: float = 0.05
    adv_step: float = 0.005
    adv_steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.network == "stargan_v2":
            raise ValueError("stargan_v2 has losses of its own: train it with train_v2.train_stargan_v2.")
        if self.adversarial not in FORMS:
            raise ValueError(
                f"There is no adversarial training {self.adversarial!r}. Choose from: {', '.join(map(repr, FORMS))}."
            )

    @property
    def critic(self) -> bool:
        """Whether a discriminator is trained."""
        return self.lambda_adv > 0 or self.lambda_cls > 0

    def weight(self, term: str, i: int) -> float:
        """The weight of a loss term, "g_rec" say, at step i."""
        fade = max(0.0, 1 - i / max(1, self.id_steps)) if term == "g_id" else 1.0
        return fade * (1.0 if term == "d_adv" else getattr(self, f"lambda_{term[2:]}"))


GENERATOR_TERMS = ("g_adv", "g_cls", "g_rec", "g_id", "g_truth", "g_mask")


def train_forger(
    faces: FaceSet,
    config: ForgerConfig,
    *,
    checkpoint: Path | str,
    truth: FaceSet | None = None,
    device: torch.device | str = "cpu",
    save_every: int = 1000,
    on_sample: Callable[[nn.Module, int], None] | None = None,
    disrupt: Disrupt | None = None,
) -> tuple[nn.Module, pd.DataFrame]:
    """Train a forger's generator on `faces`.

    Args:
        checkpoint: written every `save_every` steps; a run that finds it goes on from there.
        truth: the true edits of `faces`, five each in the order of `write_true_edits`, for `config.lambda_truth`. With
            them each photo of a batch is edited in one of its five translations; else towards another photo's labels.
        on_sample: called with the generator and the number of steps done after each checkpoint.
        disrupt: the attack of adversarial training, called only if `config.adversarial`.

    Returns:
        The generator (its weight average, if `config.ema`) and the loss history.

    Raises:
        ValueError: there is no attack to be adversarial with, no truth to be near to, or `config.start_weights`
            doesn't fit.
        FileNotFoundError: there is nothing at `config.start_weights`.
    """
    if config.adversarial and disrupt is None:
        raise ValueError("Adversarial training needs an attack: give disrupt=training_attack(config).")
    if config.lambda_truth and (truth is None or len(truth) != len(ATTRIBUTES) * len(faces)):
        raise ValueError("lambda_truth needs the five true edits of each photo. Let notebook 01 write true_edits.")
    g, d = _networks(faces, config, Path(checkpoint), device)
    result = AveragedModel(g, multi_avg_fn=get_ema_multi_avg_fn(config.ema)) if config.ema else None
    optimizers = [torch.optim.Adam(trained_parameters(net), config.lr, (0.5, 0.999)) for net in (g, d)]
    state = {"g": g, "d": d, "g_optimizer": optimizers[0], "d_optimizer": optimizers[1]}
    state |= {"ema": result} if result else {}
    step = _forger_step(_batches(faces, truth, config, device), config, g, d, optimizers, result, disrupt)
    final = result.module if result else g
    history = run_training(
        step, state, steps=config.steps, checkpoint=checkpoint, about=asdict(config) | {"size": faces.size},
        what=config.network, save_every=save_every,
        on_save=(lambda done: on_sample(final, done)) if on_sample else None,
    )  # fmt: skip
    return final, history


def _networks(
    faces: FaceSet, config: ForgerConfig, checkpoint: Path, device: torch.device | str
) -> tuple[nn.Module, Discriminator]:
    torch.manual_seed(config.seed)
    g = make_generator(config.network, config.architecture)
    d = Discriminator(faces.size, config.d_conv_dim, len(ATTRIBUTES), config.d_layers)
    if config.start_weights:
        load_state(g, load_generator(config.start_weights).state_dict(), config.start_weights)
    elif hasattr(g, "estimator"):
        g.estimator = train_classifier(
            faces, checkpoint=checkpoint.with_name(f"{checkpoint.stem}_estimator.checkpoint"),
            steps=config.estimator_steps, width=g.architecture["estimator_width"], seed=config.seed, device=device,
        )  # fmt: skip
    if hasattr(g, "estimator"):
        g.estimator.requires_grad_(False)
    return g.to(device), d.to(device)


def _batches(
    faces: FaceSet, truth: FaceSet | None, config: ForgerConfig, device: torch.device | str
) -> Callable[[int], tuple[Batch, list[int]]]:
    """batch(i): the batch of step i, and which photos it holds."""
    labels, seed = faces.labels(ATTRIBUTES), config.seed

    def batch(i: int) -> tuple[Batch, list[int]]:
        index = draw_batch(len(faces), config.batch_size, seed, "forger", i)
        c, key = labels[index], keyed(seed, "forger-target", i)

        def images(of: FaceSet, rows: Tensor) -> Tensor:
            return 2 * random_flip(of.x(rows, device), seed, "forger-flip", i) - 1

        if not config.lambda_truth:
            target = c[torch.randperm(len(c), generator=key)]
            return Batch(images(faces, index), c.to(device), target.to(device)), index.tolist()
        target, edit = one_translation(c, key)
        edits = images(truth, len(ATTRIBUTES) * index + edit)
        return Batch(images(faces, index), c.to(device), target.to(device), truth=edits), index.tolist()

    return batch


def _forger_step(
    batches: Callable[[int], tuple[Batch, list[int]]], config: ForgerConfig, g: nn.Module, d: Discriminator,
    optimizers: list[torch.optim.Optimizer], ema: AveragedModel | None, disrupt: Disrupt | None,
) -> Callable[[int], dict[str, Tensor]]:  # fmt: skip
    def step(i: int) -> dict[str, Tensor]:
        batch, photos = batches(i)
        if config.adversarial:
            generators = image_generators(config.seed, f"forger-eta/{i}", photos)
            batch = disrupt_batch(batch, config.adversarial, g, disrupt, generators)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = config.lr * _decay(i, config)
        losses = {}
        if config.critic:
            alpha = torch.rand(len(batch.x), generator=keyed(config.seed, "forger-alpha", i)).to(batch.x.device)
            with half_precision(batch.x.device, config.bf16):
                losses = critic_losses(d, g, batch, alpha)
            update(d, _weighted(losses, config, i), optimizers[1])
        if not config.critic or (i >= config.critic_first and (i + 1) % config.n_critic == 0):
            wanted = {term for term in GENERATOR_TERMS if config.weight(term, i) > 0}
            with half_precision(batch.x.device, config.bf16):
                g_losses = generator_losses(d, g, batch, wanted)
            update(g, _weighted(g_losses, config, i), optimizers[0])
            losses |= g_losses
            if ema:
                ema.update_parameters(g)
        return {name: loss.detach() for name, loss in losses.items()}

    return step


def _weighted(losses: dict[str, Tensor], config: ForgerConfig, i: int) -> Tensor:
    return sum(config.weight(name, i) * loss for name, loss in losses.items())


def _decay(i: int, config: ForgerConfig) -> float:
    """Learning-rate factor: 1, then linearly towards 0 over the last `decay_steps`."""
    return min(1.0, (config.steps - i) / max(1, config.decay_steps))
