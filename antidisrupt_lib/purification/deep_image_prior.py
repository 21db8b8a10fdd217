"""Deep Image Prior (Ulyanov et al. 2018; as a defence of detectors: Gandhi & Jain 2020, protocol 3.6).

For each photo an untrained encoder-decoder learns to draw this one photo from noise. It learns the face before the
disruption, and is stopped in between. No clean photo tells when: the outputs vary least from one iteration to the next
when the face is drawn and the disruption is not yet (ES-WMV, Wang et al. 2021).

A batch of N photos is one network of N groups: image i owns the i-th share of all channels, its weights and noise come
from its own generator, and normalisation is per channel, so that it is purified as it would be in any other batch. A
network of one group would be an ordinary convolution, which sums in another order (oneDNN), and in a hundred iterations
rounding errors grow to many levels: so a single photo is given to two groups.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from antidisrupt_lib.seeding import randn_like, uniform_like

LOOK = 50  # iterations between two looks at the PSNR


@dataclass(frozen=True)
class DeepImagePrior:
    """One optimisation per photo, and the average output where the outputs were steadiest.

    Attributes:
        iterations: at most so many. It is also the stated `network_calls`, of which early stopping may save some.
        channels, skips: widths of the scales and of their skip connections (0: none), the published small variant.
            Photos too small for all scales use the first ones, down to 2 x 2 pixels.
        depth: channels of the input noise, uniform in [0, 0.1].
        jitter: std of the noise added to the input anew in every iteration.
        fall: loss of PSNR against the photo, in dB since the last look, that sends an image back to its weights then.
        decay: of the moving average over outputs.
        window, patience: see `steadiest`. Without a window the average is read at the last iteration.
    """

    iterations: int = 3000
    channels: tuple[int, ...] = (8, 16, 32, 64, 128)
    skips: tuple[int, ...] = (0, 0, 0, 4, 4)
    depth: int = 32
    jitter: float = 1 / 30
    lr: float = 0.01
    fall: float = 5.0
    decay: float = 0.99
    window: int | None = 100
    patience: int = 1000
    differentiable: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"A deep image prior needs at least 1 iteration, not {self.iterations}.")

    @property
    def network_calls(self) -> int:
        return self.iterations

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        if len(x) == 1:
            return self(x.repeat(2, 1, 1, 1), [*generators, *(g.clone_state() for g in generators)])[:1]
        outputs = self.outputs(x.detach(), generators)
        if self.window is None:
            return deque(averaged(outputs, self.decay), maxlen=1).pop()[1]  # thousands of outputs, one kept
        return steadiest(outputs, self.window, self.patience, self.decay)

    @torch.enable_grad()
    def outputs(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        """What the networks draw in each iteration, in [0, 1], while they learn the photos x."""
        network = grouped_network(x, self.depth, self.channels, self.skips, generators)
        optimizer = torch.optim.Adam(network.parameters(), self.lr)
        noise = uniform_like(x.new_empty(len(x), self.depth, *x.shape[2:]), generators, 0.05) + 0.05
        last_look = None
        for i in range(self.iterations):
            y = network((noise + self.jitter * randn_like(noise, generators)).flatten(0, 1)[None]).view_as(x)
            error = (y - x).square().flatten(1).mean(1)
            optimizer.zero_grad()
            error.sum().backward()  # the groups share nothing: each image descends its own error
            if i % LOOK == 0:
                last_look = back_track(network, error.detach(), last_look, self.fall)
            optimizer.step()
            yield y.detach()


def deep_image_prior_as_published(iterations: int = 6000) -> DeepImagePrior:
    """Gandhi & Jain's: the moving average over all outputs, read at iteration 6,000; nothing stops it early."""
    return DeepImagePrior(iterations, window=None)


def deep_image_prior_shallow(iterations: int = 400) -> DeepImagePrior:
    """Ours, for detectors: it draws a forger's fine pattern in a fifteenth of the published iterations.

    A skip connection on each of two scales carries the detail, a still input doesn't blur it, and steps are larger.
    """
    still = {"jitter": 0.0, "lr": 0.03, "decay": 0.9, "window": None}
    return DeepImagePrior(iterations, channels=(8, 16), skips=(8, 8), depth=8, **still)


def averaged(outputs: Iterable[Tensor], decay: float) -> Iterator[tuple[Tensor, Tensor]]:
    """Each output with the moving average up to it."""
    average = None
    for y in outputs:
        average = y if average is None else decay * average + (1 - decay) * y
        yield y, average


