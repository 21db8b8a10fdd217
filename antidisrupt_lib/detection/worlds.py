"""Trained detectors in other worlds: a part C that was purified, by the purifier of their training or by another.

A world is a pair of FaceSets, photos and the fakes made of them. It is called by what was done to its photos.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import torch

from antidisrupt_lib.detection.detectors import detect_with, load_with_axes
from antidisrupt_lib.detection.train import score_table
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.training import progress
from antidisrupt_lib.weights import find_below


def open_worlds(photos: Iterable[Path | str], fakes: Iterable[Path | str]) -> dict[str, tuple[FaceSet, FaceSet]]:
    """The worlds of some stages' parts C by name, e.g. "pgd_then_diffpure_10"; `fakes` in the order of `photos`.

    Raises:
        ValueError: fakes and photos don't belong together.
    """
    worlds = {}
    for photos_folder, fakes_folder in zip(photos, fakes, strict=True):
        pair = FaceSet.open(f"{photos_folder}/C"), FaceSet.open(f"{fakes_folder}/C")
        history = {axis: value for axis, value in pair[1].axes.items() if axis != "forger"}
        if pair[0].axes != history or set(pair[1].table["source_id"]) != set(pair[0].image_ids):
            raise ValueError(f"The fakes in {fakes_folder} were not made from the photos in {photos_folder}.")
        name = "_then_".join(pair[0].axes[axis] for axis in ("attack", "purifier") if axis in pair[0].axes)
        worlds[name or "clean"] = pair
    return worlds


def find_detectors(folders: Iterable[Path | str]) -> list[Path]:
    """The detectors' weights below some stages' folders (notebook 07).

    Raises:
        FileNotFoundError: a folder has none.
    """
    return find_below(folders, "detector.safetensors")


def score_worlds(
    detectors: Iterable[Path], worlds: Mapping[str, tuple[FaceSet, FaceSet]], device: torch.device | str = "cpu"
) -> pd.DataFrame:
    """Scores of every detector in every world: `score_table`'s columns, the detector's axes, and `world`."""
    tables, detectors = [], list(detectors)
    for path in progress(detectors, "detectors", total=len(detectors)):
        detector, axes = load_with_axes(path)
        detect = detect_with(detector.to(device))
        for world, (photos, fakes) in worlds.items():
            tables.append(score_table(detect, photos, fakes, device).assign(**axes, world=world))
    return pd.concat(tables, ignore_index=True)
