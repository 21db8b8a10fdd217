"""Disruptions of many sizes, made against each of several forgers and met by all of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all, translations
from antidisrupt_lib.disruption.ball import REACH
from antidisrupt_lib.disruption.declared import check_eight_bits
from antidisrupt_lib.disruption.disrupt import disrupt, find_attack
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import image_generators

Measure = Callable[[Tensor, Tensor, Tensor], Tensor]
"""measure(y, y0, x) -> N numbers: a deepfake, what it would be of the clean photo, and that photo."""

ALL, NOISE = "all", "noise"  # aims that are no forger: all of them together, and the control's


def check_sweep(forgers: Iterable[str], epsilons: Sequence[float], steps: int, shown_eps: float) -> None:
    """Refuse what a sweep can't run or show.

    Args:
        shown_eps: the size of which a matrix is shown.

    Raises:
        ValueError: a forger has an aim's name, an eps comes twice or is too small for 8 bits, or the one to show isn't
            among them.
    """
    if taken := {ALL, NOISE} & set(forgers):
        raise ValueError(f"A forger can't be called {taken.pop()!r}: so are the aims that are no forger.")
    for eps in epsilons:
        check_eight_bits(find_attack("pgd"), eps, REACH * eps / steps, steps)
    if len(set(epsilons)) < len(epsilons):
        raise ValueError(f"epsilons must differ, unlike {list(epsilons)}.")
    if shown_eps not in epsilons:
        raise ValueError(f"matrix_eps is {shown_eps:g}, and must be one of epsilons: {', '.join(map(str, epsilons))}.")


def together(forgers: Sequence[Forger]) -> Forger:
    """One forger for attacks that are to break several: the outputs of all, one after another in the channels."""
    return lambda x, c: torch.cat([forge(x, c) for forge in forgers], dim=1)


def sweep(
    photos: FaceSet, aims: Mapping[str, Forger], forgers: Mapping[str, Forger], measures: Mapping[str, Measure], *,
    attack: Callable | str = "pgd", epsilons: Sequence[float], steps: int, seed: int, transfer: bool = True,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> pd.DataFrame:  # fmt: skip
    """What every forger makes of photos that were disrupted at several sizes against each of the aims.

    Args:
        aims: the forgers that the disruptor knows, one or several `together`, by name.
        forgers: those that then forge.
        measures: of each deepfake, by name.
        epsilons: in [0, 1] units; the step is REACH * eps / steps.
        transfer: let every forger meet every disruption; else one that aims at a forger meets that one alone.

    Returns:
        A row per aim, forger, eps, photo and edit: `aim`, `forger`, `eps`, `image_id`, `person`, `edit`, `changes`
        (whether the edit asks for anything that the photo hasn't got), and the measures.
    """
    labels, people, tables = photos.labels(ATTRIBUTES), photos.people, []
    for rows, x in photos.batches(batch_size, "disrupting"):
        x, c, ids = x.to(device), labels[rows].to(device), photos.image_ids[rows]
        known = edits_of(ids, people[rows], c)
        with torch.no_grad():
            clean = {name: forge_all(forge, x, c) for name, forge in forgers.items()}
        for aim, forge in aims.items():
            for eps in epsilons:
                x_adv = disrupt(
                    x, c, forge, attack=attack, eps=eps, step=REACH * eps / steps, steps=steps,
                    generators=image_generators(seed, f"sweep/{aim}/{eps}", ids),
                )  # fmt: skip
                victims = forgers if transfer or aim not in forgers else {aim: forge}
                for name, victim in victims.items():
                    table = measured(forge_all(victim, x_adv, c), clean[name], x, measures)
                    tables.append(table.assign(aim=aim, forger=name, eps=eps, **known))
    return pd.concat(tables, ignore_index=True)


def edits_of(image_ids: Sequence[str], people: Iterable[str], c: Tensor) -> dict[str, object]:
    """Columns of the five edits of photos with labels c, edits outermost: image_id, person, and `changes`."""
    changes = (translations(c) != c).any(2).flatten().cpu().numpy()
    return {"image_id": [*image_ids] * len(ATTRIBUTES), "person": [*people] * len(ATTRIBUTES), "changes": changes}


def measured(fakes: Tensor, clean: Tensor, x: Tensor, measures: Mapping[str, Measure]) -> pd.DataFrame:
    """A row per edit and photo, edits outermost: `edit`, and each measure of T x N x 3 x H x W fakes."""
    columns: dict = {"edit": [name for name in ATTRIBUTES for _ in range(len(x))]}
    for name, measure in measures.items():
        columns[name] = torch.cat([measure(y, y0, x) for y, y0 in zip(fakes, clean, strict=True)]).cpu().numpy()
    return pd.DataFrame(columns)
