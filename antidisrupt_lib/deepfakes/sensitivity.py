"""How strongly a forger answers to small changes of its photo: the largest singular value of its Jacobian."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Generator, Tensor
from torch.func import jvp, vjp

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.seeding import image_generators, randn_like


def largest_singular_value(
    f: Callable[[Tensor], Tensor], x: Tensor, generators: Sequence[Generator], steps: int = 20
) -> Tensor:
    """The largest singular value of df/dx at each image x, by power iteration on J^T J: a lower bound that tightens.

    A change of x by a small d changes f(x) by at most this times |d|_2.

    Args:
        f: images N x 3 x H x W to outputs of N rows, each row a function of its own image alone.
        generators: one per image, for the start.
        steps: iterations; each costs a forward-mode and a reverse-mode pass.

    Returns:
        N values.
    """
    x, v = x.detach(), _unit(randn_like(x, generators))
    _, back = vjp(f, x)
    for _ in range(steps):
        _, u = jvp(f, (x,), (v,))
        (v,) = back(u)
        v = _unit(v.detach())
    return jvp(f, (x,), (v,))[1].flatten(1).norm(dim=1).detach()


def sensitivity(
    forge: Forger, photos: FaceSet, *, steps: int, seed: int, device: torch.device | str = "cpu", batch_size: int = 32
) -> Tensor:
    """The largest singular value of each of the five edits at each photo, N x T."""
    labels, parts = photos.labels(ATTRIBUTES), []
    for rows, x in photos.batches(batch_size, "sensitivity"):
        x, ids = x.to(device), photos.image_ids[rows]
        edits = translations(labels[rows]).to(device)
        parts.append(torch.stack([
            largest_singular_value(partial(_swapped, forge, c), x, image_generators(seed, "sensitivity", ids), steps)
            for c in edits
        ], 1))  # fmt: skip
    return torch.cat(parts).cpu()


def _swapped(forge: Forger, c: Tensor, x: Tensor) -> Tensor:
    return forge(x, c)


def _unit(v: Tensor) -> Tensor:
    return v / v.flatten(1).norm(dim=1).clamp_min(1e-20).view(-1, *[1] * (v.ndim - 1))
