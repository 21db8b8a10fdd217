"""Does an attack fail because the defence holds, or because the attack is blind? The signs of a hidden gradient.

After Athalye et al. (ICML 2018, section 3.1), Carlini et al. (2019, section 5) and Pintor et al. (NeurIPS 2022): each
check is something that must be so wherever gradients tell the truth.

    more_steps          more steps never lower the loss
    larger_eps          a larger eps never lowers it
    beats_transfer      who knows the purifier does no worse than who doesn't
    beats_noise         gradients do better than noise
    beats_no_gradient   gradients do no worse than a search without them
    unbounded           with the whole of [0, 1] to move in, every photo is reached
    slope               the gradient says how much the loss rises (finite differences)

All losses are measured on the same draws of the purifier's noise, which no attack has seen.
"""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.disruption.objectives import Objective, loss_and_gradient
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.hardest import (
    NOISE,
    UNAWARE,
    Effort,
    Keys,
    Victim,
    disrupt_knowing,
    forging,
    keys_of,
    known_by,
    resubmitted,
)
from antidisrupt_lib.purification.purifiers import Purifier

SLACK = 0.05  # of a loss: what the purifier's noise may take from one of two that are alike
SLOPE = (0.8, 1.25)  # between which the median of measured over promised slopes lies
APART = 0.02  # of two points whose losses give a slope: L2 norm, so some hundredths of an 8-bit level a pixel
CHECKS = (
    "more_steps", "larger_eps", "beats_transfer", "beats_noise", "beats_no_gradient", "unbounded", "slope",
)  # fmt: skip


def check_security(
    x: Tensor, victim: Victim, purify: Purifier, *, eps: float, effort: Effort, keys: Keys
) -> pd.DataFrame:
    """Try CHECKS on photos x with PGD from random starts: a few photos tell, at six times the cost of an attack.

    Returns:
        A row per check: `check`, `passed`, `found` and `needed` (the two numbers that were compared).
    """

    def loss(x_adv: Tensor) -> float:
        return float(_judged(_frozen(victim, purify, effort, keys), x_adv).mean())

    def by(effort: Effort, *names: str, eps: float = eps) -> dict[str, Tensor]:
        return disrupt_knowing(x, victim, purify, names, eps=eps, effort=effort, keys=keys)

    once = replace(effort, restarts=1)
    made = by(once, "pgd", "square")
    short, large = by(replace(once, steps=max(1, once.steps // 4)), "pgd"), by(once, "pgd", eps=min(1.0, 2 * eps))
    here = loss(made["pgd"])
    anywhere = by(once, "pgd", eps=1.0)["pgd"]
    reached = resubmitted(victim.measure, purify, anywhere, keys("unbounded"), 1)[0] >= victim.threshold
    rows = {
        "more_steps": (here, loss(short["pgd"])),
        "larger_eps": (loss(large["pgd"]), here),
        "beats_transfer": (here, loss(made[UNAWARE])),
        "beats_noise": (here, loss(made[NOISE])),
        "beats_no_gradient": (here, loss(made["square"])),
    }
    table = [
        _row(check, found, needed, found >= needed - SLACK * abs(needed)) for check, (found, needed) in rows.items()
    ]
    share, ratio = float(reached.any(1).float().mean()), slope_ratio(made[UNAWARE], victim, purify, effort, keys)
    table += [_row("unbounded", share, 1.0, share == 1), _row("slope", ratio, 1.0, SLOPE[0] <= ratio <= SLOPE[1])]
    return pd.DataFrame(table)


def checks_on(
    photos: FaceSet, forge: Forger, purify: Purifier, *, eps: float, effort: Effort, seed: int,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:  # fmt: skip
    """`check_security` of a forger behind a purifier, on all of these photos at once."""
    x, c = photos.x(device=device), photos.labels(ATTRIBUTES).to(device)
    keys = keys_of(seed, "checks", photos.image_ids)
    return check_security(x, forging(forge, x, c), purify, eps=eps, effort=effort, keys=keys)


def slope_ratio(x: Tensor, victim: Victim, purify: Purifier, effort: Effort, keys: Keys) -> float:
    """How much the loss rises along its gradient, over how much the gradient says: the median over photos x.

    0 where the gradient is 0, or where none comes through.
    """
    try:
        g = loss_and_gradient(_frozen(victim, purify, effort, keys), x)[1]
    except ValueError:  # the purifier says that it is differentiable, and gives no gradient
        return 0.0
    size = g.flatten(1).norm(dim=1)
    along = APART / 2 * g / size.clamp_min(1e-12)[:, None, None, None]
    ahead, behind = (_judged(_frozen(victim, purify, effort, keys), x + side * along) for side in (1, -1))
    return float(((ahead - behind) / (APART * size).clamp_min(1e-12)).where(size > 0, 0.0).median())


def failed(checks: pd.DataFrame) -> list[str]:
    """The checks that were not passed."""
    return checks.loc[~checks["passed"], "check"].tolist()


def _frozen(victim: Victim, purify: Purifier, effort: Effort, keys: Keys) -> Objective:
    """The attacker's loss on draws that are the same for whoever asks first."""
    return known_by(victim, purify, keys("judging"), effort.draws)


@torch.no_grad()
def _judged(objective: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return objective(x)


def _row(check: str, found: float, needed: float, passed: bool) -> dict:
    return {"check": check, "passed": bool(passed), "found": found, "needed": needed}
