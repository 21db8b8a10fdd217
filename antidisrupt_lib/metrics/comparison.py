"""What a disruption or a purification did: photos against their originals, their deepfakes against the clean ones.

The forger and the extractor come in as functions, so that this room knows none of the rooms that make images.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from antidisrupt_lib.metrics.distances import disrupted, l1, l2, psnr, ssim
from antidisrupt_lib.metrics.frechet import Extractor, frechet_distance
from antidisrupt_lib.metrics.intervals import set_interval
from antidisrupt_lib.metrics.results import mean_result, result

Outputs = Callable[[Tensor, slice], Tensor]


@dataclass(frozen=True)
class Comparison:
    """Measured per photo (`psnr`, `ssim`: N) and per deepfake (`l1`, `l2`, `disrupted`: N x T); features N x T x d."""

    psnr: np.ndarray
    ssim: np.ndarray
    l1: np.ndarray
    l2: np.ndarray
    disrupted: np.ndarray
    features: np.ndarray
    clean_features: np.ndarray


@torch.no_grad()
def compare(
    clean: Iterable[tuple[slice, Tensor]], treated: Iterable[tuple[slice, Tensor]], outputs: Outputs,
    extractor: Extractor, device: torch.device | str = "cpu",
) -> Comparison:  # fmt: skip
    """Compare treated photos with the clean ones, batch by batch.

    Args:
        clean, treated: (rows, images in [0, 1]) batches of the same photos in the same order.
        outputs: outputs(x, rows) -> T x n x 3 x H x W, the deepfakes of these rows.
        extractor: images to features, for the Frechet distance.
    """
    parts = []
    for (rows, x0), (_, x) in zip(clean, treated, strict=True):
        x0, x = x0.to(device), x.to(device)
        y0, y = outputs(x0, rows), outputs(x, rows)
        pairs = list(zip(y, y0, strict=True))
        measured = [psnr(x, x0), ssim(x, x0)]
        measured += [torch.stack([f(a, b) for a, b in pairs], 1) for f in (l1, l2, disrupted)]
        measured += [torch.stack([extractor(image) for image in side], 1) for side in (y, y0)]
        parts.append([value.cpu().numpy() for value in measured])
    return Comparison(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def comparison_results(found: Comparison, axes: dict, photos: list[str], extractor_name: str) -> list[dict]:
    """The results rows of a comparison: l1, l2, share_disrupted, frechet of the deepfakes; psnr, ssim of the photos."""
    count = found.l2.shape[1]
    per_fake = np.repeat(photos, count)
    rows = [
        mean_result(axes, "l1", found.l1.ravel(), per_fake, "[-1, 1] units"),
        mean_result(axes, "l2", found.l2.ravel(), per_fake, "[-1, 1] units, squared"),
        mean_result(axes, "share_disrupted", found.disrupted.ravel(), per_fake, "share of edits with l2 >= 0.05"),
        mean_result(axes, "ssim", found.ssim, photos, "photo against original"),
    ]
    if np.isfinite(found.psnr).all():
        rows.append(mean_result(axes, "psnr", found.psnr, photos, "dB, photo against original"))

    def distance(index: np.ndarray) -> float:
        width = found.features.shape[-1]
        return frechet_distance(
            found.features[index].reshape(-1, width), found.clean_features[index].reshape(-1, width)
        )

    interval = set_interval(distance, len(photos))
    return [
        *rows,
        result(axes, f"frechet_{extractor_name}", *interval, n=len(per_fake), unit="deepfakes against clean ones"),
    ]
