"""The adaptive standard on a FaceSet: disrupted for one purifier at several sizes, met by that one and by others."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.disruption.ball import REACH
from antidisrupt_lib.disruption.declared import check_eight_bits
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.hardest import (
    NOISE,
    UNAWARE,
    Effort,
    Victim,
    attacks_of,
    disrupt_knowing,
    forging,
    keys_of,
    resubmitted,
)
from antidisrupt_lib.purification.purifiers import Purifier

NOTHING = "none"  # what they knew who knew no purifier


def check_standard(names: Sequence[str], epsilons: Sequence[float], steps: int) -> None:
    """Refuse attacks that aren't of the standard, and sizes that 8 bits can't hold or that come twice.

    Raises:
        ValueError: as said.
    """
    attacks_of(names, None)
    for eps in epsilons:
        check_eight_bits(pgd, eps, REACH * eps / steps, steps)
    if len(set(epsilons)) < len(epsilons):
        raise ValueError(f"eps and all of epsilons must differ, unlike {list(epsilons)}.")


def sweep_standard(
    photos: FaceSet, forge: Forger, known: str, purifiers: Mapping[str, Purifier],
    sizes: Mapping[float, Sequence[str]], *, effort: Effort, times: int, seed: int, device: torch.device | str = "cpu",
    batch_size: int = 16,
) -> tuple[pd.DataFrame, dict[tuple[float, str], Tensor]]:  # fmt: skip
    """Disrupt each photo with every attack of the standard, and let it meet every purifier, `times` times each.

    Args:
        known: which of `purifiers` the disruptor knows; the others are chosen after the disruption.
        sizes: the attacks by name that are tried at each eps.

    Returns:
        A row per eps, attack, purifier met, draw, photo and edit: `eps`, `known` ("none" for attacks without
        knowledge), `attack`, `purifier`, `draw`, `image_id`, `person`, `answer` (the edit), `changes` (whether it asks
        for what the photo hasn't got) and `value` (L2); and the disrupted photos by eps and attack.
    """
    labels, tables, images = photos.labels(ATTRIBUTES), [], {}
    for rows, x in photos.batches(batch_size, f"disrupting for {known}"):
        x, c, ids = x.to(device), labels[rows].to(device), photos.image_ids[rows]
        victim, keys = forging(forge, x, c), keys_of(seed, known, ids)
        changes = (translations(c) != c).any(2).T.cpu().numpy()
        for eps, names in sizes.items():
            made = disrupt_knowing(x, victim, purifiers[known], names, eps=eps, effort=effort, keys=keys)
            for attack, x_adv in made.items():
                images.setdefault((eps, attack), []).append(x_adv.cpu())
                for name, purify in purifiers.items():
                    values = resubmitted(victim.measure, purify, x_adv, keys(f"meets {name}"), times).cpu().numpy()
                    told = {"eps": eps, "attack": attack, "purifier": name}
                    tables.append(_rows(values, victim, ids, photos.people[rows], changes).assign(**told))
    table = pd.concat(tables, ignore_index=True)
    table["known"] = np.where(table["attack"].isin([UNAWARE, NOISE]), NOTHING, known)
    return table, {key: torch.cat(parts) for key, parts in images.items()}


def _rows(
    values: np.ndarray, victim: Victim, image_ids: Sequence[str], people: pd.Series, changes: np.ndarray
) -> pd.DataFrame:
    """A row per draw, photo and answer of values, times x N x T."""
    draw, photo, answer = (axis.ravel() for axis in np.indices(values.shape))
    return pd.DataFrame({
        "draw": draw, "image_id": np.array(image_ids)[photo], "person": people.to_numpy()[photo],
        "answer": np.array(victim.answers)[answer], "changes": changes[photo, answer], "value": values.ravel(),
    })  # fmt: skip
