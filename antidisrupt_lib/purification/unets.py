"""Epsilon networks: the paper's U-Net in its published layout, and diffusers' UNet2DModel behind the same call.

An epsilon network is `e(x_t, t)`: images N x 3 x H x W in [-1, 1] and steps t in 1..T (N integers) to the noise in x_t.
"""

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from antidisrupt_lib.purification.schedule import T
from antidisrupt_lib.weights import first_sentence


class Conv3(nn.Module):
    """Three 3x3 convolutions with GroupNorm(8) and ReLU; `residual` adds the first to the rest over sqrt(2)."""

    def __init__(self, c_in: int, c_out: int, residual: bool = False) -> None:
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(c_in, c_out, 3, padding=1), nn.GroupNorm(8, c_out), nn.ReLU())
        self.conv = nn.Sequential(
            nn.Conv2d(c_out, c_out, 3, padding=1), nn.GroupNorm(8, c_out), nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1), nn.GroupNorm(8, c_out), nn.ReLU(),
        )  # fmt: skip
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        first = self.main(x)
        rest = self.conv(first)
        return (first + rest) / 2**0.5 if self.residual else rest


class UpBlock(nn.Module):
    """Doubling transposed convolution, then two Conv3, over the input joined with its skip connection."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.ConvTranspose2d(c_in, c_out, 2, 2), Conv3(c_out, c_out), Conv3(c_out, c_out))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.model(torch.cat([x, skip], dim=1))


class SineTime(nn.Module):
    """Time embedding: linear without bias, sine, linear; t/T to N x dim x 1 x 1."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(1, dim, bias=False), nn.Linear(dim, dim)

    def forward(self, t: Tensor) -> Tensor:
        return self.lin2(torch.sin(self.lin1(t[:, None])))[:, :, None, None]


class PublishedUNet(nn.Module):
    """The paper's network (protocol 1.4): 11,349,635 parameters at n_feat 128, no attention.

    Sizes must be divisible by 32: three halvings and a 4x4 pooling at the bottleneck.
    """

    name = "published"
    multiple = 32  # of pixels, that the side of an image must have

    def __init__(self, n_feat: int = 128) -> None:
        super().__init__()
        self.architecture = {"n_feat": n_feat}
        f = n_feat
        self.init_conv = Conv3(3, f, residual=True)
        self.down1, self.down2, self.down3 = (
            nn.Sequential(Conv3(a, b), nn.MaxPool2d(2)) for a, b in ((f, f), (f, 2 * f), (2 * f, 2 * f))
        )
        self.to_vec = nn.Sequential(nn.AvgPool2d(4), nn.ReLU())
        self.timeembed = SineTime(2 * f)
        self.up0 = nn.Sequential(nn.ConvTranspose2d(2 * f, 2 * f, 4, 4), nn.GroupNorm(8, 2 * f), nn.ReLU())
        self.up1, self.up2, self.up3 = UpBlock(4 * f, 2 * f), UpBlock(4 * f, f), UpBlock(2 * f, f)
        self.out = nn.Conv2d(2 * f, 3, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        x = self.init_conv(x)
        d1 = self.down1(x)
        d2 = self.down2(d1)
        d3 = self.down3(d2)
        time = self.timeembed(t.to(x) / T)
        h = self.up0(self.to_vec(d3) + time)
        h = self.up1(h, d3) + time
        h = self.up2(h, d2)
        return self.out(torch.cat([self.up3(h, d1), x], dim=1))


class DiffusersUNet(nn.Module):
    """diffusers' UNet2DModel without attention; `channels` per resolution, `layers` residual blocks each."""

    name = "diffusers"

    def __init__(self, channels: tuple[int, ...] = (32, 64, 64, 128), layers: int = 1) -> None:
        super().__init__()
        self.architecture = {"channels": list(channels), "layers": layers}
        depth = len(channels)
        self.multiple = 2 ** (depth - 1)  # of pixels, that the side of an image must have
        self.unet = UNet2DModel(
            in_channels=3, out_channels=3, block_out_channels=tuple(channels), layers_per_block=layers,
            norm_num_groups=8, down_block_types=("DownBlock2D",) * depth, up_block_types=("UpBlock2D",) * depth,
            add_attention=False,
        )  # fmt: skip

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.unet(x, t - 1).sample


NETWORKS = {network.name: network for network in (PublishedUNet, DiffusersUNet)}


def make_network(name: str, architecture: dict) -> nn.Module:
    """An untrained epsilon network.

    Raises:
        ValueError: the name or the architecture is unknown.
    """
    if name not in NETWORKS:
        raise ValueError(f"There is no epsilon network {name!r}. Choose from: {', '.join(NETWORKS)}.")
    try:
        return NETWORKS[name](**architecture)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        why = first_sentence(error)
        raise ValueError(f"The network {name!r} can't be built from {architecture}: {why}.") from error
