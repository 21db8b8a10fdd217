"""The two denoising autoencoders of MagNet (Meng & Chen 2017) that the paper compares with (protocol 1.4).

As published they read images in [-1, 1] but end in a sigmoid, so that the darker half of every image is out of their
reach. Corrected, they read and write [0, 1].
"""

from pathlib import Path

import torch
from torch import nn

from antidisrupt_lib.rehearsal import require_multiple
from antidisrupt_lib.weights import load_network, require_size


def _convs(count: int, width: int, c_in: int = 3) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i in range(count):
        layers += [nn.Conv2d(c_in if i == 0 else width, width, 3, padding=1), nn.Sigmoid()]
    return layers


def pooled_autoencoder() -> nn.Sequential:
    """defensive-model-1: conv, average pooling, two convs, nearest upsampling, two convs; 3 channels throughout."""
    down = [*_convs(1, 3), nn.AvgPool2d(2), *_convs(2, 3)]
    return nn.Sequential(*down, nn.Upsample(scale_factor=2, mode="nearest"), *_convs(2, 3))


def flat_autoencoder() -> nn.Sequential:
    """defensive-model-2: three 3x3 convolutions of 3 channels, each with a sigmoid, no pooling."""
    return nn.Sequential(*_convs(3, 3))


AUTOENCODERS = {
    "autoencoder_1": pooled_autoencoder,
    "autoencoder_2": flat_autoencoder,
    "autoencoder_1_as_published": pooled_autoencoder,
    "autoencoder_2_as_published": flat_autoencoder,
}


def make_autoencoders(seed: int) -> nn.ModuleDict:
    """All of them, untrained, by name; each pair of forms starts from the same weights."""
    networks = nn.ModuleDict()
    for name, make in AUTOENCODERS.items():
        torch.manual_seed(seed)
        networks[name] = make()
    return networks


def load_autoencoders(path: Path | str, size: int | None = None) -> nn.ModuleDict:
    """All of them by name, from one safetensors file.

    Args:
        size: of the images that they are to purify, in pixels, if that is known.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    networks, card = load_network(path, {"autoencoders": lambda: make_autoencoders(0)}, "autoencoders")
    require_size(card, size, path)
    if size is not None:
        require_multiple(size, 2, f"The pooled autoencoder in {path}")
    return networks.eval().requires_grad_(False)
