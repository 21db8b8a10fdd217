"""Defences built into a detector by its training: what its images go through, and what is minimised.

A defence is called by its parts, joined by `+`, in any order:

    none                      nothing
    weak                      mirrored with probability 1/2
    strong                    weak, and JPEG, noise and blur as the Korean repository draws them (protocol 3.7)
    lipschitz                 + psi mean |d logit / dx|^z, the size of the input gradient (Gandhi & Jain 2020, z = 2)
    adversarial               the loss of images that a fresh PGD has just turned against the detector
    adversarial_as_published  the same with the Korean repository's loop and its defects
    half_huber                every ReLU a Half-Huber ReLU

`adversarial+lipschitz` is the Korean "single framework": the gradient penalised is the one at the attacked image.

Gandhi & Jain's detectors have two logits, ours one, which stands for their difference. Where theirs are opposite, the
mean over both of their squared gradients is a quarter of ours: psi = 250 here weighs as their 1,000 does.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.transforms.v2.functional import gaussian_blur

from antidisrupt_lib.detection.objectives import away_from_label, one_per_image
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.purification.filters import Jpeg
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import random_flip

PARTS = ("none", "weak", "strong", "lipschitz", "adversarial", "adversarial_as_published", "half_huber")
Loss = Callable[[nn.Module, Tensor, Tensor, int], Tensor]  # (detector, x, label, number of the step) -> scalar


@dataclass(frozen=True)
class Defence:
    """A defence and the hyperparameters of its parts; those of parts that it lacks are not used.

    Attributes:
        eps, step, steps: of the PGD in adversarial training, in [0, 1] units. As published, eps and step are in
            [-1, 1] units: 1/255, 0.01 and 40 steps.
        clean_weight: share of the loss that unattacked images make in adversarial training; none, as published.
        psi, z: weight and exponent of the input gradient; the mean is over pixels and images, x in [0, 1].
    """

    name: str = "none"
    eps: float = 2 / 255
    step: float = 0.5 / 255
    steps: int = 10
    clean_weight: float = 0.0
    psi: float = 250.0
    z: float = 2.0

    def __post_init__(self) -> None:
        unknown = set(self.parts) - set(PARTS)
        if unknown or not 0 <= self.clean_weight < 1 or {"adversarial", "adversarial_as_published"} <= set(self.parts):
            raise ValueError(
                f"There is no defence {self.name!r} with clean_weight {self.clean_weight}. Join some of these by +: "
                f"{', '.join(PARTS)} (one adversarial training at most); clean_weight is a share from 0 to below 1."
            )

    @property
    def parts(self) -> list[str]:
        return self.name.split("+")

    def augment(self, x: Tensor, seed: int, step: int) -> Tensor:
        """The training images x of a step as the network gets to see them, before any attack."""
        if "strong" in self.parts:
            return strong_augmentation(x, seed, step)
        return weak_augmentation(x, seed, step) if "weak" in self.parts else x

    def loss(self, seed: int) -> Loss:
        """What is minimised; `seed` is that of the attacks' random starts."""
        loss = lipschitz(plain_loss, self.psi, self.z) if "lipschitz" in self.parts else plain_loss
        attack = {"eps": self.eps, "step": self.step, "steps": self.steps}
        if "adversarial" in self.parts:
            return adversarial(loss, **attack, clean_weight=self.clean_weight, seed=seed)
        return adversarial_as_published(loss, **attack) if "adversarial_as_published" in self.parts else loss


# Augmentation: all draws are keyed by the step and the image, so that a resumed training sees the same images


def weak_augmentation(x: Tensor, seed: int, step: int) -> Tensor:
    """Each image mirrored with probability 1/2."""
    return random_flip(x, seed, "detector-flip", step)


def strong_augmentation(x: Tensor, seed: int, step: int) -> Tensor:
    """Mirrored, then JPEG 60 to 100 (p 0.5), Gaussian noise (p 0.1), Gaussian blur of 3 x 3 pixels (p 0.05).

    The noise's variance is drawn from 10 to 50 in 8-bit levels and the blur's sigma is 0.8: albumentations' defaults.
    """
    keys = image_generators(seed, f"strong-augmentation-{step}", range(len(x)))
    return torch.stack(
        [_degrade(image, key) for image, key in zip(weak_augmentation(x, seed, step), keys, strict=True)]
    )


