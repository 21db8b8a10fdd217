"""GrIDPure (Zhao et al., CVPR 2024): DiffPure of few steps, again and again, on overlapping windows of the photo.

    x_(i+1) = (1 - gamma) merged(DiffPure_t(windows of x_i)) + gamma x_i

The authors' network takes 256 pixels a side and their photos have 512: nine windows of half the side, each a quarter of
it further than the one before, and a tenth put together from the four corners, which no two of the nine share. Pixels
that lie in several windows become their mean. Here windows go by these shares of the side, whatever the size. What
differs from the authors' code (GitHub, ZhengyueZhao/GrIDPure): nothing is rounded to 8 bits between two iterations.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import lcm

import torch
from torch import Generator, Tensor

from antidisrupt_lib.naming import declared
from antidisrupt_lib.purification.purifiers import DiffPure, Diffusion
from antidisrupt_lib.rehearsal import require_multiple

WINDOWS = 10
Place = tuple[Tensor, Tensor]  # the rows of a window, as a column, and its columns


@dataclass(frozen=True)
class GrIDPure(Diffusion):
    """The defaults are the authors': t = 10, 20 iterations, gamma 0.1.

    A network call is a pass of one window, a quarter of the photo's pixels; by default there are 2,000.

    Attributes:
        gamma: the share of each iteration's input that is kept, in [0, 1].

    Raises:
        ValueError: a number is out of range; or, in a call, a side of the photos is no multiple of 4 pixels, or half of
            it none of what the network needs.
    """

    start: int = 10
    iterations: int = 20
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.iterations < 1 or not 0 <= self.gamma <= 1:
            raise ValueError(
                f"GrIDPure takes 1 iteration or more and a gamma in [0, 1], not {self.iterations} and {self.gamma}."
            )

    @property
    def network_calls(self) -> int:
        return WINDOWS * self.start * self.iterations

    def states(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        """The photos after each iteration."""
        for side in x.shape[2:]:
            require_multiple(side, lcm(4, 2 * declared(self.network, "multiple", 1)), "GrIDPure by this network")
        places, each = windows(*x.shape[2:]), [key for key in generators for _ in range(WINDOWS)]
        purify = DiffPure(self.network, self.start)
        for _ in range(self.iterations):
            cut = torch.stack([x[..., rows, columns] for rows, columns in places], 1)
            pure = purify(cut.flatten(0, 1), each).view_as(cut)
            x = (1 - self.gamma) * merged(pure, places, x) + self.gamma * x
            yield 2 * x - 1


def windows(height: int, width: int) -> list[Place]:
    """Where the windows of a photo lie: the nine row by row, then the corners."""
    *down, top_and_bottom = _spans(height)
    *across, left_and_right = _spans(width)
    return [(rows[:, None], columns) for rows, columns in [*product(down, across), (top_and_bottom, left_and_right)]]


def merged(parts: Tensor, places: Sequence[Place], like: Tensor) -> Tensor:
    """The photos that windows N x WINDOWS x C x h x w make up, each pixel the mean over the windows that hold it."""
    total, count = torch.zeros_like(like), torch.zeros_like(like)
    for part, (rows, columns) in zip(parts.unbind(1), places, strict=True):
        total[..., rows, columns] += part
        count[..., rows, columns] += 1
    return total / count


def _spans(side: int) -> list[Tensor]:
    """The pixels of half a side: its first, middle and last half, and its first and last quarter together."""
    quarter, pixels = side // 4, torch.arange(side)
    halves = [pixels[start : start + 2 * quarter] for start in (0, quarter, 2 * quarter)]
    return [*halves, torch.cat([pixels[:quarter], pixels[-quarter:]])]
