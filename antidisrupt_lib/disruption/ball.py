"""What all attacks stand on: the eps ball around a photo, and the checks before anything moves."""

from torch import Tensor, clamp

SMALL_START = 0.0005  # the original's 0.001 on [-1, 1]: enough to leave the zero gradient of `away_from_output`


def project(x_adv: Tensor, x: Tensor, eps: float) -> Tensor:
    """The point of the eps ball (L-infinity) around x and of [0, 1] that is nearest to x_adv."""
    return clamp(x_adv, x - eps, x + eps).clamp(0, 1)


def nearest_in_ball(x_adv: Tensor, x: Tensor, eps: float) -> Tensor:
    """x_adv at its nearest 8-bit levels inside the eps ball around x, which is 8-bit already."""
    most = int(255 * eps + 1e-3)  # whole levels
    return (x + (255 * (x_adv - x)).round().clamp(-most, most) / 255).clamp(0, 1)


def per_image(values: Tensor) -> Tensor:
    """One value per image, N, shaped N x 1 x 1 x 1 to go with images."""
    return values[:, None, None, None]


def check_attack(x: Tensor, eps: float, step: float, steps: int) -> None:
    """Refuse what no attack can work with.

    Raises:
        ValueError: eps, step or steps is not positive, or x leaves [0, 1].
    """
    if min(eps, step) <= 0 or steps < 1:
        raise ValueError(f"eps ({eps}), step ({step}) and steps ({steps}) must be positive.")
    if x.min() < 0 or x.max() > 1:
        raise ValueError(f"Images must lie in [0, 1]; these reach from {x.min():.3f} to {x.max():.3f}.")
