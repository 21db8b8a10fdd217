"""One file or a folder of them: what is done is done, what can't be is named, and nothing is written over."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm import tqdm

from antidisrupt_lib.faces.pictures import ENDINGS
from antidisrupt_lib.photos.files import written_as


def photos_in(source: Path) -> list[Path]:
    """The photo that `source` is, or all pictures in that folder and below it.

    Raises:
        ValueError: there is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"There is nothing at {source}: give a photo, or a folder of photos.")
    photos = sorted(path for path in source.rglob("*") if path.suffix.lower() in ENDINGS and path.is_file())
    if not photos:
        raise ValueError(f"{source} holds no picture ({', '.join(sorted(ENDINGS))}).")
    return photos


def pairs(source: Path, out: Path, *, overwrite: bool = False, ending: str = "") -> list[tuple[Path, Path]]:
    """(photo, where its result goes) of a file, or of all pictures in a folder and below it.

    Args:
        ending: of all results (".png"), instead of each photo's own.

    Raises:
        ValueError: there is no photo, or a file would be written over itself, or over another without `overwrite`.
    """
    photos = photos_in(source)
    if source.is_file():
        made = [(source, out / source.name if out.is_dir() else out)]
    elif out.is_file():
        raise ValueError(f"{out} is a file, and {source} a folder: give a folder for its results.")
    else:
        made = [(path, out / path.relative_to(source)) for path in photos]
    made = [(photo, result.with_suffix(ending) if ending else result) for photo, result in made]
    _refuse(made, overwrite)
    return made


def _refuse(made: list[tuple[Path, Path]], overwrite: bool) -> None:
    for photo, result in made:
        if result.resolve() == photo.resolve():
            raise ValueError(f"{result} is the photo itself, which stays as it is: give another name or folder.")
        if result.exists() and not overwrite:
            raise ValueError(f"{result} is there already: give another name or folder, or --overwrite.")
    places = [os.path.normcase(result) for _, result in made]
    if twice := next((place for place in places if places.count(place) > 1), None):
        raise ValueError(f"Two photos would both become {twice}: rename one, or do them one after the other.")
    if len(made) == 1:
        written_as(made[0][1])


def one_by_one(tasks: list, do: Callable[..., object]) -> Iterator[tuple[object, object]]:
    """(task, what `do` made of it, or the error that a broken file raised), with progress and time left on a terminal.

    Raises:
        what `do` raises, if there is one task alone.
    """
    for task in tqdm(tasks, unit="photo", disable=len(tasks) == 1 or not sys.stderr.isatty(), ncols=80):
        try:
            yield task, do(task)
        except (ValueError, OSError) as error:
            if len(tasks) == 1:
                raise
            yield task, error
