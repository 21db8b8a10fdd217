"""Purifiers one after the other, and the way that a photo takes through any purifier."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Generator, Tensor

from antidisrupt_lib.purification.purifiers import Diffusion, Purifier, is_differentiable, network_calls, to_unit


@dataclass(frozen=True)
class Composed:
    """Purifiers from left to right, each given what the one before left, all with the same generators."""

    parts: tuple[Purifier, ...]

    @property
    def network_calls(self) -> int:
        return sum(network_calls(part) for part in self.parts)

    @property
    def differentiable(self) -> bool:
        return all(map(is_differentiable, self.parts))

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        for part in self.parts:
            x = part(x, generators)
        return x


def trajectory(purify: Purifier, x: Tensor, generators: Sequence[Generator]) -> list[Tensor]:
    """The photos x, all that they become on the way, and what `purify` returns: N x 3 x H x W in [0, 1] each.

    A diffusion shows each of its steps, a composition those of its parts, any other purifier only its result.
    """
    if isinstance(purify, Diffusion):
        return [x, *map(to_unit, purify.states(x, generators))]
    if not isinstance(purify, Composed):
        return [x, purify(x, generators)]
    path = [x]
    for part in purify.parts:
        path += trajectory(part, path[-1], generators)[1:]
    return path
