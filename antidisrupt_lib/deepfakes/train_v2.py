"""Training StarGAN v2: adversarial, style, diversity and cycle losses (Choi et al. 2020, eqs. 1-6), resumable.

Each step trains the critic and then the networks, once with styles of latents and once with styles of references, as
the authors do; with references the generator alone is updated.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss, softplus
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.deepfakes.stargan_v2 import DomainDiscriminator, StarGANv2
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator as keyed
from antidisrupt_lib.training import draw_batch, half_precision, random_flip, run_training, update


@dataclass(frozen=True)
class V2Config:
    """Hyperparameters; the defaults are the official ones for CelebA-HQ.

    `ds_steps` is over how many steps the diversity term fades to 0; `mapping_lr` the mapping network's learning rate.
    `bf16` lets the networks compute in bfloat16, R1 aside.
    """

    architecture: dict = field(default_factory=dict)
    steps: int = 100_000
    batch_size: int = 8
    lr: float = 1e-4
    mapping_lr: float = 1e-6
    weight_decay: float = 1e-4
    lambda_reg: float = 1.0
    lambda_sty: float = 1.0
    lambda_ds: float = 1.0
    lambda_cyc: float = 1.0
    ds_steps: int = 100_000
    ema: float = 0.999
    bf16: bool = False
    seed: int = 0


@dataclass(frozen=True)
class V2Batch:
    """Photos x in [-1, 1] with their domains, the domains to edit them to, and two latents and two references each."""

    x: Tensor
    domain: Tensor
    target: Tensor
    z: tuple[Tensor, Tensor]
    references: tuple[Tensor, Tensor]

    def styles(self, g: StarGANv2, latent: bool) -> tuple[Tensor, Tensor]:
        """Two styles of the target domains for each photo."""
        network, of = (g.mapping_network, self.z) if latent else (g.style_encoder, self.references)
        return network(of[0], self.target), network(of[1], self.target)


def critic_terms(d: DomainDiscriminator, g: StarGANv2, batch: V2Batch, latent: bool) -> dict[str, Tensor]:
    """Tell reals from fakes (logistic), with R1: half the mean square of d D(x) / dx at the reals."""
    with torch.no_grad():
        fake = g.generator(batch.x, batch.styles(g, latent)[0])
    x = batch.x.detach().requires_grad_()
    with half_precision(x.device, wanted=False):
        real = d(x, batch.domain)
        (gradient,) = torch.autograd.grad(real.sum(), x, create_graph=True)
    return {
        "d_adv": softplus(-real).mean() + softplus(d(fake, batch.target)).mean(),
        "d_reg": gradient.square().flatten(1).sum(1).mean() / 2,
    }


def generator_terms(d: DomainDiscriminator, g: StarGANv2, batch: V2Batch, latent: bool) -> dict[str, Tensor]:
    """Fool D, show the style asked for, differ for another style, and come back to x in its own style."""
    s, other = batch.styles(g, latent)
    fake = g.generator(batch.x, s)
    with torch.no_grad():
        other_fake = g.generator(batch.x, other)
    own = g.style_encoder(batch.x, batch.domain)
    return {
        "g_adv": softplus(-d(fake, batch.target)).mean(),
        "g_sty": l1_loss(g.style_encoder(fake, batch.target), s),
        "g_ds": -l1_loss(fake, other_fake),
        "g_cyc": l1_loss(g.generator(fake, own), batch.x),
    }


def train_stargan_v2(
    faces: FaceSet,
    config: V2Config,
    *,
    checkpoint: Path | str,
    device: torch.device | str = "cpu",
    save_every: int = 1000,
    on_sample: Callable[[nn.Module, int], None] | None = None,
) -> tuple[StarGANv2, pd.DataFrame]:
    """Train a StarGAN v2 on `faces`; see `train_forger`, whose arguments these are.

    Returns:
        The weight average of the networks, and the loss history of the latent-guided half of each step.
    """
    torch.manual_seed(config.seed)
    g = StarGANv2(**{"size": faces.size, **config.architecture}).to(device)
    shape = g.architecture
    d = DomainDiscriminator(faces.size, 2 ** len(shape["attributes"]), shape["width"], shape["max_width"]).to(device)
    ema = AveragedModel(g, multi_avg_fn=get_ema_multi_avg_fn(config.ema))
    optimizers = {name: _adam(network, config.lr, config) for name, network in (
        ("d", d), ("generator", g.generator), ("style_encoder", g.style_encoder),
    )}  # fmt: skip
    optimizers["mapping_network"] = _adam(g.mapping_network, config.mapping_lr, config)
    step = _v2_step(_v2_batches(faces, g, config, device), config, g, d, optimizers, ema)
    history = run_training(
        step, {"g": g, "critic": d, "ema": ema, **{f"{name}_optimizer": o for name, o in optimizers.items()}},
        steps=config.steps, checkpoint=checkpoint, about=asdict(config) | {"size": faces.size}, what="stargan_v2",
        save_every=save_every, on_save=(lambda done: on_sample(ema.module, done)) if on_sample else None,
    )  # fmt: skip
    return ema.module, history


def _adam(network: nn.Module, lr: float, config: V2Config) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr, (0.0, 0.99), weight_decay=config.weight_decay)


def _v2_batches(faces: FaceSet, g: StarGANv2, config: V2Config, device: torch.device | str) -> Callable[[int], V2Batch]:
    domains, seed = g.domain(faces.labels(ATTRIBUTES)), config.seed
    members = {int(domain): torch.nonzero(domains == domain).flatten() for domain in domains.unique()}

    def batch(i: int) -> V2Batch:
        index, first = (draw_batch(len(faces), config.batch_size, seed, name, i) for name in ("v2", "v2-reference"))
        key = keyed(seed, "v2-second", i)
        pools = [members[int(domain)] for domain in domains[first]]
        second = torch.stack([pool[torch.randint(len(pool), (), generator=key)] for pool in pools])
        x, *references = (
            2 * random_flip(faces.x(rows, device), seed, f"v2-flip-{n}", i) - 1
            for n, rows in enumerate((index, first, second))
        )
        z = torch.randn(2, len(index), g.architecture["latent_dim"], generator=keyed(seed, "v2-z", i)).to(device)
        own, target = domains[index].to(device), domains[first].to(device)
        return V2Batch(x, own, target, (z[0], z[1]), (references[0], references[1]))

    return batch


def _v2_step(
    batches: Callable[[int], V2Batch], config: V2Config, g: StarGANv2, d: DomainDiscriminator,
    optimizers: dict[str, torch.optim.Optimizer], ema: AveragedModel,
) -> Callable[[int], dict[str, Tensor]]:  # fmt: skip
    def step(i: int) -> dict[str, Tensor]:
        batch, fade = batches(i), max(0.0, 1 - i / max(1, config.ds_steps))
        weights = {"d_reg": config.lambda_reg, "g_sty": config.lambda_sty, "g_ds": fade * config.lambda_ds}
        weights |= {"g_cyc": config.lambda_cyc}
        record = {}
        for latent in (True, False):
            with half_precision(batch.x.device, config.bf16):
                terms = critic_terms(d, g, batch, latent)
            update(d, _weighted(terms, weights), optimizers["d"])
            record = record or terms
        for latent in (True, False):
            with half_precision(batch.x.device, config.bf16):
                terms = generator_terms(d, g, batch, latent)
            trained = ["generator", "mapping_network", "style_encoder"] if latent else ["generator"]
            network, loss = g if latent else g.generator, _weighted(terms, weights)
            update(network, loss, *(optimizers[name] for name in trained))
            record = record | terms if latent else record
        ema.update_parameters(g)
        return {name: term.detach() for name, term in record.items()}

    return step


def _weighted(terms: dict[str, Tensor], weights: dict[str, float]) -> Tensor:
    return sum(weights.get(name, 1.0) * term for name, term in terms.items())
