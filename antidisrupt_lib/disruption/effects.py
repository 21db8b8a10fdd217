"""Disruptors side by side: the same photos by each of them, what each costs, and what forgers then make of them."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Generator, Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.disruption.ball import REACH
from antidisrupt_lib.disruption.declared import Attack
from antidisrupt_lib.disruption.disrupt import counting, disrupt, find_attack
from antidisrupt_lib.disruption.sweep import ALL, Measure, edits_of, measured, together
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.images import at_eight_bits
from antidisrupt_lib.seeding import image_generators

Way = Callable[[Tensor, Sequence[Generator]], Tensor]  # what photos pass before they are forged; purifiers are such


@dataclass(frozen=True)
class Recipe:
    """How photos are disrupted: by an attack, a function or a name, of so many steps, that knows a forger."""

    attack: Attack | str
    forge: Forger
    steps: int = 1


def recipes_of(
    learned: Iterable[Path | str], attacks: Mapping[str, int], forgers: Mapping[str, Forger]
) -> dict[str, Recipe]:
    """Recipes by the disruptors' names in the results.

    Args:
        learned: weights of disruptors, which are called as their cards say.
        attacks: steps of attacks by name: each knows all forgers ("pgd_for_all"), the first also each alone.

    Raises:
        ValueError: two are called alike.
    """
    everyone = together(list(forgers.values()))
    recipes = {"uniform_noise": Recipe("uniform_noise", everyone)}
    for path in map(str, learned):
        if (name := find_attack(path).__name__) in recipes:
            raise ValueError(f"{path} is called {name}, as another disruptor is: train one of them under another name.")
        recipes[name] = Recipe(path, everyone)
    for i, (attack, steps) in enumerate(attacks.items()):
        aims = {ALL: everyone} | (dict(forgers) if i == 0 else {})
        recipes |= {f"{attack}_for_{aim}": Recipe(attack, forge, steps) for aim, forge in aims.items()}
    return recipes


def treat_all(
    photos: FaceSet, recipes: Mapping[str, Recipe], *, eps: float, seed: int, device: torch.device | str = "cpu"
) -> dict[str, Tensor]:
    """All photos by each recipe, as `treat` gives them."""
    return {
        name: treat(photos, how.attack, how.forge, eps=eps, steps=how.steps, seed=seed, device=device)
        for name, how in recipes.items()
    }


def treat(
    photos: FaceSet, attack: Attack | str, forge: Forger, *, eps: float, steps: int, seed: int,
    as_published: bool = False, device: torch.device | str = "cpu", batch_size: int = 32,
) -> Tensor:  # fmt: skip
    """All photos disrupted, N x 3 x H x W at 8-bit levels; steps of REACH eps / steps. `forge` is what it may know."""
    labels, made = photos.labels(ATTRIBUTES), []
    for rows, x in photos.batches(batch_size, "disrupting"):
        made.append(disrupt(
            x.to(device), labels[rows].to(device), forge, attack=attack, as_published=as_published, eps=eps,
            step=REACH * eps / steps, steps=steps, generators=image_generators(seed, "treat", photos.image_ids[rows]),
        ).cpu())  # fmt: skip
    return torch.cat(made)


@torch.no_grad()
def effects(
    photos: FaceSet, treated: Mapping[str, Tensor], forgers: Mapping[str, Forger], measures: Mapping[str, Measure],
    ways: Mapping[str, Way], *, seed: int, device: torch.device | str = "cpu", batch_size: int = 32,
) -> pd.DataFrame:  # fmt: skip
    """What every forger makes of photos as each disruptor left them, after each way.

    An edit is held against that of the clean photo which went the same way: so a crop, which moves everything, breaks
    nothing by itself. A way ends in a file of 8 bits.

    Args:
        treated: by disruptor, images like the photos.
        measures: of (y, y0, x): the edit, that of the clean photo, and this photo itself, both after the way.

    Returns:
        A row per disruptor, way, forger, edit and photo: `disruptor`, `way`, `forger`, `edit`, `image_id`, `person`,
        `changes` (whether the edit asks for anything that the photo hasn't got), and the measures.
    """
    labels, people, tables = photos.labels(ATTRIBUTES), photos.people, []
    for rows, x in photos.batches(batch_size, "forging"):
        c, ids = labels[rows], photos.image_ids[rows]
        known, here = edits_of(ids, people[rows], c), {None: x} | {name: all_[rows] for name, all_ in treated.items()}
        for way, pass_through in ways.items():
            passed = {
                name: at_eight_bits(pass_through(images.to(device), image_generators(seed, f"way/{way}", ids)))
                for name, images in here.items()
            }
            clean = passed.pop(None)
            for forger, forge in forgers.items():
                y0 = forge_all(forge, clean, c)
                for name, images in passed.items():
                    table = measured(forge_all(forge, images, c), y0, clean, measures)
                    tables.append(table.assign(disruptor=name, way=way, forger=forger, **known))
    return pd.concat(tables, ignore_index=True)


def cost(
    photos: FaceSet, how: Recipe, *, eps: float, batch_size: int, repeats: int = 1, device: torch.device | str = "cpu"
) -> tuple[float, float]:
    """(seconds, forger passes with a gradient) per image in a batch of this size; the shortest of `repeats`, warm."""
    rows = [row % len(photos) for row in range(batch_size)]
    x, c = photos.x(rows, device), photos.labels(ATTRIBUTES)[rows].to(device)
    forge, passes = counting(how.forge)

    def once(count: int) -> float:
        passes.clear()
        start = time.perf_counter()
        disrupt(
            x[:count], c[:count], forge, attack=how.attack, eps=eps, step=REACH * eps / how.steps, steps=how.steps,
            generators=image_generators(0, "cost", range(count)),
        ).sum().item()  # fmt: skip
        return time.perf_counter() - start

    once(1)
    seconds = min(once(batch_size) for _ in range(repeats))
    return seconds / batch_size, sum(passes) / batch_size
