"""What a disruption maximises: `objective(x) -> loss per image`, larger is better for the attacker.

Distances are the paper's L2 (protocol 4.1): the mean squared error in [-1, 1] units, which is 4 times that in [0, 1].
An objective looks at one condition (target labels, N x c_dim) through one transform, which is whatever happens to a
photo between its publication and the forger: a blur, JPEG, a purifier. `in_turn` and `jointly` combine objectives:

    over conditions     iterative and joint class transfer (Ruiz et al. 2020, section 3.3)
    over transforms     spread spectrum (ibid., section 3.5) and expectation over transformation (Athalye et al. 2018b)
"""

from collections.abc import Callable, Sequence
from itertools import cycle

import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import Forger
from antidisrupt_lib.naming import declared, display_name
from antidisrupt_lib.training import half_precision

Objective = Callable[[Tensor], Tensor]
Transform = Callable[[Tensor], Tensor]

GREY, BLACK, WHITE = 0.5, 0.0, 1.0  # in [0, 1]; the original's "black" is a zero tensor in [-1, 1]: mid-grey
DISRUPTED = 0.05  # from this L2 on, in [-1, 1] units, the papers call an edit disrupted (protocol 4.1)


def identity(x: Tensor) -> Tensor:
    """The transform that does nothing."""
    return x


def squared_distance(y: Tensor, target: Tensor | float) -> Tensor:
    """Mean squared difference per image in [-1, 1] units, of images in [0, 1]; of activations, 4 times their own.

    Raises:
        ValueError: the two differ in shape.
    """
    if isinstance(target, Tensor) and y.shape != target.shape:
        raise ValueError(
            f"The forger's output is {tuple(y.shape)}, the target {tuple(target.shape)}. Targets are images; a layer's "
            'activations can only be pushed away from the clean ones (objective "away").'
        )
    return 4 * (y - target).square().flatten(1).mean(1)


def away_from_target(forge: Forger, target: Tensor | float, c: Tensor, transform: Transform = identity) -> Objective:
    """Push G(transform(x + delta), c) away from a target."""

    def away(x_adv: Tensor) -> Tensor:
        return squared_distance(forge(transform(x_adv), c), target)

    return away


def away_from_output(forge: Forger, x: Tensor, c: Tensor, transform: Transform = identity) -> Objective:
    """Push G(transform(x + delta), c) away from the clean, untransformed G(x, c) (Ruiz et al. 2020, eq. 2).

    Without transform its gradient is zero at delta = 0, so the attack has to start from noise. `forge` may give
    activations of any shape instead of images (`layer_outputs`): the feature-level attack.
    """
    with torch.no_grad():
        clean = forge(x, c)
    return away_from_target(forge, clean, c, transform)


def towards_target(forge: Forger, target: Tensor | float, c: Tensor, transform: Transform = identity) -> Objective:
    """Pull G(transform(x + delta), c) towards a target image in [0, 1], or a constant such as GREY (as published)."""

    def towards(x_adv: Tensor) -> Tensor:
        return -squared_distance(forge(transform(x_adv), c), target)

    return towards


def by_measure(
    measure: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, forge: Forger, y0: Tensor, c: Tensor,
    transform: Transform = identity,
) -> Objective:  # fmt: skip
    """Raise measure(y, y0, x) -> N of the edits y = G(transform(x + delta), c) and y0 = G(x, c) of photos x."""

    def measured(x_adv: Tensor) -> Tensor:
        return measure(forge(transform(x_adv), c), y0, x)

    return measured


def in_turn(objectives: Sequence[Objective]) -> Objective:
    """Each call takes the next objective, and the first again after the last."""
    if len(objectives) == 1:
        return objectives[0]
    turns = cycle(objectives)

    def one_in_turn(x_adv: Tensor) -> Tensor:
        return next(turns)(x_adv)

    one_in_turn.changes = True
    return one_in_turn


def jointly(objectives: Sequence[Objective]) -> Objective:
    """Each call takes the mean of all objectives, at the cost of them all."""
    if len(objectives) == 1:
        return objectives[0]

    def all_jointly(x_adv: Tensor) -> Tensor:
        return torch.stack([objective(x_adv) for objective in objectives]).mean(0)

    all_jointly.changes = any(map(changes, objectives))
    return all_jointly


def changes(objective: Objective) -> bool:
    """Whether an objective is another at each call."""
    return bool(declared(objective, "changes", False))


def half(forge: Forger) -> Forger:
    """The same forger, which computes in bfloat16 between images and edits in float32.

    On CPUs that know bfloat16 a disruption takes half the time. What it breaks is to be judged by `forge` itself.
    """

    def forge_half(x: Tensor, c: Tensor) -> Tensor:
        with half_precision(x.device):
            return forge(x, c).to(x.dtype)

    return forge_half


# Asking an objective


@torch.enable_grad()
def losses(objective: Objective, x: Tensor) -> Tensor:
    """The loss per image at x, with a gradient.

    Raises:
        ValueError: as `plain_losses` says, or the objective doesn't hang on x.
    """
    found = plain_losses(objective, x)
    if not found.requires_grad:
        raise ValueError(_constant(objective))
    return found


def plain_losses(objective: Objective, x: Tensor) -> Tensor:
    """The loss per image at x, with or without a gradient.

    Raises:
        ValueError: the objective gives anything but one finite number per image.
    """
    found = objective(x)
    if not isinstance(found, Tensor) or found.shape != x.shape[:1]:
        given = f"{tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
        raise ValueError(
            f"The objective {display_name(objective)} gives {given} for {len(x)} images; it must give one loss per "
            f"image, ({len(x)},), such as loss.flatten(1).mean(1)."
        )
    if not found.isfinite().all():
        image = int((~found.isfinite()).nonzero()[0])
        raise ValueError(f"The objective {display_name(objective)} is {found[image].item()} for image {image}.")
    return found.to(x.dtype)


@torch.enable_grad()
def loss_and_gradient(objective: Objective, x: Tensor) -> tuple[Tensor, Tensor]:
    """The loss per image at x, and its gradient.

    Raises:
        ValueError: as `losses` says, or the gradient is not finite.
    """
    here = x.detach().requires_grad_()
    loss = losses(objective, here)
    (g,) = torch.autograd.grad(loss.sum(), here, allow_unused=True)
    if g is None:
        raise ValueError(_constant(objective))
    if not g.isfinite().all():
        image = int((~g.isfinite()).nonzero()[0, 0])
        raise ValueError(f"The objective {display_name(objective)} has no finite gradient at image {image}.")
    return loss.detach(), g


def _constant(objective: Objective) -> str:
    return (
        f"The objective {display_name(objective)} doesn't hang on x, so that no attack can raise it. "
        "Is there a detach(), numpy() or round() on the way?"
    )


def refuse_changing(objective: Objective, attack: str) -> None:
    """Refuse an objective that takes its parts in turn, for an attack that compares losses of different steps.

    Raises:
        ValueError: with what to do.
    """
    if changes(objective):
        raise ValueError(
            f"{attack} compares losses of different steps, and this objective changes at each. Combine it `jointly`; "
            "a function of yours that calls the attack says so: function.compares_losses = True."
        )
