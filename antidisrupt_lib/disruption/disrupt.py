"""Disrupting a FaceSet: the attack, its conditioning, and the 8 bits in which a photo is published."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import lcm
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.disruption.attacks import ATTACKS
from antidisrupt_lib.disruption.ball import check_attack, nearest_in_ball
from antidisrupt_lib.disruption.declared import Attack, check_eight_bits, declarations, published_form
from antidisrupt_lib.disruption.disruptor import LEARNED, is_learned, learned_attack
from antidisrupt_lib.disruption.objectives import (
    BLACK,
    GREY,
    WHITE,
    Objective,
    Transform,
    away_from_target,
    by_measure,
    identity,
    in_turn,
    jointly,
    towards_target,
)
from antidisrupt_lib.disruption.universal import fixed_perturbation, universal_perturbation
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.images import check_images
from antidisrupt_lib.naming import base_name, display_name
from antidisrupt_lib.plug_ins import is_plug_in, plug_in, short_name
from antidisrupt_lib.seeding import generator, image_generators

TARGETS = {"grey": GREY, "black": BLACK, "white": WHITE}
OBJECTIVES = ("away", *TARGETS, "identity")
CONDITIONINGS = ("own", "in_turn", "jointly", *ATTRIBUTES)
OWN = "a function of yours, as module:function"

SeenThrough = Callable[[Sequence[Generator]], Sequence[Transform]]  # one generator per image to the transforms


# What is maximised


def make_objective(
    name: str, forge: Forger, x: Tensor, c: Tensor, *, conditioning: str = "in_turn",
    transforms: Sequence[Transform] = (), expectation: bool = False,
) -> Objective:  # fmt: skip
    """The objective called `name`, for photos x with own labels c.

    Args:
        name: "away" from the clean output, or towards "grey", "black", "white", or the photo itself, "identity"; or
            your own, by its dotted name: objective(y, y0, x) -> N, of edits y = forge(x_adv, c) and y0 = forge(x, c).
        conditioning: the labels attacked: the photo's "own"; the five translations "in_turn", one a call, or "jointly";
            or one translation, by its attribute, as Ruiz et al. publish it.
        transforms: what may happen to the photo before it is forged; nothing, if empty.
        expectation: each call takes the mean over all transforms, instead of one in turn.

    Raises:
        ValueError: there is no such objective or conditioning.
    """
    check_choices(name, conditioning)
    conditions = choose_conditions(c, conditioning)
    targets = [_target(name, forge, x, condition) for condition in conditions]
    goal = _goal(name, x)
    table = [
        [goal(forge, target, condition, transform) for transform in transforms or [identity]]
        for target, condition in zip(targets, conditions, strict=True)
    ]
    if expectation:
        table = [[jointly(row)] for row in table]
    if conditioning == "jointly":
        table = [[jointly(column) for column in zip(*table, strict=True)]]
    return in_turn(diagonally(table))


def find_attack(attack: Attack | str, as_published: bool = False) -> Attack:
    """The attack of this name (maybe dotted, or a disruptor's weights), or the function that was given.

    In its published form, where it has one.

    Raises:
        ValueError, FileNotFoundError: there is no such attack; the text names those that there are, or what is wrong
            with yours.
    """
    if is_plug_in(attack):
        attack = plug_in(attack, "attack")
    elif is_learned(attack):
        attack = learned_attack(attack)
    if not callable(attack) and not (isinstance(attack, str) and attack in ATTACKS):
        known = ", ".join([*ATTACKS, *LEARNED])
        raise ValueError(
            f"There is no attack {attack!r}. Choose from: {known}, or give a disruptor's weights, or {OWN}."
        )
    found = attack if callable(attack) else ATTACKS[attack]
    return published_form(found) if as_published else found


def check_choices(objective: str, conditioning: str, attack: Attack | str = "pgd") -> None:
    """Refuse names that there are not.

    Raises:
        ValueError: with the names that there are.
    """
    find_attack(attack)
    if is_plug_in(objective):
        plug_in(objective, "objective")
    elif objective not in OBJECTIVES:
        raise ValueError(f"There is no objective {objective!r}. Choose from: {', '.join(OBJECTIVES)}, or give {OWN}.")
    if conditioning not in CONDITIONINGS:
        raise ValueError(f"There is no conditioning {conditioning!r}. Choose from: {', '.join(CONDITIONINGS)}.")


def choose_conditions(c: Tensor, conditioning: str) -> list[Tensor]:
    """The label tensors, N x 5 each, that a conditioning attacks; c are the photos' own."""
    if conditioning == "own":
        return [c]
    five = list(translations(c))
    return [five[ATTRIBUTES.index(conditioning)]] if conditioning in ATTRIBUTES else five


def _goal(name: str, x: Tensor) -> Callable[..., Objective]:
    """What makes an objective of (forge, target, c, transform)."""
    if is_plug_in(name):
        return partial(by_measure, plug_in(name, "objective"), x)
    return away_from_target if name == "away" else towards_target


@torch.no_grad()
def _target(name: str, forge: Forger, x: Tensor, c: Tensor) -> Tensor:
    if name == "away" or is_plug_in(name):
        return forge(x, c)
    return x if name == "identity" else torch.full_like(x, TARGETS[name])


def diagonally(table: Sequence[Sequence[Objective]]) -> list[Objective]:
    """All entries of a table, each a row below and a column right of the last, so that few steps meet all of both."""
    rows, columns = len(table), len(table[0])
    return [table[k % rows][(k + k // lcm(rows, columns)) % columns] for k in range(rows * columns)]


# Disrupting


def attack_name(
    attack: str, *, as_published: bool = False, objective: str = "away", conditioning: str = "in_turn",
    layer: str = "", seen_through: Sequence[str] = (), expectation: bool = False,
) -> str:  # fmt: skip
    """What the results call an attack: its own name, then every choice that differs from the plain form's."""
    attack = learned_attack(attack).__name__ if is_learned(attack) else short_name(attack)
    seen_through = list(map(short_name, seen_through))
    if as_published:
        return f"{attack}_as_published"
    chosen = [
        attack,
        "" if objective == "away" else short_name(objective),
        "" if conditioning == "in_turn" else conditioning,
    ]
    chosen += [layer, "through_" + "+".join(seen_through) if seen_through else "", "expectation" * expectation]
    return "_".join(word for word in chosen if word)


def disrupt(
    x: Tensor, c: Tensor, forge: Forger, *, attack: Attack | str, objective: str = "away",
    conditioning: str = "in_turn", transforms: Sequence[Transform] = (), expectation: bool = False,
    as_published: bool = False, eps: float, step: float, steps: int, generators: Sequence[Generator],
) -> Tensor:  # fmt: skip
    """Disrupt photos x with own labels c; see `make_objective` for what is asked.

    As published (protocol 1.5) the attack is conditioned on the photo's own labels and pulls towards grey, whatever
    `objective` and `conditioning` say, and FGSM steps by `step`. For attacks that declare that they compare losses
    (APGD, C&W), whatever would come in turn is taken jointly. FGSM has one step, and in turn meets one translation, the
    first.

    The result is in 8-bit levels, the nearest that lie inside the eps ball. Those of attacks that declare another ball
    (C&W, Lab chroma) are rounded freely.

    Raises:
        ValueError: there are no such choices, sizes (`check_eight_bits`) or images, or the attack gives no images.
    """
    check_choices(objective, conditioning, attack)
    run = find_attack(attack, as_published)
    x, says = check_attack(x, eps, step, steps), declarations(run)
    check_eight_bits(run, eps, step, steps)
    if as_published:
        objective, conditioning = "grey", "own"
    if says.compares_losses:
        conditioning, expectation = ("jointly" if conditioning == "in_turn" else conditioning), True
    goal = None if says.asks_nothing else make_objective(
        objective, forge, x, c, conditioning=conditioning, transforms=transforms, expectation=expectation
    )  # fmt: skip
    x_adv = run(x, goal, eps=eps, step=step, steps=steps, generators=generators)
    x_adv = check_images(x_adv, "What {} makes of photos", by=run, like=x)
    return nearest_in_ball(x_adv, x, 1.0 if says.other_ball else eps)


def write_disrupted(
    folder: Path | str, photos: FaceSet, forge: Forger, *, attack: Attack | str, objective: str = "away",
    conditioning: str = "in_turn", seen_through: SeenThrough = lambda generators: (), expectation: bool = False,
    as_published: bool = False, name: str = "", eps: float, step: float, steps: int, seed: int,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> FaceSet:  # fmt: skip
    """Disrupt every photo and write the result as a FaceSet whose axes tell the attack.

    Args:
        attack: a name of ATTACKS, or the dotted name of your own; or a function of the shared signature, however it was
            made.
        objective, conditioning, expectation: see `make_objective`.
        seen_through: makes a batch's transforms, given a generator per image for what is random in them.
        as_published: the original's form, see `disrupt`.
        name: what the axis calls the attack; "" for its own name (with "_as_published").
        eps, step: in [0, 1] units.

    Raises:
        ValueError: what `disrupt` refuses; nothing is left behind.
    """
    check_choices(objective, conditioning, attack)
    check_eight_bits(find_attack(attack, as_published), eps, step, steps)
    c = photos.labels(ATTRIBUTES)
    own_name, drawn_as = display_name(find_attack(attack)), base_name(find_attack(attack))

    def made() -> Iterator[np.ndarray]:
        for chosen, x in photos.batches(batch_size, own_name):
            ids = photos.image_ids[chosen]
            x_adv = disrupt(
                x.to(device), c[chosen].to(device), forge, attack=attack, objective=objective,
                conditioning=conditioning, transforms=seen_through(image_generators(seed, "seen through", ids)),
                expectation=expectation, as_published=as_published, eps=eps, step=step, steps=steps,
                generators=image_generators(seed, drawn_as, ids),
            )  # fmt: skip
            yield to_uint8(x_adv)

    axes = photos.axes | {"attack": name or (f"{own_name}_as_published" if as_published else own_name)}
    return write_faceset(folder, made(), photos.table, axes, size=photos.size)


def make_universal(
    photos: FaceSet, forge: Forger, *, objective: str = "away", conditioning: str = "in_turn",
    seen_through: SeenThrough = lambda generators: (), expectation: bool = False, eps: float, step: float, steps: int,
    seed: int, device: torch.device | str = "cpu", batch_size: int = 32,
) -> Attack:  # fmt: skip
    """The attack `universal`: one perturbation for all faces, made of `photos` in `steps` passes over them.

    Raises:
        ValueError: what `disrupt` refuses, or there are no photos.
    """
    check_choices(objective, conditioning)
    check_eight_bits(universal_perturbation, eps, step, steps)
    c, batches, objectives = photos.labels(ATTRIBUTES).to(device), [], []
    for chosen, x in photos.batches(batch_size):
        batches.append(x.to(device))
        transforms = seen_through(image_generators(seed, "seen through", photos.image_ids[chosen]))
        objectives.append(make_objective(
            objective, forge, batches[-1], c[chosen], conditioning=conditioning, transforms=transforms,
            expectation=expectation,
        ))  # fmt: skip
    start = generator(seed, "universal")
    return fixed_perturbation(
        universal_perturbation(batches, objectives, eps=eps, step=step, steps=steps, generator=start)
    )


def counting(forge: Forger) -> tuple[Forger, list[int]]:
    """`forge`, and a list to which each of its passes that has to give gradients adds its number of images."""
    passes: list[int] = []

    def counted(x: Tensor, c: Tensor) -> Tensor:
        if x.requires_grad:
            passes.append(len(x))
        return forge(x, c)

    return counted, passes
