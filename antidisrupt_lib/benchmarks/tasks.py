"""Tasks that ours and others do: for each, the contenders, functions without arguments, and what a result is worth.

Peers take part as far as they are installed: foolbox and ART with the extra `peers`; torchattacks pins an old requests,
so `pip install --no-deps torchattacks`.
"""

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn

from antidisrupt_lib.benchmarks import incumbents
from antidisrupt_lib.deepfakes.stargan import Forger, forger
from antidisrupt_lib.detection.objectives import Logit, logits, towards_real
from antidisrupt_lib.disruption.attacks import EPS, STEP, pgd
from antidisrupt_lib.disruption.ball import REACH
from antidisrupt_lib.disruption.objectives import Objective, away_from_output, half
from antidisrupt_lib.metrics.distances import l2
from antidisrupt_lib.metrics.frechet import frechet_distance
from antidisrupt_lib.seeding import image_generators

Task = tuple[dict[str, Callable[[], object]], Callable[[object], float]]  # contenders, and the quality of a result
DETECTOR_EPS = 2 / 255


def disruption(generator: nn.Module, x: Tensor, c: Tensor, *, steps: int) -> Task:
    """PGD away from the clean edit, by the incumbent's loop, by ours, and by ours in half precision.

    A result is worth the paper's L2 between its edits and the clean ones, in float32.
    """
    live, forge = deepcopy(generator).requires_grad_(), forger(generator)

    def theirs() -> Tensor:
        sizes = {"eps": 2 * EPS, "step": 2 * STEP, "steps": steps}
        return incumbents.disrupt(live, 2 * x - 1, c, **sizes) / 2 + 0.5

    def ours(forge: Forger) -> Tensor:
        return _pgd(x, away_from_output(forge, x, c), EPS, STEP, steps)

    @torch.no_grad()
    def broken(x_adv: Tensor) -> float:
        return l2(forge(x_adv, c), forge(x, c)).mean().item()

    return {"incumbent": theirs, "ours": partial(ours, forge), "ours_bf16": partial(ours, half(forge))}, broken


def detector_attack(detector: Logit, x: Tensor, *, steps: int) -> Task:
    """PGD on fakes, by ours and by the peers that are installed; worth the mean margin by which the fakes pass."""
    objective, step = towards_real(detector), REACH * DETECTOR_EPS / steps
    contenders = {"ours": lambda: _pgd(x, objective, DETECTOR_EPS, step, steps)}
    for name, (module, make) in PEERS.items():
        if find_spec(module):
            contenders[name] = make(TwoClasses(detector).eval(), x, DETECTOR_EPS, step, steps)

    @torch.no_grad()
    def margin(x_adv: Tensor) -> float:
        return -logits(detector, x_adv).mean().item()

    return contenders, margin


def frechet(a: np.ndarray, b: np.ndarray) -> Task:
    """The Frechet distance of two feature tables by ours, by the matrix root and by torchmetrics; worth itself."""
    from torchmetrics.image.fid import _compute_fid

    def theirs() -> float:
        tables = [torch.from_numpy(table) for table in (a, b)]
        return _compute_fid(*(part for table in tables for part in (table.mean(0), table.T.cov()))).item()

    return {
        "matrix_root": lambda: incumbents.frechet_distance(a, b), "torchmetrics": theirs,
        "ours": lambda: frechet_distance(a, b),
    }, float  # fmt: skip


def _pgd(x: Tensor, objective: Objective, eps: float, step: float, steps: int) -> Tensor:
    return pgd(x, objective, eps=eps, step=step, steps=steps, generators=image_generators(0, "pgd", range(len(x))))


class TwoClasses(nn.Module):
    """A detector's logit of "fake" as peers want it: the logits of two classes, real and fake."""

    def __init__(self, detector: Logit) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, x: Tensor) -> Tensor:
        z = logits(self.detector, x)
        return torch.stack([torch.zeros_like(z), z], dim=1)


def _torchattacks(model: nn.Module, x: Tensor, eps: float, step: float, steps: int) -> Callable[[], Tensor]:
    from torchattacks import PGD

    attack, fake = PGD(model, eps=eps, alpha=step, steps=steps), torch.ones(len(x), dtype=torch.long)
    return lambda: attack(x, fake)


def _foolbox(model: nn.Module, x: Tensor, eps: float, step: float, steps: int) -> Callable[[], Tensor]:
    from foolbox import PyTorchModel
    from foolbox.attacks import LinfPGD

    seen, fake = PyTorchModel(model.eval(), bounds=(0, 1), device=x.device), torch.ones(len(x), dtype=torch.long)
    return lambda: LinfPGD(abs_stepsize=step, steps=steps)(seen, x, fake, epsilons=eps)[1]


def _art(model: nn.Module, x: Tensor, eps: float, step: float, steps: int) -> Callable[[], Tensor]:
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    seen = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), tuple(x.shape[1:]), 2, clip_values=(0, 1), device_type=x.device.type
    )
    attack = ProjectedGradientDescent(
        seen, eps=eps, eps_step=step, max_iter=steps, num_random_init=1, batch_size=len(x), verbose=False
    )
    fake = np.ones(len(x), dtype=int)
    return lambda: torch.from_numpy(attack.generate(x.numpy(), fake))


PEERS = {  # name: the module to import, and what makes a contender with it
    "torchattacks": ("torchattacks", _torchattacks),
    "foolbox": ("foolbox", _foolbox),
    "art": ("art", _art),
}
