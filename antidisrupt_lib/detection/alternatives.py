"""What a detector's maker may do with disrupted photos instead of training on purified ones: the data of each way."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from antidisrupt_lib.detection.defences import Defence
from antidisrupt_lib.detection.screen import kept_by
from antidisrupt_lib.detection.train import PLAIN, TrainingSet
from antidisrupt_lib.faces.faceset import FaceSet

WAYS = {
    "screened": "what a screen finds is thrown away",
    "augmented": "JPEG, blur and noise in the training",
    "mixed": "purified photos beside the disrupted ones",
    "patched": "fakes by a mended forger",
}
World = tuple[FaceSet, FaceSet]  # photos and their fakes


def check_ways(ways: Sequence[str]) -> None:
    """Refuse ways that there are not.

    Raises:
        ValueError: with those that there are.
    """
    if unknown := [way for way in ways if way not in WAYS]:
        known = "; ".join(f"{way} ({what})" for way, what in WAYS.items())
        raise ValueError(f"There is no way {unknown[0]!r}. There are: {known}.")


def alternative(
    way: str, worlds: Mapping[str, World], treated: np.ndarray, screened: pd.DataFrame
) -> tuple[TrainingSet, Defence]:
    """What a detector is trained on, and how its images are augmented.

    Args:
        way: one of WAYS.
        worlds: "clean", "disrupted", "purified" and "patched": the same photos in the same order.
        treated: which photos were disrupted; the others are clean in every way.
        screened: whether the screen finds each photo's version, in columns `clean` and `disrupted`.

    Raises:
        ValueError: there is no such way, the screen judged other photos, or it leaves none.
    """
    check_ways([way])
    world = worlds["patched" if way == "patched" else "disrupted"]
    data = TrainingSet(worlds["clean"], world, treated)
    if way == "mixed":
        return data.beside(worlds["purified"]), PLAIN
    if way == "screened":
        if screened["image_id"].tolist() != world[0].image_ids:
            raise ValueError("The screen judged other photos than these. Run notebook 23 on the same part B.")
        return kept_by(data, screened["clean"].to_numpy(), screened["disrupted"].to_numpy()), PLAIN
    return data, Defence("strong") if way == "augmented" else PLAIN
