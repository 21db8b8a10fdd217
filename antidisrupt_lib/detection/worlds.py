"""Trained detectors in other worlds: a part C that was purified by another purifier, or fakes of another forger.

A world is a pair of FaceSets, photos and the fakes made of them. It is called by what was done to its photos, and by
the forger where there are several. In an unedited world the fakes are passes through the forger that ask for nothing:
who calls them fake knows the forger's traces, and not its edits.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd
import torch

from antidisrupt_lib.deepfakes.translations import UNEDITED
from antidisrupt_lib.detection.detectors import detect_with, load_with_axes
from antidisrupt_lib.detection.train import score_table
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.training import progress
from antidisrupt_lib.weights import find_below


def open_worlds(photos: Iterable[Path | str], fakes: Iterable[Path | str]) -> dict[str, tuple[FaceSet, FaceSet]]:
    """The worlds of some stages' parts C by name, e.g. "pgd_then_diffpure_10", or "clean_by_stgan".

    Args:
        photos: folders, in any order: fakes find the photos that they were made from.

    Raises:
        ValueError: some fakes' photos aren't there, or two folders hold the same world.
    """
    sources = [FaceSet.open(f"{folder}/C") for folder in photos]
    pairs = [_with_photos(FaceSet.open(f"{folder}/C"), sources, folder) for folder in fakes]
    forgers = {made.axes.get("forger", "unknown") for _, made in pairs}
    told = len(forgers) > 1 or any(forger.endswith(UNEDITED) for forger in forgers)
    worlds = {}
    for source, made in pairs:
        name = "_then_".join(source.axes[axis] for axis in ("attack", "purifier") if axis in source.axes) or "clean"
        name += f"_by_{made.axes.get('forger', 'unknown')}" if told else ""
        if name in worlds:
            raise ValueError(f"Two folders of fakes hold the world {name}: give one of them.")
        worlds[name] = source, made
    return worlds


def _with_photos(made: FaceSet, sources: list[FaceSet], folder: Path | str) -> tuple[FaceSet, FaceSet]:
    history = {axis: value for axis, value in made.axes.items() if axis != "forger"}
    for source in sources:
        if source.axes == history and set(made.table["source_id"]) == set(source.image_ids):
            return source, made
    raise ValueError(f"The fakes in {folder} were made from none of the photos that are given.")


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
