"""Purifiers by name, from trained weights, and the purification of a FaceSet."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.plug_ins import is_plug_in, plug_in
from antidisrupt_lib.purification.autoencoders import AUTOENCODERS, load_autoencoders
from antidisrupt_lib.purification.compose import Composed
from antidisrupt_lib.purification.deep_image_prior import (
    DeepImagePrior,
    deep_image_prior_as_published,
    deep_image_prior_shallow,
)
from antidisrupt_lib.purification.everyday import Crop, Gamma, NoisyBicubic, Rescale, Shift
from antidisrupt_lib.purification.filters import (
    AverageBlur,
    BitDepth,
    GaussianBlur,
    Jpeg,
    MedianBlur,
    TotalVariation,
    Unchanged,
)
from antidisrupt_lib.purification.gridpure import GrIDPure
from antidisrupt_lib.purification.purifiers import (
    DDIM,
    Autoencoder,
    DiffPure,
    Diffusion,
    OneStep,
    Purifier,
    ReverseDiffusion,
    network_calls,
    purified_by,
)
from antidisrupt_lib.purification.schedule import T
from antidisrupt_lib.purification.unets import NETWORKS
from antidisrupt_lib.rehearsal import require_multiple
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.weights import load_network, require_size

# What each name stands for, and the numbers that may follow it as NAME_A or NAME_AxB
DIFFUSIONS = {
    "reverse_diffusion": (ReverseDiffusion, {"START": int}),
    "diffpure": (DiffPure, {"START": int}),
    "ddim": (DDIM, {"START": int, "STEPS": int}),
    "one_step": (OneStep, {"START": int}),
    "gridpure": (GrIDPure, {"START": int, "ITERATIONS": int}),
}
UNTRAINED = {
    "none": (Unchanged, {}),
    "gaussian_blur": (GaussianBlur, {"SIGMA": float}),
    "average_blur": (AverageBlur, {"KERNEL": int}),
    "median_blur": (MedianBlur, {"KERNEL": int}),
    "jpeg": (Jpeg, {"QUALITY": int}),
    "bit_depth": (BitDepth, {"BITS": int}),
    "total_variation": (TotalVariation, {"WEIGHT": float}),
    "rescale": (Rescale, {"TIMES": float}),
    "noisy_bicubic": (NoisyBicubic, {"STD": float, "TIMES": int}),
    "crop": (Crop, {"PIXELS": int}),
    "shift": (Shift, {"PIXELS": int}),
    "gamma": (Gamma, {"GAMMA": float}),
    "deep_image_prior": (DeepImagePrior, {"ITERATIONS": int}),
    "deep_image_prior_as_published": (deep_image_prior_as_published, {"ITERATIONS": int}),
    "deep_image_prior_shallow": (deep_image_prior_shallow, {"ITERATIONS": int}),
}
Loader = Callable[[Path, torch.device | str], Purifier]


def purifier_names() -> list[str]:
    """The names that `load_purifier` knows; what can be left out in brackets, numbers in capitals."""
    named = [_syntax(name, list(numbers)) for name, (_, numbers) in (DIFFUSIONS | UNTRAINED).items()]
    return [*named, *AUTOENCODERS]


def _syntax(name: str, numbers: list[str]) -> str:
    return f"{name}[_{'[x'.join(numbers)}{']' * len(numbers)}" if numbers else name


def load_denoiser(path: Path | str, size: int | None = None) -> tuple[nn.Module, int]:
    """An epsilon network from safetensors, by the architecture on its card, and the highest step it was trained for.

    Args:
        size: of the images that it is to purify, in pixels, if that is known.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    network, card = load_network(path, NETWORKS, "an epsilon network")
    max_t = card.get("max_t")
    if type(max_t) is not int or not 1 <= max_t <= T:
        raise ValueError(f"{path} has a card whose max_t is {max_t!r}, no step from 1 to {T}: make the file anew.")
    require_size(card, size, path)
    if size is not None:
        require_multiple(size, network.multiple, f"The epsilon network in {path}")
    return network.eval().requires_grad_(False), max_t


def check_purifier(name: str, defence: dict | None = None) -> None:
    """Raise the ValueError of `load_purifier` if there is no such purifier; no weights are read.

    Args:
        defence: what the stage of its weights has promised (rehearsal.promised), if anything is known of it.
    """
    for part in name.split("+"):
        purifier = _loader(part)
        if not defence or not isinstance(purifier, partial):
            continue
        if "max_t" not in defence:
            raise ValueError(f"{name} needs trained weights: let `defense` be a stage of notebook 03.")
        if purifier.func is _load_diffusion:
            _require_known_step(part, purifier.args[1].start, defence["max_t"])


