"""How detectors, with and without a purifier before them, judge fakes that were attacked: scores, then values per fake.

White box: a detector judges what was made against it. Black box: what was made against a surrogate of the same seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from antidisrupt_lib.detection.attack import CarliniWagner, NamedAttack, write_attacked
from antidisrupt_lib.detection.detectors import Detector, detect_with, load_with_axes, score
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.purify import load_purifier

AXES = ["faces", "attack", "purifier", "arm", "detector", "seed"]
OF_ATTACKS = ("attack_success", "attack_success_first_fake")
HALF = 0.5  # of P(fake), from which on an image is called fake
PUBLISHED_THRESHOLD = 0.25  # Gandhi & Jain's


@dataclass(frozen=True)
class Trained:
    """A trained detector, frozen and in evaluation mode, with its axes (detector, arm, seed)."""

    path: Path
    network: Detector
    axes: dict

    @property
    def name(self) -> str:
        return f"{self.axes['detector']}_{self.axes['arm']}_{self.axes['seed']}"

    def is_surrogate_of(self, other: "Trained") -> bool:
        """Whether `other` may be attacked by way of this one: trained anew from the same seed."""
        return self.name != other.name and self.axes["seed"] == other.axes["seed"]

    def seen_from(self, judge: "Trained") -> str:
        """What is added to an attack's name for the detector it was made against."""
        arm = "" if self.axes["arm"] == "none" else f"_{self.axes['arm']}"
        return "" if self.name == judge.name else f"_from_{self.axes['detector']}{arm}"


def open_trained(paths: Iterable[Path], device: torch.device | str = "cpu") -> list[Trained]:
    """The detectors of some weights files whose cards tell their axes (notebook 14).

    Raises:
        ValueError: two have the same axes, and their results could not be told apart.
    """
    opened: dict[str, Trained] = {}
    for path in paths:
        network, axes = load_with_axes(path)
        one = Trained(path, network.to(device).eval().requires_grad_(False), axes)
        if one.name in opened:
            raise ValueError(
                f"{path} and {opened[one.name].path} are both {one.name}. Give one of them another `name`."
            )
        opened[one.name] = one
    return list(opened.values())


def craft(
    folder: Path | str, fakes: FaceSet, attacked: Sequence[Trained], attacks: Sequence[NamedAttack], *,
    defense: Path | str = "", steps: int, cw: CarliniWagner, seed: int, device: torch.device | str = "cpu",
    batch_size: int = 32,
) -> dict[tuple[str, str], FaceSet]:  # fmt: skip
    """Every attack against every detector: FaceSets by (detector's name, attack's name), written below `folder`.

    Args:
        defense: the folder with the weights of the purifiers that attacks reckon with.
    """
    made = {}
    for attack in attacks:
        purifiers = [load_purifier(name, defense, device) for name in attack.seen_through]
        for victim in attacked:
            made[victim.name, attack.name] = write_attacked(
                Path(folder) / victim.name / attack.name, fakes, victim.network, attack, steps=steps, cw=cw, seed=seed,
                seen_through=lambda keys, purifiers=purifiers: [as_transform(purify, keys) for purify in purifiers],
                device=device, batch_size=batch_size,
            )  # fmt: skip
    return made


def judge(trained: Trained, faces: FaceSet, device: torch.device | str = "cpu") -> np.ndarray:
    """P(fake) of every image."""
    return score(detect_with(trained.network), faces, device).numpy()


def judge_all(
    judges: Sequence[Trained], surrogates: Sequence[Trained], seen: Mapping[str, Mapping], source: np.ndarray,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:  # fmt: skip
    """What every detector says of all that it may meet: the columns of `attack_values`, AXES, `image_id`, `source_id`.

    Args:
        surrogates: the detectors whose attacks are tried on the others too.
        seen: by the purifier before the detector ("" for none): the FaceSets "photos", "fakes", and all of `craft`.
        source: for each fake the row of its photo.
    """
    tables = []
    for one in judges:
        makers = {one.name: one} | {other.name: other for other in surrogates if other.is_surrogate_of(one)}
        for purifier, sets in seen.items():
            fakes = sets["fakes"]
            real, before = judge(one, sets["photos"], device)[source], judge(one, fakes, device)
            values = {"": attack_values(before, before, real) | dict.fromkeys(OF_ATTACKS, np.nan)}
            for (maker, attack), faces in ((key, faces) for key, faces in sets.items() if key[0] in makers):
                changes = {} if purifier else sizes(fakes, faces)
                attack += makers[maker].seen_from(one)
                values[attack] = attack_values(before, judge(one, faces, device), real, changes)
            axes = {axis: one.axes.get(axis, "") for axis in ("faces", "arm", "detector", "seed")}
            ids = {"image_id": fakes.image_ids, "source_id": fakes.table["source_id"].to_numpy()}
            about = axes | ids | {"purifier": purifier}
            tables += [pd.DataFrame(found | about | {"attack": attack}) for attack, found in values.items()]
    return pd.concat(tables, ignore_index=True)


def attack_values(
    before: np.ndarray, after: np.ndarray, real: np.ndarray, changes: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """Measures of an attack, a value per fake, whose means are the results; NaN where a fake does not count.

    `attack_success` is the share of the attacked fakes called real (protocol 4.5), `attack_success_first_fake` counts
    those only that were called fake before. `accuracy` gives half of the weight to the fakes and half to the photos
    that they were made of, `_at_0.25` is at Gandhi & Jain's threshold.

    Args:
        before, after: P(fake) of the fakes as they were, and attacked.
        real: P(fake) of the photo of each fake, which nobody attacks.
        changes: `l2_norm` and `linf` of what the attack did, see `sizes`; if that is asked.
    """
    fooled = (after < HALF).astype(float)
    values = dict(zip(OF_ATTACKS, (fooled, np.where(before >= HALF, fooled, np.nan)), strict=True))
    for threshold, ending in ((HALF, ""), (PUBLISHED_THRESHOLD, f"_at_{PUBLISHED_THRESHOLD}")):
        fake_right, real_right = (after >= threshold).astype(float), (real < threshold).astype(float)
        values |= {
            f"accuracy{ending}": (fake_right + real_right) / 2,
            f"recall_fake{ending}": fake_right,
            f"recall_real{ending}": real_right,
        }
    if changes:
        values |= dict(changes) | {"l2_norm_of_successes": np.where(fooled > 0, changes["l2_norm"], np.nan)}
    return values


def sizes(fakes: FaceSet, attacked: FaceSet) -> dict[str, np.ndarray]:
    """L2 norm and largest change of each attacked fake, in [0, 1] units."""
    change = (attacked.images.astype(np.float32) - fakes.images.astype(np.float32)).reshape(len(fakes), -1) / 255
    return {"l2_norm": np.linalg.norm(change, axis=1), "linf": np.abs(change).max(axis=1)}


def photos_of(fakes: FaceSet, photos: FaceSet) -> tuple[FaceSet, np.ndarray]:
    """The photos that some fakes were made of, each once, and for each fake the row of its photo.

    Raises:
        ValueError: a fake was made of none of these photos.
    """
    rows = {image_id: i for i, image_id in enumerate(photos.image_ids)}
    sources = fakes.table["source_id"].tolist()
    if unknown := [source for source in sources if source not in rows]:
        raise ValueError(f"These fakes were made of other photos: {unknown[0]} is not among them. Check both folders.")
    found, index = np.unique([rows[source] for source in sources], return_inverse=True)
    return photos.rows(found), index
