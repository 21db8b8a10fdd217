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

Logit = Callable[[Tensor], Tensor]  # images in [0, 1], N x 3 x H x W, to N logits of "fake"


def away_from_label(logit: Logit, label: Tensor | float, transform: Transform = identity) -> Objective:
    """The margin by which transform(x) is taken for the other class; label: 1 (fake) or 0, for all or for each."""
    return lambda x: (1 - 2 * label) * logit(transform(x))


def towards_real(logit: Logit, transforms: Sequence[Transform] = ()) -> Objective:
    """The margin by which fakes pass for real; the mean over `transforms`, such as JPEGs, if there are any."""
    return jointly([away_from_label(logit, 1.0, transform) for transform in transforms or [identity]])
