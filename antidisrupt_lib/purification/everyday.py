"""What happens to photos on the web besides JPEG and blur, as purifiers: resized, cropped, moved, made darker."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, Tensor
from torch.nn import functional as F

from antidisrupt_lib.purification.filters import Filter, check_positive
from antidisrupt_lib.seeding import randn_like


@dataclass(frozen=True)
class Rescale(Filter):
    """To 1 / `times` of its side, as a thumbnail, and back: bicubic, with antialiasing."""

    times: float = 2.0

    def __post_init__(self) -> None:
        if self.times < 1:
            raise ValueError(f"A photo is rescaled to 1 / TIMES of its side, with TIMES from 1 on, not {self.times}.")

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        small = [max(1, round(side / self.times)) for side in x.shape[2:]]
        return _resized(_resized(x, small), list(x.shape[2:])).clamp(0, 1)


@dataclass(frozen=True)
class NoisyBicubic(Filter):
    """Gaussian noise of std `std`, clipped to [0, 1], and then `Rescale`: what noisy upscaling is without its network.

    Hönig et al. (2024, arXiv:2406.12027) add noise of 0.1 and let Stable Diffusion's x4 upscaler draw the picture anew.
    Nothing of that kind is trained on our photos: bicubic interpolation stands in for it, and knows no faces. What
    follows it may know them: `noisy_bicubic+reverse_diffusion`.
    """

    std: float = 0.1
    times: float = 2.0

    def __post_init__(self) -> None:
        check_positive("The std of the noise before upscaling", self.std)
        Rescale(self.times)

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        noisy = (x + self.std * randn_like(x, generators)).clamp(0, 1)
        return Rescale(self.times)(noisy, generators)


@dataclass(frozen=True)
class Crop(Filter):
    """`pixels` cut off at each side, and what is left resized to the old size."""

    pixels: int = 2

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        cut = self.pixels
        if 2 * cut >= min(x.shape[2:]):
            raise ValueError(f"A photo of {x.shape[3]} x {x.shape[2]} px has no {cut} px to lose at each side.")
        inner = x[..., cut : x.shape[2] - cut, cut : x.shape[3] - cut]
        return _resized(inner, list(x.shape[2:])).clamp(0, 1)


@dataclass(frozen=True)
class Shift(Filter):
    """Moved to the right and down by `pixels`; what comes in repeats the border."""

    pixels: int = 2

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return F.pad(x, (self.pixels, 0, self.pixels, 0), mode="replicate")[..., : x.shape[2], : x.shape[3]]


@dataclass(frozen=True)
class Gamma(Filter):
    """x^gamma: darker above 1, brighter below."""

    gamma: float = 1.2

    def __post_init__(self) -> None:
        check_positive("A gamma", self.gamma)

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return x.clamp_min(1e-6) ** self.gamma  # below 1 the slope at 0 is infinite


def _resized(x: Tensor, size: list[int]) -> Tensor:
    return F.interpolate(x, size, mode="bicubic", antialias=True, align_corners=False)
