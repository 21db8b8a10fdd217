"""Distances between images, per image: those of the disruption papers, PSNR, SSIM, and one in a network's features.

Images are float32 NCHW in [0, 1]; y is an output, y0 its reference, x the photo. L1 and L2 are in the papers' [-1, 1]
units.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torchmetrics.functional.image import structural_similarity_index_measure

DISRUPTED = 0.05  # the papers' threshold on L2, in [-1, 1] units (protocol 4.1); 0.0125 in [0, 1]
EDITED = 0.5  # CMUA's threshold on a pixel's change, summed over channels, in [-1, 1] units (protocol 4.2)

Layers = Callable[[Tensor], Sequence[Tensor]]


def l1(y: Tensor, y0: Tensor) -> Tensor:
    """(1/n) sum |y - y0| in [-1, 1] units (protocol 4.1)."""
    return 2 * (y - y0).abs().flatten(1).mean(1)


def l2(y: Tensor, y0: Tensor) -> Tensor:
    """(1/n) sum (y - y0)^2 in [-1, 1] units: a mean square, without root (protocol 4.1)."""
    return 4 * (y - y0).square().flatten(1).mean(1)


def disrupted(y: Tensor, y0: Tensor) -> Tensor:
    """Whether each output counts as disrupted: L2 >= 0.05 (Ruiz et al. 2020); its mean is the share disrupted."""
    return l2(y, y0) >= DISRUPTED


def success(distance: Tensor) -> Tensor:
    """Whether an L2 counts as disrupted, 0 or 1; NaN stays NaN, where `disrupted` has no word for it."""
    return torch.where(distance.isnan(), distance, (distance >= DISRUPTED).to(distance))


def edit_mask(y0: Tensor, x: Tensor) -> Tensor:
    """N x 1 x H x W booleans: the pixels that the clean edit y0 changed in its photo x (CMUA, protocol 4.2).

    CMUA's code takes the mask of a batch's first image for all; here every image has its own.
    """
    return 2 * (y0 - x).abs().sum(1, keepdim=True) > EDITED


def masked_l2(y: Tensor, y0: Tensor, x: Tensor) -> Tensor:
    """CMUA's L2_mask: the mean square of y - y0 over the pixels that the edit changed, in [-1, 1] units.

    NaN where the edit changed none.
    """
    return 4 * masked_mean_square(y, y0, edit_mask(y0, x))


def masked_success(distance: Tensor) -> Tensor:
    """CMUA's success, 0 or 1, of a masked L2: strictly above 0.05; NaN stays NaN."""
    return torch.where(distance.isnan(), distance, (distance > DISRUPTED).float())


def d_pix(y: Tensor, x: Tensor, normalised: bool = False) -> Tensor:
    """DADFI's d_pix: sqrt(sum (x - y)^2) of a photo and the deepfake made of it, images in [0, 1] (protocol 4.3).

    The sum grows with the image, yet the paper's values lie in [0, 1]; `normalised` puts the mean in its place.
    """
    square = (y - x).square().flatten(1)
    return (square.mean(1) if normalised else square.sum(1)).sqrt()


def d_mask(y: Tensor, x: Tensor, mask: Tensor, normalised: bool = False) -> Tensor:
    """DADFI's d_mask: d_pix over the pixels of a mask, N x 1 x H x W; normalised by the size of the mask.

    NaN if normalised and the mask is empty.
    """
    if normalised:
        return masked_mean_square(y, x, mask).sqrt()
    return ((y - x).square() * mask).flatten(1).sum(1).sqrt()


def masked_mean_square(a: Tensor, b: Tensor, mask: Tensor) -> Tensor:
    """The mean of (a - b)^2 over the pixels of a mask, N x 1 x H x W, and their channels: N; NaN where it is empty."""
    return ((a - b).square() * mask).flatten(1).sum(1) / (a.shape[1] * mask.flatten(1).sum(1))


def perceptual_distance(layers: Layers, y: Tensor, y0: Tensor) -> Tensor:
    """LPIPS's form without its learned weights: squared differences of unit-length features, summed over layers.

    At each place of a layer the features (its channels) are scaled to length 1; the squared distances are averaged
    over places (Zhang et al. 2018, eq. 1, w = 1). Values belong to the extractor and must be named after it.

    Args:
        layers: images to activations, N x C x h x w each.
    """
    pairs = zip(layers(y), layers(y0), strict=True)
    return sum((normalize(a) - normalize(b)).square().sum(1).flatten(1).mean(1) for a, b in pairs)


def psnr(y: Tensor, y0: Tensor) -> Tensor:
    """10 log10(1 / MSE) in dB, for images in [0, 1]; infinite where they are equal."""
    return -10 * torch.log10((y - y0).square().flatten(1).mean(1))


def ssim(y: Tensor, y0: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), Gaussian window of 11 pixels, sigma 1.5, over all pixels.

    Borders are mirrored; scikit-image leaves them out, which makes small images score a little higher there.
    """
    return structural_similarity_index_measure(y, y0, data_range=1.0, reduction="none").reshape(len(y))
