"""What images are wherever the library takes or gives them: float32 N x 3 x H x W in [0, 1]."""

from torch import Tensor, float32

ROUNDING = 1e-4  # so far outside [0, 1] is what normalising and back leaves; an 8-bit level is 40 times as much


def check_images(x: Tensor, what: str, *, like: Tensor | None = None) -> Tensor:
    """The images x, detached and contiguous; what a rounding error took outside [0, 1] is clamped.

    Args:
        what: how an error's text calls them: "The photos".
        like: the images they were made of, which they must be like in shape.

    Raises:
        ValueError: x is anything else; the text says what it is and, where it is clear, how to make images of it.
    """
    if wrong := _misfit(x):
        raise ValueError(f"{what} must be float32 N x 3 x H x W in [0, 1]; {wrong}")
    if like is not None and x.shape != like.shape:
        raise ValueError(
            f"{what} are {tuple(x.shape)}, and must be {tuple(like.shape)} like the images they come from."
        )
    if x.min() < -ROUNDING or x.max() > 1 + ROUNDING:
        raise ValueError(
            f"{what} must lie in [0, 1]; these reach from {x.min():.6g} to {x.max():.6g}. "
            "Give x / 2 + 0.5 of images in [-1, 1], x / 255 of 8-bit ones, x.clamp(0, 1) of what overshoots a little."
        )
    return x.detach().clamp(0, 1).contiguous()


def _misfit(x: Tensor) -> str:
    """What is wrong with the type, the shape or the numbers of x; "" if nothing is."""
    if not isinstance(x, Tensor):
        return f"this is a {type(x).__name__}. Give a torch tensor."
    shape, kind = tuple(x.shape), str(x.dtype).removeprefix("torch.")
    if x.ndim == 3:
        return f"this is a single image, {shape}. Give a batch: x[None]."
    if x.ndim == 4 and shape[1] != 3 and shape[3] == 3:
        return f"these are {shape}, channels last. Give x.permute(0, 3, 1, 2)."
    if x.ndim != 4 or shape[1] != 3:
        return f"these are {shape}."
    if x.dtype != float32:
        return f"these are {kind}. Give {'x.float()' if x.is_floating_point() else 'x.float() / 255'}."
    if not x.numel():
        return f"there are none: {shape}."
    if not x.isfinite().all():
        image, channel, row, column = (~x.isfinite()).nonzero()[0].tolist()
        return f"image {image} has {x[image, channel, row, column]} in channel {channel}, row {row}, column {column}."
    return ""
