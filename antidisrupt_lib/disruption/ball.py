"""What all attacks stand on: the eps ball around a photo, and the checks before anything moves."""

from math import isfinite
from numbers import Integral, Real

from torch import Tensor, clamp

from antidisrupt_lib.images import check_images

SMALL_START = 0.0005  # the original's 0.001 on [-1, 1]: enough to leave the zero gradient of `away_from_output`
REACH = 2.5  # steps of REACH * eps / steps can cross the ball and come back (Madry et al. 2018)
SLACK = 1e-3  # of an 8-bit level: 0.00392 is people's 1/255, and float32 knows 2/255 no better


def project(x_adv: Tensor, x: Tensor, eps: float) -> Tensor:
    """The point of the eps ball (L-infinity) around x and of [0, 1] that is nearest to x_adv."""
    return clamp(x_adv, x - eps, x + eps).clamp(0, 1)


def whole_levels(eps: float) -> int:
    """How many of 255 levels an eps in [0, 1] units allows."""
    return int(255 * eps + SLACK)


def nearest_in_ball(x_adv: Tensor, x: Tensor, eps: float) -> Tensor:
    """x_adv at its nearest 8-bit levels inside the eps ball around x, which holds some from eps = 1/255 on."""
    lowest, highest = (255 * (x - eps) - SLACK).ceil(), (255 * (x + eps) + SLACK).floor()
    return clamp((255 * x_adv).round(), lowest, highest).clamp(0, 255) / 255


def per_image(values: Tensor) -> Tensor:
    """One value per image, N, shaped N x 1 x 1 x 1 to go with images."""
    return values[:, None, None, None]


def check_attack(x: Tensor, eps: float, step: float, steps: int) -> Tensor:
    """Refuse what no attack can work with; else the photos x, detached, with rounding errors clamped to [0, 1].

    Raises:
        ValueError: eps, step or steps is not a positive number or eps is above 1, or x is no batch of images.
    """
    check_sizes(eps, step, steps)
    return check_images(x, "Images under attack")


def check_sizes(eps: float, step: float, steps: int) -> None:
    """Refuse sizes that no attack can have.

    Raises:
        ValueError: as `check_attack` says.
    """
    for name, value, kind in (("eps", eps, Real), ("step", step, Real), ("steps", steps, Integral)):
        if isinstance(value, bool) or not isinstance(value, kind):
            raise ValueError(f"{name} must be {'a whole number' if kind is Integral else 'a number'}, not {value!r}.")
        if not isfinite(value) or value <= 0:
            raise ValueError(f"eps ({eps}), step ({step}) and steps ({steps}) must be positive, and finite.")
    if eps > 1:
        raise ValueError(f"eps is in [0, 1] units, and {eps} is above 1. Did you mean {eps:g}/255 = {eps / 255:.6f}?")
