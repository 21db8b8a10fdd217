"""Protect, purify and check one photo: the three functions behind the command.

What is made is made at the forgers' size and carried to the photo's own; what is said of it is measured on the file
that was written, compression and all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antidisrupt_lib.by_name import purifier as find_purifier
from antidisrupt_lib.disruption.ball import REACH, whole_levels
from antidisrupt_lib.disruption.disrupt import disrupt
from antidisrupt_lib.disruption.sweep import together
from antidisrupt_lib.photos.files import Photo, half_and_back, jpeg_of, read_photo, write_photo
from antidisrupt_lib.photos.judging import ALL, SIZE, Broken, Forgery, open_forgery
from antidisrupt_lib.photos.squares import Square, carried, find_square
from antidisrupt_lib.purification.purifiers import network_calls, purified_by
from antidisrupt_lib.seeding import image_generators

EPS = 0.05
ROUNDS = 8  # after six, a purifier's result at 64 px and the photo that it is carried to differ by 0.4 levels
ROADS = {  # what happens to photos on their way
    "as it is": lambda pixels: pixels,
    "after JPEG 75": lambda pixels: jpeg_of(pixels, 75),
    "after half the size and back": half_and_back,
}


@dataclass(frozen=True)
class Checked:
    """What was found of a photo.

    Attributes:
        square: the part of it that forgers edit.
        broken: by road ("as it is", "after JPEG 75", ...) and forger.
        reference: what its edits were held against, in words.
        notes: what else is to be known.
    """

    path: Path
    square: Square
    broken: Mapping[str, Mapping[str, Broken]]
    reference: str
    notes: tuple[str, ...]


def protect(
    photo: Path | str, out: Path | str, *, forger: str = ALL, eps: float = EPS, attack: str = "pgd", steps: int = 20,
    quality: int = 95, face_detector: str = "auto", seed: int = 0,
) -> Checked:  # fmt: skip
    """Write a photo in which no value differs by more than eps, so that forgers' edits of its face may break.

    Args:
        photo, out: files; the ending of `out` tells its type.
        forger: names of the zoo's or paths of weights, joined by commas: what is attacked, all together.
        eps: in [0, 1] units: 0.05 is 12 of 255 levels. The paper's is 0.025, and good forgers hardly notice either;
            from 0.1 on many of their edits break, and everybody sees it.
        attack: a name, or the dotted name of your own.
        steps: of the attack, which is shown the five edits in turn.
        quality: of JPEG and AVIF, which compress: they move pixels beyond eps by themselves, as `notes` tell.
        face_detector: see `find_square`.
        seed: of the attack's start; the same photo gets the same change.

    Returns:
        Which edits of which forgers the written file breaks, counted on that file. Nothing is promised: where it says
        0, the photo isn't protected.

    Raises:
        ValueError: the photo can't be read, `out` can't hold it, or a name or a number is wrong.

    >>> print(ad.protect("me.jpg", "me.protected.jpg", eps=0.1).broken["as it is"])
    """
    original, forgery = read_photo(photo), _forgery(forger)
    square = find_square(original.shown, face_detector)
    x = square.small(original.shown, SIZE)
    x_adv = disrupt(
        x, forgery.labels(x), together(list(forgery.forgers.values())), attack=attack, transforms=carried(x), eps=eps,
        step=REACH * eps / steps, steps=steps, generators=image_generators(seed, "photo", [0]),
    )  # fmt: skip
    pixels = _changed(original.stored, square, x_adv - x, whole_levels(eps))
    write_photo(out, original, pixels, quality=quality)
    written = read_photo(out)
    notes = (*original.said, *_compression(written.stored, original.stored, eps))
    found = _check(written, original.shown, square, forgery, "its original", *notes)
    return replace(found, notes=(*found.notes, *_achieved(found, eps)))


def purify(
    photo: Path | str, out: Path | str, *, purifier: str = "reverse_diffusion_10", quality: int = 95,
    face_detector: str = "auto", seed: int = 0,
) -> tuple[str, ...]:  # fmt: skip
    """Write a photo from which a purifier has taken what it takes for a disruption; returns what is to be known of it.

    A purifier with a network works on the face at the zoo's size, and its change is carried to the photo's own; one
    without (jpeg_75, gaussian_blur_1.5 ...) works on the whole photo as it is.

    Raises:
        ValueError: as `protect` does.

    >>> ad.purify("me.protected.jpg", "me.purified.jpg", purifier="reverse_diffusion_10")
    """
    treated, clean = read_photo(photo), find_purifier(purifier)
    keys = image_generators(seed, "photo", [0])
    if network_calls(clean) == 0:
        x = torch.from_numpy(treated.stored.copy()).permute(2, 0, 1)[None].float() / 255
        made, said = purified_by(clean, x, keys), f"{purifier} on the whole photo."
        pixels = (255 * made[0]).round().byte().permute(1, 2, 0).numpy()
    else:
        square = find_square(treated.shown, face_detector)
        x = square.small(treated.shown, SIZE)
        pixels = _changed(treated.stored, square, _change_to(_purified(clean, x, keys), treated.shown, square), 255)
        said = f"{purifier} at {SIZE} px. Taken: {square.found}."
    write_photo(out, treated, pixels, quality=quality)
    return (said, *treated.said)


def check(
    photo: Path | str, original: Path | str | None = None, *, forger: str = ALL, face_detector: str = "auto",
) -> Checked:  # fmt: skip
    """Which edits of which forgers break in a photo: as it is, after JPEG 75, and after half the size and back.

    Args:
        original: the photo before it was protected. Without it, the purified photo stands in for it
            (reverse_diffusion_10 of the zoo, which knows drawn faces): an estimate, and too low a one where that leaves
            much of the change, as it does at eps 0.1.
        forger, face_detector: as in `protect`.

    Raises:
        ValueError: a photo can't be read, the two differ in size, or there is no such forger.

    >>> ad.check("me.protected.jpg", "me.jpg").broken["after JPEG 75"]
    """
    treated, forgery = read_photo(photo), _forgery(forger)
    clean = treated if original is None else read_photo(original)
    if clean.shown.shape != treated.shown.shape:
        sizes = [" x ".join(map(str, one.shown.shape[1::-1])) for one in (treated, clean)]
        raise ValueError(
            f"{photo} has {sizes[0]} pixels and {original} {sizes[1]}: give the photo that it was made of."
        )
    square = find_square(clean.shown, face_detector)
    if original is not None:
        return _check(treated, clean.shown, square, forgery, f"{original}")
    x = _purified(find_purifier(), square.small(treated.shown, SIZE), image_generators(0, "photo", [0]))
    note = "The purifier leaves much of a large change, and so too few break: give the original."
    return _check(treated, x, square, forgery, "itself purified: an estimate", note)


_forgery = cache(open_forgery)


def _check(
    photo: Photo, clean: np.ndarray | Tensor, square: Square, forgery: Forgery, reference: str, *notes: str
) -> Checked:
    """`clean` is the original's pixels as shown, or its square at the forgers' size."""
    x = clean if isinstance(clean, Tensor) else square.small(clean, SIZE)
    broken = {road: forgery.broken(square.small(way(photo.shown), SIZE), x) for road, way in ROADS.items()}
    return Checked(photo.path, square, broken, reference, (f"Taken: {square.found}.", *notes))


@torch.no_grad()
def _purified(purifier: object, x: Tensor, keys: list[torch.Generator]) -> Tensor:
    return purified_by(purifier, x, keys)


def _change_to(y: Tensor, shown: np.ndarray, square: Square) -> Tensor:
    """The change that, carried into the square, makes it look like y at the forgers' size.

    To carry a change softens it; so what is missing is added, ROUNDS times (Landweber's iteration).
    """
    change = torch.zeros_like(y)
    for _ in range(ROUNDS):
        change = change + y - square.small(_changed(shown, square, change, 255), SIZE)
    return change


def _changed(stored: np.ndarray, square: Square, change: Tensor, levels: int) -> np.ndarray:
    """The stored pixels with a change at the forgers' size carried into the square, by at most `levels` of 255."""
    pixels = stored.copy()
    moved = np.clip(np.rint(255 * square.enlarged(change)), -levels, levels)
    square.of(pixels)[:] = np.clip(square.of(stored) + moved, 0, 255).astype(np.uint8)
    return pixels


def _achieved(found: Checked, eps: float) -> tuple[str, ...]:
    """Against whom the photo isn't protected at all, in words."""
    none = [name for name, broken in found.broken["as it is"].items() if broken.take and not broken.whole]
    if not none:
        return ()
    return (f"NOT protected against {', '.join(none)}: a larger eps than {eps:g} breaks more, and shows more.",)


def _compression(written: np.ndarray, stored: np.ndarray, eps: float) -> tuple[str, ...]:
    """What a file with losses adds to the change, in words; nothing, where it keeps to eps."""
    moved = np.abs(written.astype(int) - stored).max()
    if moved <= whole_levels(eps):
        return ()
    return (f"Compression moves single values by up to {moved} levels, eps alone {whole_levels(eps)}: .png doesn't.",)