def _degrade(image: Tensor, key: torch.Generator) -> Tensor:
    jpeg, noise, blur, variance = torch.rand(4, generator=key).tolist()
    if jpeg < 0.5:
        image = Jpeg(int(torch.randint(60, 101, (), generator=key)))(image[None], [key])[0]
    if noise < 0.1:
        std = (10 + 40 * variance) ** 0.5 / 255
        image = (image + std * torch.randn(image.shape, generator=key).to(image)).clamp(0, 1)
    return gaussian_blur(image, [3, 3], [0.8, 0.8]) if blur < 0.05 else image


# Losses


def plain_loss(detector: nn.Module, x: Tensor, label: Tensor, step: int) -> Tensor:
    """Binary cross-entropy."""
    return binary_cross_entropy_with_logits(one_per_image(detector(x), x, detector), label)


def lipschitz(loss: Loss, psi: float, z: float) -> Loss:
    """`loss` + psi mean |d logit / dx|^z."""
    return lambda detector, x, label, step: loss(detector, x, label, step) + psi * gradient_size(detector, x, z)


def gradient_size(detector: nn.Module, x: Tensor, z: float = 2.0) -> Tensor:
    """mean |d logit / dx|^z over pixels and images, with a gradient for the weights.

    It is that of the network in evaluation mode, where the logit of an image depends on this image alone.
    """
    x = x.detach().requires_grad_()
    with evaluating(detector), torch.enable_grad():
        (g,) = torch.autograd.grad(detector(x).sum(), x, create_graph=True)
    return g.abs().pow(z).mean()


def adversarial(loss: Loss, *, eps: float, step: float, steps: int, clean_weight: float, seed: int) -> Loss:
    """`loss` on images attacked by PGD, and with `clean_weight` the plain loss of the images as they are.

    The attack is against the network in evaluation mode: its batches leave no trace in BatchNorm's statistics.
    """

    def total(detector: nn.Module, x: Tensor, label: Tensor, i: int) -> Tensor:
        keys = image_generators(seed, f"adversarial-training-{i}", range(len(x)))
        with evaluating(detector):
            goal = away_from_label(detector, label)
            x_adv = pgd(x, goal, eps=eps, step=step, steps=steps, generators=keys)
        attacked = loss(detector, x_adv, label, i)
        if not clean_weight:
            return attacked
        return (1 - clean_weight) * attacked + clean_weight * plain_loss(detector, x, label, i)

    return total


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode in the block; after it, every module is in its own mode again."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# As published (protocol 3.7)


def adversarial_as_published(loss: Loss, *, eps: float, step: float, steps: int) -> Loss:
    """`loss` on the images of `pgd_as_published`."""
    return lambda detector, x, label, i: loss(
        detector, pgd_as_published(x, detector, label, eps=eps, step=step, steps=steps), label, i
    )


def pgd_as_published(
    x: Tensor, detector: nn.Module, label: Tensor, *, eps: float = 1 / 255, step: float = 0.01, steps: int = 40
) -> Tensor:
    """The Korean repository's training attack, with its defects; images in and out are in [0, 1].

    - The loop never goes on from its result: all `steps` gradients are taken at x, and together are one FGSM step.
    - It works on tensors in [-1, 1] but clamps to [0, 1]: all that was darker than mid-grey becomes mid-grey.
    - So eps and step, in those units, are half as large in pixels: 0.5/255 for the stated 1/255.
    - The network is in training mode: each of its passes moves BatchNorm's running statistics.
    """
    images = 2 * x.detach() - 1
    for _ in range(steps):
        here = images.clone().requires_grad_()
        (g,) = torch.autograd.grad(plain_loss(detector, (here + 1) / 2, label, 0), here)
        moved = (step * g.sign()).clamp(-eps, eps)
        attacked = (images + moved).clamp(0, 1)
    return (attacked + 1) / 2
