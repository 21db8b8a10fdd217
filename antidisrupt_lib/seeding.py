"""One random generator per image and per training step.

Every random draw of the study is keyed by (seed, stage, id). Image 123 therefore gets the same noise alone, in a batch
of 64, on another device or after a resume, and training step 500 draws the same batch whether or not the run was
interrupted at step 400. Draws are made on the CPU and moved, so that they don't depend on the device either.
"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor


def key_to_seed(*key: object) -> int:
    """A 63-bit seed from any printable key, the same on every machine and Python."""
    digest = hashlib.blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator(*key: object) -> torch.Generator:
    """A CPU generator for one key, e.g. `generator(seed, "pgd", image_id)`."""
    return torch.Generator().manual_seed(key_to_seed(*key))


def image_generators(seed: int, stage: str, image_ids: Iterable[object]) -> list[torch.Generator]:
    """One generator per image of a batch.

    >>> generators = ad.image_generators(seed, "purify", photos.image_ids)
    """
    return [generator(seed, stage, image_id) for image_id in image_ids]


def numpy_generator(*key: object) -> np.random.Generator:
    """The NumPy twin of `generator`, for tables and bootstraps."""
    return np.random.default_rng(key_to_seed(*key))


def randn_like(x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard normal noise of x's shape; image i of the batch is drawn from generators[i]."""
    return torch.stack([torch.randn(x.shape[1:], generator=g) for g in _one_each(x, generators)]).to(x)


def uniform_like(x: Tensor, generators: Sequence[torch.Generator], radius: float) -> Tensor:
    """Noise from U(-radius, radius) of x's shape; image i of the batch is drawn from generators[i]."""
    draws = [torch.rand(x.shape[1:], generator=g) for g in _one_each(x, generators)]
    return (torch.stack(draws) * 2 - 1).mul(radius).to(x)


def _one_each(x: Tensor, generators: Sequence[torch.Generator]) -> Sequence[torch.Generator]:
    if len(generators) != len(x):
        raise ValueError(f"{len(x)} images need {len(x)} generators, one each, but {len(generators)} were given.")
    return generators
