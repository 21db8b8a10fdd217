"""Screen and discard: a classifier that finds disrupted photos, so that nobody has to purify them.

The idea is LightShed's (USENIX Security 2025), who find protected pictures to clean them; here what is found is thrown
away, and detectors are trained on what is left. A screen is a detector whose "fakes" are disrupted photos. Its
thresholds come from clean photos of people whom its training hasn't seen.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from antidisrupt_lib.detection.detectors import Detect, detect_with, score
from antidisrupt_lib.detection.train import DetectorConfig, PlainSet, TrainingSet, train_detector
from antidisrupt_lib.faces.faceset import FaceSet, join
from antidisrupt_lib.seeding import numpy_generator

FALSE_ALARMS = (0.01, 0.05)
HELD_OUT = 1 / 3  # of the people, for the thresholds
SHARED = ("image_id", "identity")


def check_apart(training: FaceSet, tests: Mapping[str, FaceSet]) -> None:
    """Refuse a screen that would be tested on photos or on people of its own training.

    Raises:
        ValueError: which part shares what; the text names one.
    """
    for part, faces in tests.items():
        for column in (name for name in SHARED if name in training.table and name in faces.table):
            if shared := set(training.table[column]) & set(faces.table[column]):
                raise ValueError(
                    f"The screen's training and {part} share {len(shared)} values of {column}, e.g. {min(shared)}: "
                    "its hits there would mean nothing. Split people first (notebook 01)."
                )


def held_out(photos: FaceSet, seed: int) -> np.ndarray:
    """Which photos are of the people that are held out for the thresholds: N booleans."""
    people = photos.people
    draws = {person: numpy_generator(seed, "screen", person).random() for person in people.unique()}
    return (people.map(draws) < np.quantile([*draws.values()], HELD_OUT)).to_numpy()


def train_screen(
    clean: FaceSet, disrupted: Sequence[FaceSet], config: DetectorConfig, *, checkpoint: Path | str,
    device: torch.device | str = "cpu",
) -> tuple[Detect, dict[float, float], pd.DataFrame]:  # fmt: skip
    """Train a screen on clean photos and the same disrupted in one or more ways.

    Returns:
        P(disrupted) of images, the threshold for each of FALSE_ALARMS, and the loss history.
    """
    out = held_out(clean, config.seed)
    seen = [faces.of(clean.image_ids).rows(np.flatnonzero(~out)) for faces in disrupted]
    data = PlainSet(clean.rows(np.flatnonzero(~out)), join(seen))
    network, history = train_detector(data, config, checkpoint=checkpoint, device=device)
    screen = detect_with(network)
    return screen, thresholds(score(screen, clean.rows(np.flatnonzero(out)), device).numpy()), history


def thresholds(clean_scores: np.ndarray) -> dict[float, float]:
    """For each of FALSE_ALARMS the score above which at most so many of these clean photos lie."""
    return {rate: float(np.quantile(clean_scores, 1 - rate, method="higher")) for rate in FALSE_ALARMS}


def found(screen: Detect, photos: FaceSet, limit: float, device: torch.device | str = "cpu") -> np.ndarray:
    """Which photos a screen finds disrupted: N booleans."""
    return score(screen, photos, device).numpy() > limit


def kept_by(data: TrainingSet, found_clean: np.ndarray, found_disrupted: np.ndarray) -> TrainingSet:
    """The photos, with their fakes, that a screen lets pass: of each photo its version that is in the world counts.

    Raises:
        ValueError: none is left.
    """
    kept = np.flatnonzero(~np.where(data.treated, found_disrupted, found_clean))
    if not len(kept):
        raise ValueError(f"The screen throws all {len(data.treated)} photos away. Lower the poison ratio.")
    return data.only(kept)
