"""Training DADFI: a generator that disrupts every forger at once (PeerJ CS 10:e2356, 2024; protocol 3.8).

    x_adv   = x + Gen(x)                                                                        eq. 1, 2
    Ide_x   tells photos x from x_adv                                                           eq. 3
    hinge   = E max(0, |Gen(x)|_inf - lim)                                                      eq. 4
    x'_i    = PGD from x + noise, away from mod_i(x), for each forger mod_i: the teacher        eq. 5, 6, 11, 12
    Ide_y   tells mod_i(x'_i) from mod_i(x_adv), summed over i: the fine-tuning                 eq. 7, 8, 9, 13
    Loss    = Loss_Ide_x + Loss_Ide_y + mu hinge, which Gen makes small, the recognisers large  eq. 10, 14

Where the paper leaves a choice: PGD's step is the gradient's sign, as its name says (eq. 6 prints the bare gradient,
which moves nothing); mu, which eq. 10 and 14 forget, weighs the hinge; eq. 16's (1 - sigma) is Adam's (1 - alpha_2).
Ours are, and can be switched off: a bound by construction (x_adv = x + eps u(x), then nothing is left to the hinge),
the non-saturating loss of GANs, and the teacher's own objective for Gen itself (`lambda_away`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import one_translation
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.disruption.ball import REACH
from antidisrupt_lib.disruption.disruptor import Disruptor
from antidisrupt_lib.disruption.objectives import (
    DISRUPTED,
    Transform,
    away_from_target,
    identity,
    squared_distance,
)
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import generator as keyed
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import draw_batch, half_precision, random_flip, run_training, update

SeenThrough = Callable[[Sequence[Generator]], Sequence[Transform]]


@dataclass(frozen=True)
class DadfiConfig:
    """Hyperparameters. `PUBLISHED` holds the paper's, as far as it tells them.

    Images, eps and lim are in [0, 1] units: the paper's lim of 0.05 is then 12.75/255 (its units aren't told). Without
    `lambda_y` there is no teacher and no fine-tuning. `forgers_per_step` meets so many of the forgers a step, drawn
    anew each time, 0 all of them; each photo is edited in one translation, drawn as well. `teacher_steps` of
    2.5 eps / steps make the teacher (Madry et al. 2018). `bf16` lets forgers compute in bfloat16.
    """

    architecture: dict = field(default_factory=dict)
    recogniser_width: int = 16
    eps: float = 0.05
    bounded: bool = True
    saturating: bool = False
    mu: float = 0.5
    lambda_x: float = 0.1
    lambda_y: float = 0.1
    lambda_away: float = 1.0
    teacher_steps: int = 10
    forgers_per_step: int = 0
    steps: int = 400
    batch_size: int = 50
    lr: float = 1e-3
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.lambda_y and not self.lambda_away and not self.lambda_x:
            raise ValueError("A disruptor needs something to learn: give lambda_x, lambda_y or lambda_away.")


PUBLISHED = {"bounded": False, "saturating": True, "lambda_x": 1.0, "lambda_away": 0.0}
METHODS = ("dadfi", "universal")  # that make a disruptor beforehand


def as_published_config(config: DadfiConfig) -> DadfiConfig:
    """The config with the paper's losses, as far as it tells them; without fine-tuning if it is without."""
    return replace(config, **PUBLISHED, lambda_y=1.0 if config.lambda_y else 0.0)


class Recogniser(nn.Module):
    """Ide_x and Ide_y, of one structure: images N x 3 x H x W in [0, 1] to logits of "real", N. Its layers are ours."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for c_in, c_out in zip((3, width, 2 * width), (width, 2 * width, 4 * width), strict=True):
            layers += [nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(4 * width, 1, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        return self.main(2 * x - 1).flatten(1).mean(1)


# Losses


def recogniser_loss(ide: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """-E log Ide(real) - E log(1 - Ide(fake)): eq. 3 and 7, which the recogniser makes large."""
    return softplus(-ide(real)).mean() + softplus(ide(fake)).mean()


def fooling_loss(ide: nn.Module, fake: Tensor, saturating: bool = False) -> Tensor:
    """What of eq. 3 and 7 hangs on Gen, E log(1 - Ide(fake)); or -E log Ide(fake), whose gradient doesn't die."""
    return -softplus(ide(fake)).mean() if saturating else softplus(-ide(fake)).mean()


