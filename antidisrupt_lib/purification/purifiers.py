"""Purifiers that pass photos through a network: `purify(x, generators) -> x`, one random generator per image.

Images are float32 NCHW in [0, 1]. Each purifier knows its cost and whether an attacker can differentiate it. None
switches gradients off: who needs none calls it under torch.no_grad(). The diffusions start and step so:

                      start at x_t                       on the way to x_0
    ReverseDiffusion  the photo itself                   ancestral steps, fresh noise in each but the last
    DiffPure          the photo, noised forward          the same
    DDIM              the photo, noised forward          a few longer steps without noise
    OneStep           the photo, noised forward          one such step
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import ClassVar, Protocol

import torch
from torch import Generator, Tensor
from torch.utils.checkpoint import checkpoint

from antidisrupt_lib.images import check_images
from antidisrupt_lib.naming import declared, display_name
from antidisrupt_lib.purification.schedule import T, add_noise, remove_noise, scheduler
from antidisrupt_lib.seeding import randn_like

EpsilonNetwork = Callable[[Tensor, Tensor], Tensor]


class Purifier(Protocol):
    """What every purifier is: a callable that says what it costs. Partials and functools.wraps hand on what it says.

    Attributes:
        network_calls: passes through a network per image.

    It may also say that it is `differentiable`, so that exact gradients flow through the call, or else have a
    differentiable `surrogate(x) -> x` for the attacker; see `is_differentiable`.
    """

    network_calls: int

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor: ...


def network_calls(purify: Purifier) -> int:
    """Passes through a network per image, as the purifier says.

    Raises:
        ValueError: it doesn't say.
    """
    calls = declared(purify, "network_calls", None)
    if isinstance(calls, bool) or not isinstance(calls, Integral) or calls < 0:
        name = display_name(purify)
        raise ValueError(
            f"The purifier {name} must say how many passes through a network an image takes, not {calls!r}: "
            "purify.network_calls = 0, if there is none."
        )
    return int(calls)


def is_differentiable(purify: Purifier) -> bool:
    """Whether exact gradients flow through the call: only if the purifier says so."""
    return bool(declared(purify, "differentiable", False))


def purified_by(purify: Purifier, x: Tensor, generators: Sequence[Generator]) -> Tensor:
    """What a purifier makes of photos x: images like them, without a gradient.

    Raises:
        ValueError: it gives anything else; the text names the purifier.
    """
    return check_images(purify(x, generators), "What the purifier {} gives", by=purify, like=x)


@dataclass(frozen=True)
class Diffusion(ABC):
    """What the purifiers by diffusion share: an epsilon network and the step 1..T to start from.

    Raises:
        ValueError: there is no such step.
    """

    network: EpsilonNetwork
    start: int
    differentiable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not 1 <= self.start <= T:
            raise ValueError(f"A diffusion can start at steps 1 to {T}, not {self.start}.")

    @property
    def network_calls(self) -> int:
        return self.start

    @abstractmethod
    def states(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        """All that the photos become on the way, the last being the result, in [-1, 1] and not clipped."""

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return to_unit(deque(self.states(x, generators), maxlen=1).pop())

    def noised(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        """The photos after the forward process up to `start`, in [-1, 1]."""
        return add_noise(2 * x - 1, randn_like(x, generators), self.start)

    def epsilon(self, x_t: Tensor, t: int) -> Tensor:
        """The noise that the network sees in x_t; for a gradient it is asked again, so that no activations pile up."""
        steps = torch.full((len(x_t),), t, device=x_t.device)
        if torch.is_grad_enabled() and x_t.requires_grad:
            return checkpoint(self.network, x_t, steps, use_reentrant=False)
        return self.network(x_t, steps)

    def ancestral(self, x_t: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        """The DDPM steps t = start .. 1 (Ho et al. 2020, algorithm 2), sigma_t^2 = beta_t, no noise in the last."""
        for t in range(self.start, 0, -1):
            x_t = scheduler().step(self.epsilon(x_t, t), t - 1, x_t, generator=list(generators)).prev_sample
            yield x_t


@dataclass(frozen=True)
class ReverseDiffusion(Diffusion):
    """The paper's purifier: the disrupted photo itself is taken for x_start, without forward noise, and denoised.

    At start 10 the model expects noise of std 0.044 on [-1, 1], near the size of the paper's disruption, 0.05.
    """

    start: int = 10

    def states(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        return self.ancestral(2 * x - 1, generators)


@dataclass(frozen=True)
class DiffPure(Diffusion):
    """Forward to step t with fresh noise, then the whole way back (Nie et al., ICML 2022, eqs. 3-4, as a DDPM)."""

    start: int = 300

    def states(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        yield (x_t := self.noised(x, generators))
        yield from self.ancestral(x_t, generators)


@dataclass(frozen=True)
class DDIM(Diffusion):
    """Forward with fresh noise as in DiffPure, then back in `steps` equal deterministic steps.

    Song et al. 2021, eq. 12 with eta 0: from t to s, x_s = sqrt(abar_s) x_0 + sqrt(1 - abar_s) e(x_t, t), where x_0 is
    what e(x_t, t) makes of x_t.

    Raises:
        ValueError: there are not so many steps between start and 0.
    """

    start: int = 10
    steps: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.steps <= self.start:
            raise ValueError(f"From step {self.start} to 0 there are 1 to {self.start} steps, not {self.steps}.")

    @property
    def network_calls(self) -> int:
        return self.steps

    def states(self, x: Tensor, generators: Sequence[Generator]) -> Iterator[Tensor]:
        yield (x_t := self.noised(x, generators))
        times = [round(self.start * left / self.steps) for left in range(self.steps, -1, -1)]
        for t, s in zip(times, times[1:], strict=False):
            e = self.epsilon(x_t, t)
            yield (x_t := add_noise(remove_noise(x_t, e, t), e, s))


@dataclass(frozen=True)
class OneStep(DDIM):
    """Forward with fresh noise, then the x_0 that the network predicts at once: one call, a DDIM of one step."""

    start: int = 10
    steps: int = field(default=1, init=False)


@dataclass(frozen=True)
class Autoencoder:
    """A denoising autoencoder in one pass. It is given what it was trained on: [0, 1], or [-1, 1] as published."""

    network: Callable[[Tensor], Tensor]
    as_published: bool = False
    network_calls: ClassVar[int] = 1
    differentiable: ClassVar[bool] = True

    def __call__(self, x: Tensor, generators: Sequence[Generator]) -> Tensor:
        return to_unit(self.network(2 * x - 1)) if self.as_published else self.network(x).clamp(0, 1)


def to_unit(x: Tensor) -> Tensor:
    """[-1, 1] to [0, 1], clipped."""
    return (x / 2 + 0.5).clamp(0, 1)
