"""The adaptive standard against a detector behind a purifier: fakes that are to pass for real, whatever guards it."""

from torch import Tensor

from antidisrupt_lib.detection.objectives import Logit, away_from_label, logits
from antidisrupt_lib.disruption.objectives import Objective, Transform
from antidisrupt_lib.purification.hardest import Victim


def detecting(logit: Logit) -> Victim:
    """A detector's view on fakes: its margin of error, N x 1, which is raised, and broken where a fake passes.

    Attack and check it as a forger's edits: `disrupt_knowing(fakes, detecting(detector), purify, ...)`.
    """

    def goal(transform: Transform, all_at_once: bool) -> Objective:
        return away_from_label(logit, 1.0, transform)

    def measure(x: Tensor) -> Tensor:
        return -logits(logit, x)[:, None]

    return Victim(goal, measure, ("passes",), 0.0)