def hinge_loss(change: Tensor, lim: float) -> Tensor:
    """E max(0, |Gen(x)|_inf - lim), eq. 4."""
    return (change.abs().flatten(1).amax(1) - lim).clamp_min(0).mean()


def away_loss(y: Tensor, clean: Tensor) -> Tensor:
    """-E log(0.05 + |y - clean|^2): away from the clean edits, where a forger that hardly moves counts most.

    A plain mean would leave a generator to the one forger that breaks at a touch.
    """
    return -(DISRUPTED + squared_distance(y, clean)).log().mean()


# Training


@dataclass(frozen=True)
class Met:
    """What one forger makes of a batch: of the photos, of Gen's x_adv, and of the teacher's x' (None without one)."""

    clean: Tensor
    ours: Tensor
    taught: Tensor | None


def train_dadfi(
    faces: FaceSet, forgers: Mapping[str, Forger], config: DadfiConfig, *, checkpoint: Path | str,
    device: torch.device | str = "cpu", seen_through: SeenThrough = lambda generators: (), save_every: int = 500,
) -> tuple[Disruptor, pd.DataFrame]:  # fmt: skip
    """Train Gen on `faces` against all `forgers` at once.

    Args:
        checkpoint: written every `save_every` steps; a run that finds it goes on from there.
        seen_through: what photos pass before they are forged, one transform a step, as in `disrupt`.

    Returns:
        The generator and the history of its losses.

    Raises:
        ValueError: there are no forgers.
    """
    if not forgers:
        raise ValueError("A disruptor needs forgers to learn from. Give at least one.")
    torch.manual_seed(config.seed)
    nets = {"gen": Disruptor(**config.architecture)}
    nets |= {ide: Recogniser(config.recogniser_width) for ide in ("ide_x", "ide_y")}
    nets = {name: net.to(device) for name, net in nets.items()}
    optimizers = {  # eq. 15 to 18 are Adam
        name: torch.optim.Adam(net.parameters(), config.lr, (0.9, 0.99), eps=1e-6) for name, net in nets.items()
    }
    step = _step(_batches(faces, config, device), forgers, config, nets, optimizers, seen_through)
    about = asdict(config) | {"size": faces.size, "forgers": sorted(forgers)}
    state = nets | {f"{name}_optimizer": optimizer for name, optimizer in optimizers.items()}
    history = run_training(
        step, state, steps=config.steps, checkpoint=checkpoint, about=about, what="dadfi", save_every=save_every
    )
    return nets["gen"], history


def _batches(
    faces: FaceSet, config: DadfiConfig, device: torch.device | str
) -> Callable[[int], tuple[Tensor, Tensor, list[int]]]:
    """batch(i): photos of step i, the labels that each is to be edited to, and which photos they are."""
    labels, seed = faces.labels(ATTRIBUTES), config.seed

    def batch(i: int) -> tuple[Tensor, Tensor, list[int]]:
        index = draw_batch(len(faces), config.batch_size, seed, "dadfi", i)
        target, _ = one_translation(labels[index], keyed(seed, "dadfi-edit", i))
        x = random_flip(faces.x(index, device), seed, "dadfi-flip", i)
        return x, target.to(device), index.tolist()

    return batch


