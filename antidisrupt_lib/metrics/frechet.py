"""Frechet distance between two sets of images, in the features of a named extractor (protocol 4.4).

It is called FID only with the Inception weights that define FID; with any other extractor it carries that one's name,
and its values compare with no published number.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from antidisrupt_lib.weights import read_foreign_checkpoint

Extractor = Callable[[Tensor], Tensor]
TOLERANCE = 1e-6  # relative to the distance


def frechet_distance(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None = None) -> float:
    """|mu_a - mu_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two feature tables, n x d each (protocol 4.3, eq. 21).

    The trace of the square root is the sum of the roots of the eigenvalues of L' S_b L, with L L' = S_a: no matrix
    square root is needed. Where their rounding errors could add up to more than TOLERANCE of the distance, as of sets
    that hardly differ or are smaller than d, it is the nuclear norm of A B', with A and B the centred tables over
    sqrt(n - 1), which is exact. NaN if a feature is not finite, or of fewer than two images.

    Args:
        weights: how often each row of both tables counts, for a bootstrap; once each, if None.
    """
    if weights is not None:
        a, b, weights = a[weights > 0], b[weights > 0], weights[weights > 0]
    if not (np.isfinite(a).all() and np.isfinite(b).all()) or min(len(a), len(b)) < 2:
        return float("nan")
    (mu_a, a), (mu_b, b) = (_centred(table.astype(np.float64), weights) for table in (a, b))
    apart = np.square(mu_a - mu_b).sum() + np.square(a).sum() + np.square(b).sum()
    if min(len(a), len(b)) > a.shape[1]:
        root, error = _root_trace(a, b)
        if error <= TOLERANCE * (apart - 2 * root):
            return float(apart - 2 * root)
    return float(apart - 2 * _nuclear_norm(a, b))


def _centred(table: np.ndarray, weights: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """(mean, rows whose Gram matrix is the covariance): centred, times the root of their weight over sqrt(n - 1)."""
    weights = np.ones(len(table)) if weights is None else weights
    mean = weights @ table / weights.sum()
    return mean, (table - mean) * np.sqrt(weights / (weights.sum() - 1))[:, None]


def _root_trace(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """tr (S_a S_b)^(1/2) by eigenvalues, and how much rounding may add to its double; infinite if S_a is singular."""
    s_a, s_b = a.T @ a, b.T @ b
    factor, failed = torch.linalg.cholesky_ex(torch.from_numpy(s_a))
    if failed:
        return 0.0, np.inf
    eigenvalues = torch.linalg.eigvalsh(factor.T @ torch.from_numpy(s_b) @ factor).numpy()
    if eigenvalues[0] <= 0:
        return 0.0, np.inf
    roots = np.sqrt(eigenvalues)
    rounding = np.finfo(float).eps * np.linalg.norm(s_a) * np.linalg.norm(s_b)
    return roots.sum(), (rounding / roots).sum()  # d sqrt(t) = dt / (2 sqrt(t))


def _nuclear_norm(a: np.ndarray, b: np.ndarray) -> float:
    """tr (S_a S_b)^(1/2) by the singular values of A B', or, where it is smaller, of R_a R_b' of A = Q_a R_a."""
    if len(a) > a.shape[1]:
        a, b = (np.linalg.qr(table, mode="r") for table in (a, b))
    return np.linalg.svd(a @ b.T, compute_uv=False).sum()


def inception_extractor(weights: Path | str, device: torch.device | str = "cpu") -> Extractor:
    """FID's own features: TensorFlow's Inception, 2048 pooled numbers, from a local weights file.

    Needs the extra `fid` (torch-fidelity) and its weights `weights-inception-2015-12-05-6726825d.pth`.

    Raises:
        FileNotFoundError: the weights aren't there.
        ValueError: the file is no table of tensors.
    """
    if not Path(weights).is_file():
        raise FileNotFoundError(
            f"There are no Inception weights at {weights}. Download weights-inception-2015-12-05-6726825d.pth from "
            "torch-fidelity's releases, or leave the path empty to use the attribute classifier's features."
        )
    read_foreign_checkpoint(weights)  # refused here, in a sentence, if it isn't one
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    inception = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    inception.to(device).eval()
    return lambda x: inception((x * 255).round().byte())[0]


def choose_extractor(weights: str, classifier: Extractor, device: torch.device | str = "cpu") -> tuple[str, Extractor]:
    """(name, extractor): Inception if its weights are given by path, else the attribute classifier's features."""
    return ("inception", inception_extractor(weights, device)) if weights else ("attribute_classifier", classifier)
