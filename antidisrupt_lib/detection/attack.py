"""Attacks on detectors: fakes that pass for real, by the attacks of the one gradient engine, in 8 bits.

An attack is called by its name, its size, and what it reckons with, each where it applies:
`pgd_2_255`, `fgsm_5.1_255`, `cw_l2` (which has no size), `pgd_2_255_through_jpeg_75+jpeg_90`; one of your own is
`mylab.attacks:langevin_2_255`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from antidisrupt_lib.detection.objectives import Logit, towards_real
from antidisrupt_lib.disruption.attacks import ATTACKS
from antidisrupt_lib.disruption.ball import check_attack, nearest_in_ball, per_image
from antidisrupt_lib.disruption.cw import cw_l2
from antidisrupt_lib.disruption.declared import Attack, check_eight_bits, declarations
from antidisrupt_lib.disruption.disrupt import SeenThrough, find_attack
from antidisrupt_lib.disruption.objectives import Objective, Transform, loss_and_gradient
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.images import at_eight_bits, check_images
from antidisrupt_lib.naming import base_name, display_name
from antidisrupt_lib.plug_ins import is_plug_in, short_name
from antidisrupt_lib.seeding import image_generators

BOUNDED = tuple(name for name, attack in ATTACKS.items() if not declarations(attack).other_ball)
ROUNDS = 8  # of greedy rounding: the last may turn half of all values


@dataclass(frozen=True)
class CarliniWagner:
    """Settings of C&W. Gandhi & Jain's: confidence 200, initial_c 100, 5 searches of 1,000 steps of 0.01.

    Attributes:
        confidence: the margin, in units of logits, by which a fake has to pass for real.
        initial_c, searches: of the search for the weight c.
        step, steps: Adam's, in each search.
    """

    confidence: float = 0.0
    initial_c: float = 0.01
    searches: int = 9
    step: float = 0.01
    steps: int = 100


@dataclass(frozen=True)
class NamedAttack:
    """An attack understood from its name: one of BOUNDED with its eps in [0, 1] units, or cw_l2 with eps 1.

    `own_attack` makes one of a function.
    """

    name: str
    kind: str | Attack
    eps: float
    seen_through: tuple[str, ...]  # names of purifiers, over which the expectation is taken


def parse_attack(name: str) -> NamedAttack:
    """Understand an attack's name.

    Raises:
        ValueError: there is no such attack.
    """
    kind, eps, through = re.fullmatch(r"(.+?)(?:_(\d+(?:\.\d+)?)_255)?(?:_through_(.+))?", name or "?").groups()
    size, through = float(eps) / 255 if eps else 1.0, tuple(through.split("+")) if through else ()
    if is_plug_in(kind):
        return own_attack(find_attack(kind), size, name=short_name(name), seen_through=through)
    if not (kind in BOUNDED and eps and float(eps) >= 1) and not (kind == "cw_l2" and eps is None):
        raise ValueError(
            f"There is no attack on detectors {name!r}. Name cw_l2, or one of {', '.join(BOUNDED)} with its eps, as in "
            "pgd_2_255 (1 or more: 8 bits hold no less); with _through_jpeg_75+jpeg_90, it reckons with what follows."
        )
    return NamedAttack(name, kind, size, through)


def own_attack(attack: Attack, eps: float, *, name: str = "", seen_through: Sequence[str] = ()) -> NamedAttack:
    """A function of the attacks' signature with its eps in [0, 1] units, called like the others: `mine_2_255`.

    Raises:
        ValueError: 8 bits hold no such eps.
    """
    check_eight_bits(attack, eps, eps, 1)
    size = "" if declarations(attack).other_ball else f"_{255 * eps:.4g}_255"
    through = f"_through_{'+'.join(seen_through)}" if seen_through else ""
    return NamedAttack(name or display_name(attack) + size + through, attack, eps, tuple(seen_through))


def attack_detector(
    x: Tensor, detector: Logit, attack: NamedAttack, *, transforms: Sequence[Transform] = (), steps: int,
    generators: Sequence[Generator], cw: CarliniWagner = CarliniWagner(),
) -> Tensor:  # fmt: skip
    """Fakes x (float32 NCHW in [0, 1]), changed to pass for real, in 8-bit levels.

    Args:
        detector: one logit per image, N or N x 1, in evaluation mode.
        transforms: what may happen to the fake on its way, such as JPEG; the attack succeeds in their mean.
        steps: of an attack in a ball, each 2.5 eps / steps long (Madry et al. 2018).
        cw: for cw_l2 alone.

    Raises:
        ValueError: what attacks refuse of images, sizes and objectives, or the detector gives no N logits.
    """
    x = check_attack(x, attack.eps, cw.step, steps)
    objective = towards_real(detector, transforms)
    if attack.kind == "cw_l2":
        x_adv = cw_l2(
            x, objective, eps=attack.eps, step=cw.step, steps=cw.steps, generators=generators,
            threshold=cw.confidence, searches=cw.searches, initial_c=cw.initial_c,
        )  # fmt: skip
        return round_greedily(x_adv, objective, cw.confidence)
    run, step = find_attack(attack.kind), 2.5 * attack.eps / steps
    x_adv = run(x, objective, eps=attack.eps, step=step, steps=steps, generators=generators)
    x_adv = check_images(x_adv, "What {} makes of fakes", by=run, like=x)
    return nearest_in_ball(x_adv, x, 1.0 if declarations(run).other_ball else attack.eps)


def round_greedily(x_adv: Tensor, objective: Objective, threshold: float) -> Tensor:
    """x_adv in 8-bit levels, each value at the level above or below it, so that the objective reaches the threshold.

    The nearest levels come first. While an image misses the threshold, the values that gain most by the gradient turn
    to their other level: 1 in 256, 1 in 128 ... 1 in 2. What still misses it then is returned as it is.
    """
    here = at_eight_bits(x_adv)
    other = torch.where(here > x_adv, here - 1 / 255, here + 1 / 255).clamp(0, 1)
    for k in range(ROUNDS):
        margin, g = loss_and_gradient(objective, here)
        if (margin >= threshold).all():
            break
        gain = ((other - here) * g).flatten(1)
        count = max(1, gain[0].numel() >> (ROUNDS - k))
        least = gain.topk(count).values[:, -1:].clamp_min(1e-30)
        turn = (gain >= least).view_as(here) & per_image(margin < threshold)
        here, other = torch.where(turn, other, here), torch.where(turn, here, other)
    return here


def write_attacked(
    folder: Path | str, fakes: FaceSet, detector: Logit, attack: NamedAttack, *,
    seen_through: SeenThrough = lambda generators: (), steps: int, cw: CarliniWagner = CarliniWagner(), seed: int,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> FaceSet:  # fmt: skip
    """Attack every fake and write the result as a FaceSet whose axes tell the attack.

    Args:
        seen_through: makes a batch's transforms, given a generator per image for what is random in them.
    """

    def made() -> Iterator[np.ndarray]:
        for chosen, x in fakes.batches(batch_size, attack.name):
            ids = fakes.image_ids[chosen]
            yield to_uint8(attack_detector(
                x.to(device), detector, attack, steps=steps, cw=cw,
                transforms=seen_through(image_generators(seed, "seen through", ids)),
                generators=image_generators(seed, base_name(find_attack(attack.kind)), ids),
            ))  # fmt: skip

    return write_faceset(folder, made(), fakes.table, fakes.axes | {"attack": attack.name}, size=fakes.size)
