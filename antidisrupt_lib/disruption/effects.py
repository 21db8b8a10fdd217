"""Disruptors side by side: the same photos by each of them, what each costs, and what forgers then make of them."""

import time
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import torch
from torch import Generator, Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all, translations
from antidisrupt_lib.disruption.declared import Attack
from antidisrupt_lib.disruption.disrupt import counting, disrupt
from antidisrupt_lib.disruption.sweep import REACH, Measure
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import image_generators

Way = Callable[[Tensor, Sequence[Generator]], Tensor]  # what photos pass before they are forged; purifiers are such


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
    nothing by itself.

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
        known = {"image_id": ids * len(ATTRIBUTES), "person": [*people[rows]] * len(ATTRIBUTES)}
        known["changes"] = (translations(c) != c).any(2).flatten().numpy()
        for way, pass_through in ways.items():

            def after(images: Tensor, way: str = way, pass_through: Way = pass_through, ids: list = ids) -> Tensor:
                return pass_through(images.to(device), image_generators(seed, f"way/{way}", ids))

            clean = after(x)
            passed = {name: after(images[rows]) for name, images in treated.items()}
            for forger, forge in forgers.items():
                y0 = forge_all(forge, clean, c)
                for name, images in passed.items():
                    table = _measured(forge_all(forge, images, c), y0, clean, measures)
                    tables.append(table.assign(disruptor=name, way=way, forger=forger, **known))
    return pd.concat(tables, ignore_index=True)


def _measured(fakes: Tensor, clean: Tensor, x: Tensor, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """A row per edit and photo, edits outermost."""
    columns: dict = {"edit": [name for name in ATTRIBUTES for _ in range(len(x))]}
    for name, measure in measures.items():
        columns[name] = torch.cat([measure(y, y0, x) for y, y0 in zip(fakes, clean, strict=True)]).cpu().numpy()
    return pd.DataFrame(columns)


def cost(
    photos: FaceSet, attack: Attack | str, forge: Forger, *, eps: float, steps: int, batch_size: int, repeats: int = 3,
    device: torch.device | str = "cpu",
) -> tuple[float, float]:  # fmt: skip
    """(seconds, forger passes with a gradient) per image in a batch of this size; the shortest of `repeats`, warm."""
    x = photos.x([row % len(photos) for row in range(batch_size)], device)
    c = photos.labels(ATTRIBUTES)[[row % len(photos) for row in range(batch_size)]].to(device)
    counted, passes = counting(forge)
    how = {"eps": eps, "step": REACH * eps / steps, "steps": steps}
    seconds = []
    for _ in range(1 + repeats):
        passes.clear()
        keys = image_generators(0, "cost", range(batch_size))
        start = time.perf_counter()
        disrupt(x, c, counted, attack=attack, generators=keys, **how)
        if x.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:]) / batch_size, sum(passes) / batch_size
