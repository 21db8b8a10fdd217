"""A study is rehearsed before it runs: each stage promises what it will leave, and each network is tried on nothing.

The `check` cells of notebooks do so, in order: one writes a promise into its `out`, the next reads it where it will
read the result. When a notebook runs, its check cell runs again, so a promise lies beside every result. Networks are
built on the meta device, which has shapes but no numbers: that needs no memory and takes milliseconds.
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from antidisrupt_lib.weights import atomic_path, first_sentence

PROMISE = "promise.json"


def promise(out: Path | str, **facts: object) -> None:
    """Say what the stage that writes to `out` will leave, such as `size=64`: plain values, for those who read it.

    >>> ad.promise(out, size=64)
    """
    with atomic_path(Path(out) / PROMISE) as temporary:
        temporary.write_text(json.dumps(facts))


def promised(folder: Path | str) -> dict:
    """What a stage has promised, by its folder or one inside it; {} where nothing is known, as of foreign folders.

    A fact that isn't there can't be checked: who asks for it leaves out that check.

    >>> size = ad.promised(split).get("size")
    """
    for place in (Path(folder), *Path(folder).parents[:2]):
        if (place / PROMISE).is_file():
            return json.loads((place / PROMISE).read_text())
    return {}


def require_promised(name: str, path: Path | str, what: str) -> None:
    """Refuse to import somebody's own code because the card of weights names it: weights never choose what runs.

    The stage that made them has promised it (`code`, of notebook 02, 07 or 14), or the caller names it himself.

    Raises:
        ValueError: nobody has.
    """
    if name not in promised(Path(path).parent).get("code", {}):
        raise ValueError(
            f"{path} is of {what} of somebody's own, {name}, and weights alone run no code: leave them in the folder "
            "of the stage that made them, or name the code yourself where they are given."
        )


def at_least(least: float, **values: float) -> None:
    """Refuse a parameter that is too small, by its name.

    Raises:
        ValueError: one is below `least`.

    >>> ad.at_least(1, steps=steps, batch_size=batch_size)
    """
    for name, value in values.items():
        if value < least:
            raise ValueError(f"{name} must be at least {least}, not {value}.")


def require_multiple(size: int, factor: int, what: str) -> None:
    """Refuse a size in pixels that `what` can't halve and double again without a loss.

    Raises:
        ValueError: the size is no multiple of `factor`; the text names the nearest that are.
    """
    if size % factor or size < factor:
        near = [multiple for multiple in (size // factor * factor, (size // factor + 1) * factor) if multiple]
        raise ValueError(
            f"{what} needs images whose side is a multiple of {factor} px, not {size}: set the size (of 01_split, as a "
            f"rule) to {' or '.join(map(str, near))}."
        )


def try_network(
    make: Callable[[], nn.Module], *shapes: tuple[int, ...], what: str, gives: tuple[int, ...] | None = None
) -> nn.Module:
    """Build a network on the meta device and pass one input of these shapes, if there are any; returns it.

    Args:
        what: the network in words, for the error.
        gives: the shape that must come out.

    Raises:
        ValueError: it can't be built, or not take such an input.
    """
    try:
        with torch.device("meta"), torch.no_grad():
            network = make().eval().to("meta")  # fixed latents are drawn on the CPU
            result = network(*map(torch.empty, shapes)) if shapes else None
    except Exception as error:  # constructors and layers refuse in many ways
        image = f" or take an image of {shapes[0][-1]} px" if shapes else ""
        raise ValueError(f"{what} can't be built{image}: {first_sentence(error)}.") from error
    if gives and result.shape != gives:
        raise ValueError(f"{what} makes {tuple(result.shape)} of an input of {shapes[0]}, and not {gives}.")
    return network