def _step(
    batches: Callable[[int], tuple[Tensor, Tensor, list[int]]], forgers: Mapping[str, Forger], config: DadfiConfig,
    nets: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer], seen_through: SeenThrough,
) -> Callable[[int], dict[str, Tensor]]:  # fmt: skip
    def step(i: int) -> dict[str, Tensor]:
        x, target, photos = batches(i)
        transforms = seen_through(image_generators(config.seed, f"dadfi-through/{i}", photos))
        transform = transforms[i % len(transforms)] if transforms else identity
        u = nets["gen"](x)
        change = config.eps * u if config.bounded else u
        x_adv = (x + change).clamp(0, 1)
        met = []
        for name in _chosen(list(forgers), config, i):
            generators = image_generators(config.seed, f"dadfi-teacher/{name}/{i}", photos)
            met.append(_meet(forgers[name], x, x_adv, target, transform, config, generators))
        losses = _recogniser_losses(nets, x, x_adv.detach(), met, config)
        for name, loss in losses.items():
            update(nets[name], loss, optimizers[name])
        terms = _generator_losses(nets, x_adv, change, met, config)
        update(nets["gen"], sum(weight * loss for weight, loss in terms.values()), optimizers["gen"])
        losses |= {name: loss for name, (_, loss) in terms.items()}
        return {name: loss.detach() for name, loss in losses.items()}

    return step


def _chosen(names: list[str], config: DadfiConfig, i: int) -> list[str]:
    """The forgers that step i meets."""
    order = torch.randperm(len(names), generator=keyed(config.seed, "dadfi-forgers", i))
    return [names[k] for k in order[: config.forgers_per_step or len(names)]]


def _meet(
    forge: Forger, x: Tensor, x_adv: Tensor, target: Tensor, transform: Transform, config: DadfiConfig,
    generators: Sequence[Generator],
) -> Met:  # fmt: skip
    taught = None
    with half_precision(x.device, config.bf16):
        with torch.no_grad():
            clean = forge(x, target)
        if config.lambda_y:
            taught = _taught(forge, x, target, clean, transform, config, generators)
        return Met(clean.float(), forge(transform(x_adv), target).float(), taught)


@torch.no_grad()
def _taught(
    forge: Forger, x: Tensor, target: Tensor, clean: Tensor, transform: Transform, config: DadfiConfig,
    generators: Sequence[Generator],
) -> Tensor:  # fmt: skip
    """mod_i(x'_i): what the forger makes of photos that PGD disrupted for it."""
    objective, steps = away_from_target(forge, clean, target, transform), config.teacher_steps
    x_pgd = pgd(x, objective, eps=config.eps, step=REACH * config.eps / steps, steps=steps, generators=generators)
    return forge(transform(x_pgd), target).float()


def _recogniser_losses(
    nets: Mapping[str, nn.Module], x: Tensor, x_adv: Tensor, met: Sequence[Met], config: DadfiConfig
) -> dict[str, Tensor]:
    losses = {"ide_x": recogniser_loss(nets["ide_x"], x, x_adv)} if config.lambda_x else {}
    if config.lambda_y:
        losses["ide_y"] = sum(recogniser_loss(nets["ide_y"], one.taught, one.ours.detach()) for one in met)
    return losses


def _generator_losses(
    nets: Mapping[str, nn.Module], x_adv: Tensor, change: Tensor, met: Sequence[Met], config: DadfiConfig
) -> dict[str, tuple[float, Tensor]]:
    """The terms of eq. 14 and ours, each with its weight; sums over forgers as in eq. 9."""
    terms = {}
    if config.lambda_x:
        terms["gen_x"] = config.lambda_x, fooling_loss(nets["ide_x"], x_adv, config.saturating)
    if not config.bounded:
        terms["gen_hinge"] = config.mu, hinge_loss(change, config.eps)
    if config.lambda_y:
        fooling = sum(fooling_loss(nets["ide_y"], one.ours, config.saturating) for one in met)
        terms["gen_y"] = config.lambda_y, fooling
    if config.lambda_away:
        terms["gen_away"] = config.lambda_away, sum(away_loss(one.ours, one.clean) for one in met)
    return terms
