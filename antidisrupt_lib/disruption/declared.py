"""What an attack says of itself: attributes of the function, which partials and functools.wraps hand on.

    compares_losses  of different steps: its objective must be the same at every call, so what would come in turn comes
                     jointly
    other_ball       eps is no bound on the change of a pixel: the result is rounded to 8 bits freely
    own_step         it does without `step`, or measures it in units of its own
    asks_nothing     it does without the objective, so that nobody needs a forger to make one

What it doesn't say is False: it takes signed steps of `step` in the L-infinity ball of eps, whatever it is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

from torch import Tensor

from antidisrupt_lib.disruption.ball import check_sizes, whole_levels
from antidisrupt_lib.naming import declared, display_name

LONGEST = 2.5  # step by eps: in one step, Madry et al.'s 2.5 eps / steps
Attack = Callable[..., Tensor]  # (x, objective, *, eps, step, steps, generators) -> x_adv


@dataclass(frozen=True)
class Declared:
    """The declarations of one attack."""

    compares_losses: bool = False
    other_ball: bool = False
    own_step: bool = False
    asks_nothing: bool = False


def declare(**said: bool) -> Callable[[Attack], Attack]:
    """A decorator that sets these attributes: `@declare(own_step=True)` is `attack.own_step = True` below it.

    Raises:
        TypeError: there is no such declaration.
    """
    Declared(**said)

    def speaking(attack: Attack) -> Attack:
        for name, value in said.items():
            setattr(attack, name, value)
        return attack

    return speaking


def declarations(attack: Attack) -> Declared:
    """What an attack says of itself, or what it wraps does."""
    return Declared(**{field.name: bool(declared(attack, field.name, field.default)) for field in fields(Declared)})


def published_form(attack: Attack) -> Attack:
    """The attack that its attribute `as_published` names, with the same settings; or itself."""
    if isinstance(attack, partial) and "as_published" not in vars(attack):
        return partial(published_form(attack.func), *attack.args, **attack.keywords)
    return declared(attack, "as_published", attack)


def check_eight_bits(attack: Attack, eps: float, step: float, steps: int) -> None:
    """Refuse sizes with which an 8-bit photo would stay as it is, or the random start would decide.

    Raises:
        ValueError: also what `check_sizes` refuses.
    """
    check_sizes(eps, step, steps)
    says = declarations(attack)
    if says.other_ball:
        return
    if not whole_levels(eps):
        raise ValueError(
            f"eps {eps:g} is less than one 8-bit level, 1/255 = 0.00392157: an 8-bit photo holds no smaller change. "
            f"{'People write 0.0039 for 1/255: give 0.00393' if eps > 0.0038 else 'Give 0.00393 or more'}."
        )
    if says.own_step:
        return
    if step > LONGEST * eps * (1 + 1e-6):
        wrong = f"step {step:g} leaves the ball of eps {eps:g} at once. Give at most {LONGEST} eps = {LONGEST * eps:g}."
    elif steps * step * 255 < 0.5:
        wrong = f"{steps} steps of {step:g} move no value by half an 8-bit level, 0.00196: rounding loses them."
    else:
        return
    name = display_name(attack)
    raise ValueError(f"{wrong} If {name} measures its step otherwise, say so: attack.own_step = True.")
