"""How detectors, with and without a purifier before them, judge fakes that were attacked: a score per image.

White box: a detector judges what was made against it. Black box: what was made against a surrogate of the same seed.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from antidisrupt_lib.detection.attack import CarliniWagner, NamedAttack, write_attacked
from antidisrupt_lib.detection.detectors import Detector, detect_with, load_with_axes
from antidisrupt_lib.detection.train import score_rows, score_table
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.purifiers import Purifier
from antidisrupt_lib.purification.purify import load_purifier, write_purified

AXES = ["faces", "attack", "purifier", "arm", "detector", "seed"]


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


@dataclass(frozen=True)
class Exhibits:
    """What detectors meet: photos, the fakes made of them, and these attacked, by (victim's name, attack's name)."""

    photos: FaceSet
    fakes: FaceSet
    attacked: Mapping[tuple[str, str], FaceSet]


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


def behind(purify: Purifier, name: str, images: Exhibits, folder: Path | str, **how: object) -> tuple[Exhibits, float]:
    """All images as an input defence leaves them, written below `folder`, and the seconds that one image took.

    Args:
        how: seed, device and batch_size, as `write_purified` takes them.
    """
    seconds = []

    def defended(faces: FaceSet, *below: str) -> FaceSet:
        purified, each = write_purified(Path(folder).joinpath(*below), faces, purify, name, **how)
        seconds.append((each * len(faces), len(faces)))
        return purified

    attacked = {key: defended(faces, *key) for key, faces in images.attacked.items()}
    left = Exhibits(defended(images.photos, "photos"), defended(images.fakes, "fakes"), attacked)
    taken, count = np.sum(seconds, axis=0)
    return left, float(taken / count)


def score_all(
    judges: Sequence[Trained], surrogates: Sequence[Trained], seen: Mapping[str, Exhibits],
    device: torch.device | str = "cpu",
) -> pd.DataFrame:  # fmt: skip
    """What every detector says of all that it may meet: a row per image with AXES, `image_id`, `source_id`, `fake`,
    `score` (P(fake)), and for attacked fakes that no purifier has touched `l2_norm` and `linf` of the attack.

    The axis `attack` is "" for photos and for fakes as they were; `_from_<surrogate>` marks a black box.

    Args:
        surrogates: the detectors whose attacks are tried on the others too.
        seen: what arrives at the detector, by the name of the purifier before it ("" for none).
    """
    tables = []
    for one in judges:
        makers = {one.name: one} | {other.name: other for other in surrogates if other.is_surrogate_of(one)}
        for purifier, images in seen.items():
            found = {"": score_table(detect_with(one.network), images.photos, images.fakes, device)}
            for (maker, attack), faces in images.attacked.items():
                if maker in makers:
                    table = score_rows(detect_with(one.network), faces, True, device)
                    table = table.assign(**({} if purifier else sizes(images.fakes, faces)))
                    found[attack + makers[maker].seen_from(one)] = table
            axes = {axis: one.axes.get(axis, "") for axis in ("faces", "arm", "detector", "seed")}
            tables += [table.assign(**axes, purifier=purifier, attack=attack) for attack, table in found.items()]
    return pd.concat(tables, ignore_index=True)


def sizes(fakes: FaceSet, attacked: FaceSet) -> dict[str, np.ndarray]:
    """L2 norm and largest change of each attacked fake, in [0, 1] units."""
    change = (attacked.images.astype(np.float32) - fakes.images.astype(np.float32)).reshape(len(fakes), -1) / 255
    return {"l2_norm": np.linalg.norm(change, axis=1), "linf": np.abs(change).max(axis=1)}


def photos_of(fakes: FaceSet, photos: FaceSet) -> FaceSet:
    """The photos that some fakes were made of, each once; of the crops of videos, as many real ones as fakes.

    Raises:
        ValueError: a fake was made of none of these photos.
    """
    if "video_id" in fakes.table:
        return photos.spread(min(len(fakes), len(photos)))
    rows = {image_id: i for i, image_id in enumerate(photos.image_ids)}
    sources = fakes.table["source_id"].tolist()
    if unknown := [source for source in sources if source not in rows]:
        raise ValueError(f"These fakes were made of other photos: {unknown[0]} is not among them. Check both folders.")
    return photos.rows(sorted({rows[source] for source in sources}))
