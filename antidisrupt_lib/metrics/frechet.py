"""Frechet distance between two sets of images, in the features of a named extractor (protocol 4.4).

It is called FID only with the Inception weights that define FID; with any other extractor it carries that one's name,
and its values compare with no published number.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

Extractor = Callable[[Tensor], Tensor]


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two feature tables, n x d each (protocol 4.3, eq. 21).

    The trace of the square root is the nuclear norm of A B^T, with A and B the centred tables over sqrt(n - 1): exact,
    and much faster than a matrix square root where there are fewer images than features.
    """
    mu_a, mu_b = a.mean(0), b.mean(0)
    a, b = ((t - t.mean(0)) / np.sqrt(len(t) - 1) for t in (a.astype(np.float64), b.astype(np.float64)))
    trace = np.square(a).sum() + np.square(b).sum()
    if len(a) > a.shape[1]:
        a, b = (np.linalg.qr(t, mode="r") for t in (a, b))
    root = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.square(mu_a - mu_b).sum() + trace - 2 * root)


def inception_extractor(weights: Path | str, device: torch.device | str = "cpu") -> Extractor:
    """FID's own features: TensorFlow's Inception, 2048 pooled numbers, from a local weights file.

    Needs the extra `fid` (torch-fidelity) and its weights `weights-inception-2015-12-05-6726825d.pth`.

    Raises:
        FileNotFoundError: the weights aren't there.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(
            f"There are no Inception weights at {weights}. Download weights-inception-2015-12-05-6726825d.pth from "
            "torch-fidelity's releases, or leave the path empty to use the attribute classifier's features."
        )
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    inception = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    inception.to(device).eval()
    return lambda x: inception((x * 255).round().byte())[0]


def choose_extractor(weights: str, classifier: Extractor, device: torch.device | str = "cpu") -> tuple[str, Extractor]:
    """(name, extractor): Inception if its weights are given by path, else the attribute classifier's features."""
    return ("inception", inception_extractor(weights, device)) if weights else ("attribute_classifier", classifier)
