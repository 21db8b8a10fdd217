"""The attacker who knows the purifier: a purifier as a transform that an objective looks through."""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from antidisrupt_lib.naming import declared
from antidisrupt_lib.purification.compose import Composed
from antidisrupt_lib.purification.purifiers import Purifier, is_differentiable, purified_by


def as_transform(purify: Purifier, generators: Sequence[Generator]) -> Callable[[Tensor], Tensor]:
    """`transform(x) -> x`, the purifier with a gradient for the attacker.

    The gradient is exact where the purifier says that it is `differentiable`. Where it doesn't, the attack looks
    through its differentiable `surrogate`, if it has one (JPEG), or else takes the gradient of the identity (BPDA,
    Athalye et al. 2018); in a composition this holds for each part on its own. The generators go on drawing from call
    to call, so that an attack of many steps meets fresh noise in each (expectation over transformation).
    """
    if isinstance(purify, Composed):
        return _chain([as_transform(part, generators) for part in purify.parts])
    if is_differentiable(purify):
        return lambda x: purify(x, generators)
    if surrogate := declared(purify, "surrogate", None):
        return surrogate
    return lambda x: _straight_through(purify, x, generators)


def _chain(transforms: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
    def transform(x: Tensor) -> Tensor:
        for each in transforms:
            x = each(x)
        return x

    return transform


def _straight_through(purify: Purifier, x: Tensor, generators: Sequence[Generator]) -> Tensor:
    with torch.no_grad():
        change = purified_by(purify, x.detach(), generators) - x
    return x + change
