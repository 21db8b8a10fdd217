"""What images are wherever the library takes or gives them: float32 N x 3 x H x W in [0, 1]."""

from collections.abc import Callable

from torch import Tensor, float32

from antidisrupt_lib.naming import display_name

ROUNDING = 1e-4  # so far outside [0, 1] is what normalising and back leaves; an 8-bit level is 40 times as much


def check_images(x: Tensor, what: str, *, by: Callable | None = None, like: Tensor | None = None) -> Tensor:
    """The images x, detached and contiguous; what a rounding error took outside [0, 1] is clamped.

    Args:
        what: how an error's text calls them: "Images under attack".
        by: the callable that made them, whose name stands for {} in `what`.
        like: the images they were made of, which they must be like in shape.

    Raises:
        ValueError: x is anything else; the text says what it is and, where it is clear, how to make images of it.
    """
    if wrong := _misfit(x, like):
        made = what.format(display_name(by)) if by else what
        raise ValueError(f"{made} must be float32 N x 3 x H x W in [0, 1]; {wrong}")
    return x.detach().clamp(0, 1).contiguous()


def at_eight_bits(x: Tensor) -> Tensor:
    """Images at the nearest levels of a file of 8 bits."""
    return (255 * x).round() / 255


def _misfit(x: Tensor, like: Tensor | None) -> str:
    """What is wrong with x; "" if nothing is."""
    if not isinstance(x, Tensor):
        return f"this is a {type(x).__name__}. Give a torch tensor."
    return _other_shape(tuple(x.shape), like) or _other_type(x) or _other_numbers(x)


def _other_shape(shape: tuple[int, ...], like: Tensor | None) -> str:
    if len(shape) == 3:
        return f"this is a single image, {shape}. Give a batch: x[None]."
    if len(shape) == 4 and shape[1] != 3 and shape[3] == 3:
        return f"these are {shape}, channels last. Give x.permute(0, 3, 1, 2)."
    if len(shape) != 4 or shape[1] != 3:
        return f"these are {shape}."
    if 0 in shape:
        return f"there are none: {shape}."
    if like is not None and shape != tuple(like.shape):
        return f"these are {shape}, and were made of {tuple(like.shape)}. Give as many, of the same size."
    return ""


def _other_type(x: Tensor) -> str:
    if x.dtype == float32:
        return ""
    kind = str(x.dtype).removeprefix("torch.")
    return f"these are {kind}. Give {'x.float()' if x.is_floating_point() else 'x.float() / 255'}."


def _other_numbers(x: Tensor) -> str:
    if not x.isfinite().all():
        image, channel, row, column = (~x.isfinite()).nonzero()[0].tolist()
        return f"image {image} has {x[image, channel, row, column]} in channel {channel}, row {row}, column {column}."
    low, high = x.min().item(), x.max().item()
    if low < -ROUNDING or high > 1 + ROUNDING:
        return (
            f"these reach from {low:.6g} to {high:.6g}. Give x / 2 + 0.5 of images in [-1, 1], x / 255 of 8-bit ones, "
            "x.clamp(0, 1) of what overshoots a little."
        )
    return ""
