"""StarGAN v1 (Choi et al., CVPR 2018) in its published layout, and the wrapper that makes any generator a forger.

Generators work on [-1, 1], as the official weights expect. `forger` wraps one for the rest of the library:
`forge(x, c)` takes and gives images in [0, 1]. InstanceNorm always uses the statistics of the image at hand: the
official code never calls eval(), so its running statistics are never used and are dropped on loading.
"""

from collections.abc import Callable
from math import log2
from pathlib import Path

import torch
from torch import Tensor, nn

ATTRIBUTES = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
HAIR = ATTRIBUTES[:3]

Forger = Callable[[Tensor, Tensor], Tensor]


class ResidualBlock(nn.Module):
    """x + (conv, norm, ReLU, conv, norm)(x)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.InstanceNorm2d(channels, affine=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.main(x)


def _conv_norm_relu(conv: nn.Module) -> list[nn.Module]:
    return [conv, nn.InstanceNorm2d(conv.out_channels, affine=True), nn.ReLU(inplace=True)]


class Generator(nn.Module):
    """G(x, c): image N x 3 x H x W in [-1, 1] and target attributes N x c_dim in {0, 1} to an image in [-1, 1].

    The defaults are the published 8,430,528 parameters. Labels enter as constant maps beside the image; padding is
    with zeros, without which the generator ignores them.
    """

    def __init__(self, conv_dim: int = 64, c_dim: int = 5, blocks: int = 6) -> None:
        super().__init__()
        self.architecture = {"conv_dim": conv_dim, "c_dim": c_dim, "blocks": blocks}
        layers = _conv_norm_relu(nn.Conv2d(3 + c_dim, conv_dim, 7, padding=3, bias=False))
        d = conv_dim
        for _ in range(2):
            layers += _conv_norm_relu(nn.Conv2d(d, 2 * d, 4, stride=2, padding=1, bias=False))
            d *= 2
        layers += [ResidualBlock(d) for _ in range(blocks)]
        for _ in range(2):
            layers += _conv_norm_relu(nn.ConvTranspose2d(d, d // 2, 4, stride=2, padding=1, bias=False))
            d //= 2
        layers += [nn.Conv2d(d, 3, 7, padding=3, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        maps = c[:, :, None, None].expand(-1, -1, *x.shape[2:]).to(x.dtype)
        return self.main(torch.cat([x, maps], dim=1))


class Discriminator(nn.Module):
    """PatchGAN D(x) -> (realness map, attribute logits N x c_dim), for square images of `size` pixels in [-1, 1].

    At 128 px the defaults are the published 44,762,048 parameters.
    """

    def __init__(self, size: int = 128, conv_dim: int = 64, c_dim: int = 5, layers: int = 6) -> None:
        super().__init__()
        if size % 2**layers or layers > log2(size):
            raise ValueError(
                f"A discriminator of {layers} halving layers needs a size divisible by {2**layers}, not {size}."
            )
        channels = [3] + [conv_dim * 2**i for i in range(layers)]
        main: list[nn.Module] = []
        for c_in, c_out in zip(channels, channels[1:], strict=False):
            main += [nn.Conv2d(c_in, c_out, 4, stride=2, padding=1), nn.LeakyReLU(0.01)]
        self.main = nn.Sequential(*main)
        self.conv1 = nn.Conv2d(channels[-1], 1, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels[-1], c_dim, size // 2**layers, bias=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h = self.main(x)
        return self.conv1(h), self.conv2(h).flatten(1)


def forger(generator: nn.Module) -> Forger:
    """`forge(x, c) -> y` over images in [0, 1], with the generator frozen so that gradients reach the image only."""
    return live_forger(generator.eval().requires_grad_(False))


def live_forger(generator: nn.Module) -> Forger:
    """As `forger`, of a generator that is left as it is and may go on training."""

    def forge(x: Tensor, c: Tensor) -> Tensor:
        return generator(2 * x - 1, c.to(x.device)) / 2 + 0.5

    return forge


def layer_outputs(generator: nn.Module, layer: str) -> Forger:
    """As `forger`, but it gives the activation of the submodule called `layer`, of whatever shape, e.g. "main.9".

    Raises:
        ValueError: the generator has no such layer; the text names those it has.
    """
    layers = {name: module for name, module in generator.named_modules() if name}
    if layer not in layers:
        raise ValueError(f"The generator has no layer {layer!r}. It has: {', '.join(layers)}.")
    forge = forger(generator)

    def activation(x: Tensor, c: Tensor) -> Tensor:
        found = []  # a copy, as the ReLU behind a layer works in place
        hook = layers[layer].register_forward_hook(lambda module, inputs, output: found.append(output.clone()))
        try:
            forge(x, c)
        finally:
            hook.remove()
        return found[0]

    return activation


def require_labels(count: int, path: Path | str) -> None:
    """Refuse weights that were trained for another number of attributes.

    Raises:
        ValueError: they were.
    """
    if count != len(ATTRIBUTES):
        raise ValueError(
            f"{path} was trained for {count} instead of {len(ATTRIBUTES)} labels: give weights for "
            f"{', '.join(ATTRIBUTES)}, or an empty path to train them."
        )


def __getattr__(name: str) -> object:
    """`load_generator` lived here before the family grew, and scripts still import it from here."""
    if name != "load_generator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from antidisrupt_lib.deepfakes.forgers import load_generator  # forgers.py imports this module

    return load_generator
