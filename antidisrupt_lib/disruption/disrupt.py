"""Disrupting a FaceSet: the attack, its conditioning, and the 8 bits in which a photo is published."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.disruption.attacks import AS_PUBLISHED, ATTACKS
from antidisrupt_lib.disruption.objectives import BLACK, GREY, WHITE, Objective, away_from_output, towards_target
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import progress

TARGETS = {"grey": GREY, "black": BLACK, "white": WHITE}


def make_objective(name: str, forge: Forger, x: Tensor, conditions: list[Tensor]) -> Objective:
    """The objective called `name`: "away" from the clean output, or towards "grey", "black" or "white".

    Raises:
        ValueError: there is no such objective.
    """
    if name == "away":
        return away_from_output(forge, x, conditions)
    if name not in TARGETS:
        raise ValueError(f"There is no objective {name!r}. Choose from: away, {', '.join(TARGETS)}.")
    return towards_target(forge, TARGETS[name], conditions)


def eight_bit(x_adv: Tensor, x: Tensor) -> Tensor:
    """x_adv in 8-bit levels, rounded towards x, so that it stays inside every ball around x; x is 8-bit already."""
    return (x + ((x_adv - x) * 255).trunc() / 255).clamp(0, 1)


def disrupt(
    x: Tensor, c: Tensor, forge: Forger, *, attack: Callable | str, objective: str, as_published: bool,
    eps: float, step: float, steps: int, generators: list[torch.Generator],
) -> Tensor:  # fmt: skip
    """Disrupt photos x with own labels c, against the five translations.

    As published (protocol 1.5) the attack is conditioned on the photo's own labels, pulls towards grey whatever
    `objective` says, and FGSM steps by `step`. The corrected form takes the translations in turn, one a step.
    """
    if isinstance(attack, str) and attack not in ATTACKS:
        raise ValueError(f"There is no attack {attack!r}. Choose from: {', '.join(ATTACKS)}, or give a function.")
    run = attack if callable(attack) else (AS_PUBLISHED if as_published else ATTACKS)[attack]
    conditions = [c] if as_published else list(translations(c))
    goal = make_objective("grey" if as_published else objective, forge, x, conditions)
    return eight_bit(run(x, goal, eps=eps, step=step, steps=steps, generators=generators), x)


def write_disrupted(
    folder: Path | str, photos: FaceSet, forge: Forger, *, attack: Callable | str, objective: str = "away",
    as_published: bool = False, eps: float, step: float, steps: int, seed: int,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> FaceSet:  # fmt: skip
    """Disrupt every photo and write the result as a FaceSet whose axes tell the attack.

    Args:
        attack: a name of ATTACKS or a function of the shared signature.
        objective: "away", "grey", "black" or "white".
        eps, step: in [0, 1] units.
    """
    c = photos.labels(ATTRIBUTES)
    name = attack if isinstance(attack, str) else attack.__name__

    def made() -> Iterator[np.ndarray]:
        for chosen, x in progress(photos.batches(batch_size), name, total=-(-len(photos) // batch_size)):
            generators = image_generators(seed, name, photos.image_ids[chosen])
            x_adv = disrupt(
                x.to(device), c[chosen].to(device), forge, attack=attack, objective=objective,
                as_published=as_published, eps=eps, step=step, steps=steps, generators=generators,
            )  # fmt: skip
            yield to_uint8(x_adv)

    axes = photos.axes | {"attack": f"{name}_as_published" if as_published else name}
    return write_faceset(folder, made(), photos.table, axes, size=photos.size)
