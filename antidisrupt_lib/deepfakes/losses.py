"""The terms of a forger's training: critic, attributes and cycle (Choi et al. 2018, eqs. 1-8), mask, truth."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

from antidisrupt_lib.deepfakes.adversarial import Batch
from antidisrupt_lib.deepfakes.stargan import Discriminator
from antidisrupt_lib.faces.true_edits import changed_region
from antidisrupt_lib.training import half_precision


def attribute_loss(logits: Tensor, c: Tensor) -> Tensor:
    """Binary cross-entropy summed over attributes, averaged over the batch."""
    return binary_cross_entropy_with_logits(logits, c, reduction="sum") / len(c)


def gradient_penalty(d: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, alpha: Tensor) -> Tensor:
    """WGAN-GP: mean of (|d D(x) / dx|_2 - 1)^2 at x = alpha real + (1 - alpha) fake, alpha of shape N."""
    alpha = alpha[:, None, None, None]
    x = (alpha * real + (1 - alpha) * fake).requires_grad_()
    with half_precision(x.device, wanted=False):  # a gradient of a gradient wants its digits
        (gradient,) = torch.autograd.grad(d(x).sum(), x, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def critic_losses(d: Discriminator, g: nn.Module, batch: Batch, alpha: Tensor) -> dict[str, Tensor]:
    """The discriminator's loss terms: tell reals from fakes, and name the attributes of the reals."""
    realness, logits = d(batch.real)
    with torch.no_grad():
        fake = batch.fake(g)
    return {
        "d_adv": d(fake)[0].mean() - realness.mean(),
        "d_cls": attribute_loss(logits, batch.c),
        "d_gp": gradient_penalty(lambda image: d(image)[0], batch.real, fake, alpha),
    }


def generator_losses(d: Discriminator, g: nn.Module, batch: Batch, wanted: set[str]) -> dict[str, Tensor]:
    """The generator's loss terms among `wanted`, by name.

    `g_adv` fools D; `g_cls` shows D the target attributes; `g_rec` comes back to x; `g_id` leaves x as it is under its
    own labels; `g_truth` is near the true edit; `g_mask` keeps the mask of an attention generator small (its mean).
    """
    fake = batch.fake(g)
    terms = {}
    if wanted & {"g_adv", "g_cls"}:
        realness, logits = d(fake)
        terms |= {"g_adv": -realness.mean(), "g_cls": attribute_loss(logits, batch.target)}
    if "g_rec" in wanted:
        terms["g_rec"] = l1_loss(g(fake, batch.c), batch.x)
    if "g_id" in wanted:
        terms["g_id"] = l1_loss(g(batch.source, batch.c), batch.x)
    if "g_mask" in wanted:
        terms["g_mask"] = g.parts(batch.source, batch.target)[1].mean()
    if "g_truth" in wanted:
        terms["g_truth"] = truth_loss(fake, batch.truth, batch.x)
    return {name: term for name, term in terms.items() if name in wanted}


def truth_loss(y: Tensor, truth: Tensor, x: Tensor) -> Tensor:
    """The mean |y - truth|, plus the mean over edits of their root mean square where the true edit changes the photo.

    Without its second term an edit of a few pixels, such as another age, counts for nothing. Images are in [-1, 1].
    """
    region = changed_region(x / 2 + 0.5, truth / 2 + 0.5).to(y.dtype)
    pixels = region.flatten(1).sum(1)
    squares = ((y - truth).square().mean(1, keepdim=True) * region).flatten(1).sum(1)
    edits = pixels > 0
    rms = (squares[edits] / pixels[edits] + 1e-6).sqrt()
    return l1_loss(y, truth) + (rms.mean() if len(rms) else 0.0)
