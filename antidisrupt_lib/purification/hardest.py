"""The adaptive standard: all that a disruptor tries who knows the purifier, and what is left when photos are purified
again and again.

Carlini et al. (2019) say what such an attacker must try, Kassis et al. (DiffBreak, NeurIPS 2025) what diffusion
purifiers were spared: exact gradients, the mean over several draws of the purifier's noise in each step, many steps,
several algorithms and starts, patterns that purifiers can't tell from a face, and a purification that may be tried more
than once. An attack is on a victim, a forger or a detector behind the purifier:

    goal(transform, all_at_once) -> Objective   what is raised, looking through a transform, for the photos at hand: the
                                                mean over all T answers in each call, or one answer after the other
    measure(x) -> N x T                         what became of the T answers to photos x: broken from `threshold` on
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Generator, Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.disruption.apgd import apgd
from antidisrupt_lib.disruption.ascent import ascend, low_frequency
from antidisrupt_lib.disruption.attacks import pgd, uniform_noise
from antidisrupt_lib.disruption.ball import REACH, nearest_in_ball
from antidisrupt_lib.disruption.declared import Attack, declarations
from antidisrupt_lib.disruption.disrupt import make_objective
from antidisrupt_lib.disruption.objectives import (
    DISRUPTED,
    Objective,
    Transform,
    identity,
    jointly,
    squared_distance,
)
from antidisrupt_lib.disruption.square import square
from antidisrupt_lib.images import at_eight_bits
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.purifiers import Purifier, network_calls, purified_by
from antidisrupt_lib.seeding import image_generators

Goal = Callable[[Transform, bool], Objective]
Keys = Callable[[str], Sequence[Generator]]  # fresh generators, one per photo, for what is called so
UNAWARE, NOISE = "unaware", "uniform_noise"
STANDARD = ("pgd", "warm", "apgd", "low_frequency", "square")


@dataclass(frozen=True)
class Victim:
    """A victim's view on some photos: what is raised, what is measured, and from where on an answer is broken."""

    goal: Goal
    measure: Callable[[Tensor], Tensor]
    answers: tuple[str, ...]
    threshold: float


@dataclass(frozen=True)
class Effort:
    """How hard an attacker tries.

    Attributes:
        steps: gradients that each attack takes.
        draws: of the purifier's noise, averaged in each of them.
        restarts: from other random starts; the disruptor keeps them all.
        queries: of the attack that has no gradients.
    """

    steps: int = 100
    draws: int = 8
    restarts: int = 2
    queries: int = 400

    def asked(self, attack: str) -> int:
        """How often an attack of this name looks through the purifier at a photo, all restarts together."""
        return self.draws * self.restarts * (self.queries if attack == "square" else self.steps)


def forging(forge: Forger, x: Tensor, c: Tensor) -> Victim:
    """A forger's five edits of photos x with labels c, pushed away from the clean ones; measured by their L2."""
    clean = forge_all(forge, x, c)

    def measure(x_adv: Tensor) -> Tensor:
        return torch.stack(
            [squared_distance(y, y0) for y, y0 in zip(forge_all(forge, x_adv, c), clean, strict=True)], 1
        )

    def goal(transform: Transform, all_at_once: bool) -> Objective:
        conditioning = "jointly" if all_at_once else "in_turn"
        return make_objective("away", forge, x, c, conditioning=conditioning, transforms=[transform])

    return Victim(goal, measure, ATTRIBUTES, DISRUPTED)


def keys_of(seed: int, where: object, image_ids: Sequence[str]) -> Keys:
    """Generators of these photos, the same for whoever asks by the same name."""
    return lambda what: image_generators(seed, f"hardest/{where}/{what}", image_ids)


def known_by(
    victim: Victim, purify: Purifier, generators: Sequence[Generator], draws: int, all_at_once: bool = True
) -> Objective:
    """The victim's goal through the purifier: in the mean over `draws` of its noise, fresh in each call.

    If the answers come one after the other, each draw meets the next one.
    """
    return jointly([victim.goal(as_transform(purify, generators), all_at_once)] * draws)


def attacks_of(names: Sequence[str], unaware: Tensor | None) -> dict[str, Attack]:
    """Attacks of the standard by name; `warm` goes on from what a disruptor made who doesn't know the purifier.

    Raises:
        ValueError: one isn't of the standard.
    """
    known = {"pgd": pgd, "warm": partial(ascend, start=unaware), "apgd": apgd, "low_frequency": low_frequency}
    known |= {"square": square}
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"{unknown[0]!r} is no attack of the adaptive standard. Those are: {', '.join(STANDARD)}.")
    return {name: known[name] for name in names}


def without_knowing(x: Tensor, victim: Victim, *, eps: float, steps: int, keys: Keys) -> Tensor:
    """The photos as PGD leaves them that knows of no purifier, in 8 bits."""
    x_adv = pgd(
        x, victim.goal(identity, False), eps=eps, step=REACH * eps / steps, steps=steps, generators=keys(UNAWARE)
    )
    return nearest_in_ball(x_adv, x, eps)


def disrupt_knowing(
    x: Tensor, victim: Victim, purify: Purifier, names: Sequence[str], *, eps: float, effort: Effort, keys: Keys
) -> dict[str, Tensor]:
    """Photos x as each attack leaves them, in 8 bits inside the eps ball, by name: "apgd", "apgd_2" for a restart.

    What doesn't know the purifier is among them, "unaware", and as a control "uniform_noise".
    """
    unaware = without_knowing(x, victim, eps=eps, steps=effort.steps, keys=keys)
    how = {"eps": eps, "step": REACH * eps / effort.steps, "generators": keys(NOISE)}
    made = {UNAWARE: unaware, NOISE: uniform_noise(x, victim.goal(identity, False), steps=1, **how)}
    for name, attack in attacks_of(names, unaware).items():
        all_at_once = declarations(attack).compares_losses
        for turn in range(effort.restarts):
            label = name if turn == 0 else f"{name}_{turn + 1}"
            objective = known_by(victim, purify, keys(f"{label}/noise"), effort.draws, all_at_once)
            steps = effort.queries if name == "square" else effort.steps
            made[label] = attack(x, objective, **how | {"steps": steps, "generators": keys(label)})
    return {name: nearest_in_ball(x_adv, x, eps) for name, x_adv in made.items()}


@torch.no_grad()
def resubmitted(
    measure: Callable[[Tensor], Tensor], purify: Purifier, x: Tensor, generators: Sequence[Generator], times: int
) -> Tensor:
    """What a victim makes of photos x that are purified `times` times, each with fresh noise: times x N x T."""
    return torch.stack([measure(at_eight_bits(purified_by(purify, x, generators))) for _ in range(times)])


def cost_per_photo(names: Sequence[str], effort: Effort, purify: Purifier, answers: int) -> dict[str, int]:
    """Passes that the standard takes per photo and eps: through the forger, and through the purifier's network.

    A gradient through a network is counted as one pass; it takes about three times as long as one without.
    """
    asked = {name: effort.asked(name) for name in names}
    at_once = {name: declarations(attack).compares_losses for name, attack in attacks_of(names, None).items()}
    passes = sum(looks * (answers if at_once[name] else 1) for name, looks in asked.items())
    return {"forger_passes": passes, "network_calls": sum(asked.values()) * network_calls(purify)}
