"""Purifiers by name, from trained weights, and the purification of a FaceSet."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.purification.autoencoders import AUTOENCODERS, load_autoencoders
from antidisrupt_lib.purification.purifiers import Autoencoder, DiffPure, Purifier, ReverseDiffusion
from antidisrupt_lib.purification.unets import NETWORKS, make_network
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import progress
from antidisrupt_lib.weights import load_state, read_weights

DIFFUSIONS = {"reverse_diffusion": ReverseDiffusion, "diffpure": DiffPure}
NAMES = ("reverse_diffusion", "reverse_diffusion_20", "diffpure", "diffpure_10", *AUTOENCODERS)


def load_denoiser(path: Path | str) -> tuple[nn.Module, int]:
    """An epsilon network from safetensors, by the architecture on its card, and the highest step it was trained for."""
    state, about = read_weights(path)
    if about.get("network") not in NETWORKS:
        raise ValueError(f"{path} holds no epsilon network (its card says {about.get('network')!r}).")
    network = make_network(about["network"], about["architecture"])
    load_state(network, state, path)
    return network.eval().requires_grad_(False), about["max_t"]


def load_purifier(name: str, folder: Path | str, device: torch.device | str = "cpu") -> Purifier:
    """The purifier called `name`, with the weights in `folder` (made by notebook 03).

    Args:
        name: `reverse_diffusion` (start 10) or `diffpure` (start 300), either with another start as `_20`;
            or a name of AUTOENCODERS.

    Raises:
        ValueError: there is no such purifier.
    """
    folder = Path(folder)
    if diffusion := re.fullmatch(r"(reverse_diffusion|diffpure)(?:_(\d+))?", name):
        network, max_t = load_denoiser(folder / "denoiser.safetensors")
        start = {"start": int(diffusion[2])} if diffusion[2] else {}
        purifier = DIFFUSIONS[diffusion[1]](network.to(device), **start)
        if purifier.start > max_t:
            raise ValueError(
                f"{name} starts at step {purifier.start}, but the denoiser in {folder} knows steps 1 to {max_t}."
            )
        return purifier
    if name not in AUTOENCODERS:
        raise ValueError(f"There is no purifier {name!r}. Choose one such as {', '.join(NAMES)}.")
    network = load_autoencoders(folder / "autoencoders.safetensors")[name]
    return Autoencoder(network.to(device), as_published=name.endswith("as_published"))


def write_purified(
    folder: Path | str, photos: FaceSet, purifier: Purifier, name: str, *, seed: int,
    device: torch.device | str = "cpu", batch_size: int = 32,
) -> tuple[FaceSet, float]:  # fmt: skip
    """Purify every photo and write the result as a FaceSet; returns it with the seconds that one image took."""
    seconds = []

    def made() -> Iterator[np.ndarray]:
        for chosen, x in progress(photos.batches(batch_size), name, total=-(-len(photos) // batch_size)):
            start = time.perf_counter()
            y = to_uint8(purifier(x.to(device), image_generators(seed, name, photos.image_ids[chosen])))
            seconds.append(time.perf_counter() - start)
            yield y

    purified = write_faceset(folder, made(), photos.table, photos.axes | {"purifier": name}, size=photos.size)
    return purified, sum(seconds) / len(photos)
