"""What an attack on a detector maximises, for the one gradient engine (`disruption.attacks`): objective(x) -> N values.

A detector gives one logit z, positive for "fake". The objective is the margin by which it errs: -z for a fake, z for a
photo. This one number is

    for a sign attack   as good as the cross-entropy, which rises with it, and unlike it never flat in float32
    for C&W             the margin between the two logits of a published detector (z = z_fake - z_real), so that
                        `threshold` is the confidence, in units of logits: 0 errs just so, 200 is Gandhi & Jain's
"""

from collections.abc import Callable, Sequence

from torch import Tensor

from antidisrupt_lib.disruption.objectives import Objective, Transform, identity, jointly
from antidisrupt_lib.naming import display_name

Logit = Callable[[Tensor], Tensor]  # images in [0, 1], N x 3 x H x W, to N or N x 1 logits of "fake"


def one_per_image(values: Tensor, x: Tensor, detector: Callable, what: str = "logit") -> Tensor:
    """A detector's answer to N images x, as N values; N x 1 are taken for N.

    Raises:
        ValueError: there are more or fewer; the text names the detector.
    """
    if not isinstance(values, Tensor) or values.shape not in ((len(x),), (len(x), 1)):
        given = f"{tuple(values.shape)}" if isinstance(values, Tensor) else f"a {type(values).__name__}"
        two = isinstance(values, Tensor) and values.shape == (len(x), 2)
        hint = " Of two classes, real and fake, give the difference: z[:, 1] - z[:, 0]." * two
        raise ValueError(
            f"The detector {display_name(detector)} gives {given} for {len(x)} images; it must give one {what} per "
            f"image, ({len(x)},) or ({len(x)}, 1).{hint}"
        )
    return values.reshape(len(x))


def logits(detector: Logit, x: Tensor) -> Tensor:
    """The N logits of "fake" that a detector gives N images.

    Raises:
        ValueError: it gives anything but one finite logit per image; the text names the detector.
    """
    return check_finite(one_per_image(detector(x), x, detector), detector, "logit")


def check_finite(values: Tensor, detector: Callable, what: str) -> Tensor:
    """The values that a detector gives images, one each, if all are numbers.

    Raises:
        ValueError: one is NaN or infinite; the text names detector and image.
    """
    if not values.isfinite().all():
        image = int((~values.isfinite()).nonzero()[0])
        raise ValueError(
            f"The detector {display_name(detector)} gives image {image} of {len(values)} the {what} "
            f"{values[image].item()}."
        )
    return values


def away_from_label(logit: Logit, label: Tensor | float, transform: Transform = identity) -> Objective:
    """The margin by which transform(x) is taken for the other class; label: 1 (fake) or 0, for all or for each."""

    def margin(x: Tensor) -> Tensor:
        return (1 - 2 * label) * logits(logit, transform(x))

    return margin


def towards_real(logit: Logit, transforms: Sequence[Transform] = ()) -> Objective:
    """The margin by which fakes pass for real; the mean over `transforms`, such as JPEGs, if there are any."""
    return jointly([away_from_label(logit, 1.0, transform) for transform in transforms or [identity]])
