"""Purifiers without a network: smoothing, compression, fewer grey levels. Images float32 NCHW in [0, 1].

They take generators as every purifier does, and draw nothing from them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from scipy.fft import dct
from skimage.restoration import denoise_tv_chambolle
from torch import Generator, Tensor
from torch.nn import functional as F
from torchvision.io import decode_jpeg, encode_jpeg
from torchvision.transforms.v2.functional import gaussian_blur


@dataclass(frozen=True)
class Filter:
    """What the purifiers without a network share."""

    network_calls: ClassVar[int] = 0
    differentiable: ClassVar[bool] = True


@dataclass(frozen=True)
class Unchanged(Filter):
    """The purifier that does nothing."""

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return x


@dataclass(frozen=True)
class GaussianBlur(Filter):
    """A Gaussian of `sigma` pixels in a `kernel` x `kernel` window; the defaults are the original's (protocol 1.4)."""

    sigma: float = 1.5
    kernel: int = 11

    def __post_init__(self) -> None:
        _check_kernel(self.kernel)
        check_positive("A Gaussian blur's sigma", self.sigma)

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return gaussian_blur(x, self.kernel, self.sigma)


@dataclass(frozen=True)
class SquareBlur(Filter):
    """What blurs over the `kernel` x `kernel` pixels around each share; the image is mirrored at its borders."""

    kernel: int = 3

    def __post_init__(self) -> None:
        _check_kernel(self.kernel)

    def mirrored(self, x: Tensor) -> Tensor:
        return F.pad(x, [self.kernel // 2] * 4, mode="reflect")


@dataclass(frozen=True)
class AverageBlur(SquareBlur):
    """The mean of the pixels around each."""

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return F.avg_pool2d(self.mirrored(x), self.kernel, stride=1)


@dataclass(frozen=True)
class MedianBlur(SquareBlur):
    """The median of the pixels around each, channel by channel."""

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        windows = F.unfold(self.mirrored(x), self.kernel)
        return windows.unflatten(1, (x.shape[1], -1)).median(2).values.view_as(x)


@dataclass(frozen=True)
class Jpeg(Filter):
    """A JPEG file of `quality` 1..100 and back: 8 bits, chroma at half the resolution, as libjpeg writes it."""

    quality: int = 75
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_quality(self.quality)

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        pixels = x.detach().mul(255).round().byte().cpu()
        files = [encode_jpeg(image, self.quality) for image in pixels]
        return torch.stack([decode_jpeg(file) for file in files]).to(x) / 255

    def surrogate(self, x: Tensor) -> Tensor:
        """What an attacker differentiates in its place."""
        return soft_jpeg(self.quality)(x)


@dataclass(frozen=True)
class BitDepth(Filter):
    """Every value rounded to the nearest of 2^bits levels (feature squeezing, Xu et al. 2018)."""

    bits: int = 5
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 8:
            raise ValueError(f"A bit depth is 1 to 8 bits, not {self.bits}.")

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        levels = 2**self.bits - 1
        return (x * levels).round() / levels


@dataclass(frozen=True)
class TotalVariation(Filter):
    """The image of least total variation near the photo (Chambolle 2004); a larger `weight` smooths more."""

    weight: float = 0.03
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_positive("A total variation's weight", self.weight)

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        smooth = [denoise_tv_chambolle(image, self.weight, channel_axis=0) for image in x.detach().cpu().numpy()]
        return torch.from_numpy(np.stack(smooth)).to(x).clamp(0, 1)


def soft_jpeg(quality: int) -> Callable[[Tensor], Tensor]:
    """A JPEG that attacks can differentiate: `transform(x) -> x`, near Jpeg(quality) in value.

    YCbCr, chroma at half the resolution, 8x8 DCT and libjpeg's quantisation tables are the real ones; only the rounding
    is replaced by round(c) + (c - round(c))^3, which has a gradient (Shin & Song 2017). Sizes need not divide by 16.
    """
    _check_quality(quality)

    def transform(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        padded = F.pad(x, (0, -width % 16, 0, -height % 16), mode="replicate")
        y, chroma = _mix(padded * 255, _TO_YCBCR).split([1, 2], dim=1)
        tables = _quantisation_tables(quality)
        y = _through_blocks(y - 128, tables[0]) + 128
        chroma = F.interpolate(_through_blocks(F.avg_pool2d(chroma, 2), tables[1]), scale_factor=2, mode="bilinear")
        rgb = _mix(torch.cat([y, chroma], dim=1), _TO_YCBCR.inverse())
        return (rgb / 255).clamp(0, 1)[..., :height, :width]

    return transform


# JPEG's colours (JFIF 1.02): luma, then the blue and red differences around 0
_TO_YCBCR = torch.tensor([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])


def _mix(x: Tensor, colours: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", colours.to(x), x)


def _through_blocks(planes: Tensor, table: Tensor) -> Tensor:
    """Planes in grey levels around 0 through the DCT, the quantisation of all 8x8 blocks, and back."""
    basis, step = _dct_basis().to(planes), table.to(planes).view(1, 64, 1, 1)
    each = planes.flatten(0, 1)[:, None]
    quantised = _soft_round(F.conv2d(each, basis, stride=8) / step)
    return F.conv_transpose2d(quantised * step, basis, stride=8).view_as(planes)


def _soft_round(c: Tensor) -> Tensor:
    nearest = c.round()
    return nearest + (c - nearest) ** 3


@cache
def _dct_basis() -> Tensor:
    """The 64 patterns of the orthonormal 8x8 DCT, row by row, as filters 64 x 1 x 8 x 8."""
    waves = torch.from_numpy(dct(np.eye(8), axis=0, norm="ortho"))
    return torch.einsum("uy,vx->uvyx", waves, waves).reshape(64, 1, 8, 8)


@cache
def _quantisation_tables(quality: int) -> Tensor:
    """Steps of luma and chroma at this quality, 2 x 64 row by row, read from a file that libjpeg wrote."""
    file = BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return torch.tensor([image.quantization[i] for i in (0, 1)])


def _check_kernel(kernel: int) -> None:
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"A blur's kernel is an odd number of pixels, not {kernel}.")


def _check_quality(quality: int) -> None:
    if not 1 <= quality <= 100:
        raise ValueError(f"A JPEG's quality is 1 to 100, not {quality}.")


def check_positive(what: str, value: float) -> None:
    """Refuse a number that isn't above 0.

    Raises:
        ValueError: with what it is.
    """
    if value <= 0:
        raise ValueError(f"{what} must be above 0, not {value}.")