def check_untrained(name: str) -> None:
    """As `check_purifier`, where no weights are at hand.

    Raises:
        ValueError: there is no such purifier, or it needs weights.
    """
    for part in name.split("+"):
        if isinstance(_loader(part), partial):
            raise ValueError(f"{name} needs trained weights, which can't be given here: choose one of {[*UNTRAINED]}.")


def load_purifier(name: str, folder: Path | str, device: torch.device | str = "cpu") -> Purifier:
    """The purifier called `name`, with the weights in `folder` (made by notebook 03).

    Args:
        name: one of `purifier_names()`, such as `reverse_diffusion`, `reverse_diffusion_20`, `ddim_30x3` or `jpeg_75`;
            or one of your own, such as `mylab.filters:rescale`; or several joined by `+`, which work from left to
            right: `gaussian_blur+reverse_diffusion`.
        folder: read only if some part has weights, and only after all of the name is understood; else it may be "".

    Raises:
        ValueError: there is no such purifier, or one of its numbers is out of range.
    """
    loaders = [_loader(part) for part in name.split("+")]
    parts = tuple(load(Path(folder), device) for load in loaders)
    return parts[0] if len(parts) == 1 else Composed(parts)


def _loader(name: str) -> Loader:
    """What loads one purifier; what is wrong with its name is said here, before any file is read."""
    if is_plug_in(name):
        return _own(name)
    if name in AUTOENCODERS:
        return partial(_load_autoencoder, name)
    found = re.fullmatch(r"(\D+?)(?:_(\d+(?:\.\d+)?)(?:x(\d+))?)?", name)
    base, *texts = [text for text in found.groups() if text] if found else [name]
    kind, types = (DIFFUSIONS | UNTRAINED).get(base, (None, {}))
    typed = list(zip(types.values(), texts, strict=False))
    if kind is None or len(texts) > len(types) or any(type_ is int and "." in text for type_, text in typed):
        raise ValueError(
            f"There is no purifier {name!r}. Choose one, or several joined by +, of: {', '.join(purifier_names())}; or "
            "name a function of yours, as module:function."
        )
    numbers = [type_(text) for type_, text in typed]
    if base in DIFFUSIONS:
        return partial(_load_diffusion, name, kind(None, *numbers))
    purifier = kind(*numbers)
    return lambda folder, device: purifier


def _own(name: str) -> Loader:
    """What gives somebody's own purifier, which must say what it costs."""
    purifier = plug_in(name, "purifier")
    network_calls(purifier)
    return lambda folder, device: purifier.to(device) if isinstance(purifier, nn.Module) else purifier


def _load_diffusion(name: str, untrained: Diffusion, folder: Path, device: torch.device | str) -> Diffusion:
    network, max_t = load_denoiser(folder / "denoiser.safetensors")
    _require_known_step(name, untrained.start, max_t)
    return replace(untrained, network=network.to(device))


def _require_known_step(name: str, start: int, max_t: int) -> None:
    if start > max_t:
        raise ValueError(
            f"{name} starts at step {start}, but its denoiser knows steps 1 to {max_t}: start lower, or train with a "
            "larger max_t."
        )


def _load_autoencoder(name: str, folder: Path, device: torch.device | str) -> Autoencoder:
    network = load_autoencoders(folder / "autoencoders.safetensors")[name]
    return Autoencoder(network.to(device), as_published=name.endswith("as_published"))


@torch.no_grad()
def write_purified(
    folder: Path | str, photos: FaceSet, purifier: Purifier, name: str, *, seed: int,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> tuple[FaceSet, float]:  # fmt: skip
    """Purify every photo and write the result as a FaceSet; returns it with the seconds that one image took.

    Raises:
        ValueError: the purifier gives no images like the photos; nothing is left behind.
    """
    seconds = []

    def made() -> Iterator[np.ndarray]:
        for chosen, x in photos.batches(batch_size, name):
            start = time.perf_counter()
            y = to_uint8(purified_by(purifier, x.to(device), image_generators(seed, name, photos.image_ids[chosen])))
            seconds.append(time.perf_counter() - start)
            yield y

    purified = write_faceset(folder, made(), photos.table, photos.axes | {"purifier": name}, size=photos.size)
    return purified, sum(seconds) / len(photos)
