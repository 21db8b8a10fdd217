"""Distances between images, per image: those of the disruption papers, PSNR and SSIM.

Images are float32 NCHW in [0, 1]; y is an output, y0 its reference. L1 and L2 are in the papers' [-1, 1] units.
"""

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

DISRUPTED = 0.05  # the papers' threshold on L2, in [-1, 1] units (protocol 4.1); 0.0125 in [0, 1]


def l1(y: Tensor, y0: Tensor) -> Tensor:
    """(1/n) sum |y - y0| in [-1, 1] units (protocol 4.1)."""
    return 2 * (y - y0).abs().flatten(1).mean(1)


def l2(y: Tensor, y0: Tensor) -> Tensor:
    """(1/n) sum (y - y0)^2 in [-1, 1] units: a mean square, without root (protocol 4.1)."""
    return 4 * (y - y0).square().flatten(1).mean(1)


def disrupted(y: Tensor, y0: Tensor) -> Tensor:
    """Whether each output counts as disrupted: L2 >= 0.05 (Ruiz et al. 2020); its mean is the share disrupted."""
    return l2(y, y0) >= DISRUPTED


def psnr(y: Tensor, y0: Tensor) -> Tensor:
    """10 log10(1 / MSE) in dB, for images in [0, 1]; infinite where they are equal."""
    return -10 * torch.log10((y - y0).square().flatten(1).mean(1))


def ssim(y: Tensor, y0: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), Gaussian window of 11 pixels, sigma 1.5, over all pixels.

    Borders are mirrored; scikit-image leaves them out, which makes small images score a little higher there.
    """
    return structural_similarity_index_measure(y, y0, data_range=1.0, reduction="none").reshape(len(y))
