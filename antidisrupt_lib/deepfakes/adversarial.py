"""Adversarial training of a forger: its networks are shown disrupted images (Ruiz et al. 2020).

Vanilla StarGAN sees the photo x itself. Each step of the two adversarial forms disrupts for the generator of that step:

    g     D sees x as real and G(x + eta_source, c) as fake
    gd    D sees x + eta_real as real and G(x + eta_source, c) + eta_fake as fake; the way back starts from that fake

As in the authors' code, eta_real and eta_source are one perturbation, conditioned on the target labels, and eta_fake is
conditioned on the photo's own. Unlike there, gradients of the cycle pass through the perturbed fake, and the critic and
the generator are trained on the same fakes, as the paper's minimax states.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from antidisrupt_lib.deepfakes.stargan import Forger, live_forger

FORMS = ("", "g", "gd")

Disrupt = Callable[[Forger, Tensor, Tensor, Sequence[torch.Generator]], Tensor]
"""disrupt(forge, x, c, generators) -> x_adv, images in [0, 1]; made by disruption.adversarial.training_attack."""


@dataclass(frozen=True)
class Batch:
    """Photos x in [-1, 1] with labels c, the labels to edit them to, and what is added to what the networks see.

    `truth` holds the true edits, where there are any; it and the etas have the shape and units of x. With etas of 0 the
    training is the vanilla one.
    """

    x: Tensor
    c: Tensor
    target: Tensor
    truth: Tensor | None = None
    eta_real: Tensor | float = 0.0
    eta_source: Tensor | float = 0.0
    eta_fake: Tensor | float = 0.0

    @property
    def real(self) -> Tensor:
        """What D sees as real."""
        return self.x + self.eta_real

    @property
    def source(self) -> Tensor:
        """What G edits."""
        return self.x + self.eta_source

    def fake(self, g: nn.Module) -> Tensor:
        """What D sees as fake, and what G brings back to x."""
        return g(self.source, self.target) + self.eta_fake


def disrupt_batch(
    batch: Batch, form: str, g: nn.Module, disrupt: Disrupt, generators: Sequence[torch.Generator]
) -> Batch:
    """The batch with the etas of a form, "g" or "gd", made for the generator g as it is now.

    Args:
        disrupt: the attack.
        generators: one per image, for its random starts.
    """

    def eta(x: Tensor, c: Tensor) -> Tensor:
        x = x / 2 + 0.5
        return 2 * (disrupt(live_forger(g), x, c, generators) - x)

    batch = replace(batch, eta_source=eta(batch.x, batch.target))
    if form == "g":
        return batch
    with torch.no_grad():
        fake = batch.fake(g)
    return replace(batch, eta_real=batch.eta_source, eta_fake=eta(fake, batch.c))
