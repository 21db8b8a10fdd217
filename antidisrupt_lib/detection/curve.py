"""A detector scored while it is trained: what it would have known after fewer steps.

The learning rate falls over the whole training. So a point of the curve is this training stopped there, which is a
training of that many steps only where the rate is constant (lr_end = lr).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from antidisrupt_lib.detection.defences import evaluating
from antidisrupt_lib.detection.detectors import probability
from antidisrupt_lib.detection.train import score_table
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.weights import atomic_path


def check_curve(curve: Sequence[int], steps: int) -> None:
    """Raises ValueError: the curve's steps don't rise from 1 or more to at most `steps`."""
    if list(curve) != sorted(set(curve)) or any(not 1 <= at <= steps for at in curve):
        raise ValueError(f"curve must hold rising numbers of steps from 1 to steps = {steps}, and not {list(curve)}.")


def score_on_the_way(
    folder: Path | str, photos: FaceSet, fakes: FaceSet, device: torch.device | str = "cpu"
) -> Callable[[int, nn.Module], None]:
    """What `train_detector` calls at each point of its curve: leaves the detector's scores of a test set in `folder`.

    The detector is scored in evaluation mode and is then as it was, so its training goes on as if nobody had looked.
    """

    def look(done: int, detector: nn.Module) -> None:
        with evaluating(detector):
            scores = score_table(probability(detector), photos, fakes, device)
        with atomic_path(_file(folder, done)) as temporary:
            scores.to_parquet(temporary)

    return look


def with_curve(scores: pd.DataFrame, folder: Path | str, curve: Sequence[int], steps: int) -> pd.DataFrame:
    """The trained detector's scores, and before them those that the curve left in `folder`, by a column `steps`."""
    on_the_way = [pd.read_parquet(_file(folder, at)).assign(steps=at) for at in curve if at < steps]
    return pd.concat([*on_the_way, scores.assign(steps=steps)], ignore_index=True)


def clear_curve(folder: Path | str, curve: Sequence[int]) -> None:
    """Remove what the curve left in `folder`, the scores being saved."""
    for at in curve:
        _file(folder, at).unlink(missing_ok=True)


def _file(folder: Path | str, at: int) -> Path:
    return Path(folder) / f"scores_at_{at}.parquet"