def steadiest(outputs: Iterable[Tensor], window: int, patience: int, decay: float) -> Tensor:
    """The moving average of the outputs at the moment when the last `window` of them varied least, for each image.

    An image is finished when `patience` outputs have brought no new minimum, and the iteration ends with the last
    image. If it ends before a window is full, the last average is returned.
    """
    recent, total, squares = deque(maxlen=window), 0, 0  # sums in float64: the variance is a small difference
    for i, (y, average) in enumerate(averaged(outputs, decay)):
        old = recent[0].double() if len(recent) == window else 0
        recent.append(y)
        total, squares = total + y.double() - old, squares + y.double() ** 2 - old**2
        if len(recent) < window or i == 0:
            best, least, when = average, y.new_full((len(y),), torch.inf).double(), y.new_full((len(y),), i)
            continue
        variance = (squares / window - (total / window) ** 2).flatten(1).mean(1)
        better = (variance < least) & (i - when < patience)
        best = torch.where(better[:, None, None, None], average, best)
        least, when = torch.where(better, variance, least), torch.where(better, i, when)
        if (i - when >= patience).all():
            break
    return best


@torch.no_grad()
def back_track(
    network: nn.Module, error: Tensor, last_look: tuple[Tensor, list[Tensor]] | None, fall: float
) -> tuple[Tensor, list[Tensor]]:
    """Send the images whose PSNR fell by more than `fall` dB since the last look back to their weights of then.

    Args:
        network: changed in place.
        error: the mean squared error of each image now.
        last_look: what the call before returned: errors and weights; None at the first.
    """
    if last_look:
        fallen = 10 * torch.log10(error / last_look[0]) > fall
        for now, then in zip(network.parameters(), last_look[1], strict=True):
            now[:] = torch.where(fallen[:, None], then.view(len(error), -1), now.view(len(error), -1)).view_as(now)
        error = torch.where(fallen, last_look[0], error)
    return error, [weight.detach().clone() for weight in network.parameters()]


class Scale(nn.Module):
    """Halve, go through the scales below, double, join the skip connection; for n images in groups of channels."""

    def __init__(self, n: int, c_in: int, c: int, skip: int, below: nn.Module, c_below: int) -> None:
        super().__init__()
        self.n = n
        self.down = nn.Sequential(*_conv(n, c_in, c, 3, stride=2), *_conv(n, c, c, 3), below)
        self.skip = nn.Sequential(*_conv(n, c_in, skip, 1)) if skip else None
        joined = c_below + skip
        self.up = nn.Sequential(_norm(n * joined), *_conv(n, joined, c, 3), *_conv(n, c, c, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = F.interpolate(self.down(x), size=x.shape[2:], mode="bilinear")
        if self.skip is not None:
            each = [part.unflatten(1, (self.n, -1)) for part in (self.skip(x), y)]
            y = torch.cat(each, dim=2).flatten(1, 2)
        return self.up(y)


def grouped_network(
    x: Tensor, depth: int, channels: Sequence[int], skips: Sequence[int], generators: Sequence[Generator]
) -> nn.Module:
    """One encoder-decoder for each photo of x: 1 x (N * depth) x H x W to 1 x (N * C) x H x W in [0, 1]."""
    n, c_out = x.shape[:2]
    scales = min(len(channels), (min(x.shape[2:]) - 1).bit_length() - 1)  # the last has 2 pixels a side or more
    below, c_below = nn.Identity(), channels[scales - 1]
    for c_in, c, skip in reversed(list(zip([depth, *channels], channels[:scales], skips, strict=False))):
        below, c_below = Scale(n, c_in, c, skip, below, c_below), c
    network = nn.Sequential(below, nn.Conv2d(n * c_below, n * c_out, 1, groups=n, bias=False), nn.Sigmoid())
    for conv in (module for module in network.modules() if isinstance(module, nn.Conv2d)):
        own = conv.weight.data.unflatten(0, (n, -1))
        own.copy_(uniform_like(own, generators, own[0, 0].numel() ** -0.5))  # as torch initialises, by fan-in
    return network.to(x)


def _conv(n: int, c_in: int, c_out: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(
        n * c_in, n * c_out, kernel, stride, kernel // 2, groups=n, bias=False, padding_mode="reflect"
    )  # the normalisation has the bias
    return [conv, _norm(n * c_out), nn.LeakyReLU(0.2)]


def _norm(channels: int) -> nn.Module:
    return nn.BatchNorm2d(channels, track_running_stats=False)
