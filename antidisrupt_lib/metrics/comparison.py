"""What a disruption or a purification did: photos against their originals, their deepfakes against the clean ones.

The forger, the extractor and the classifier come in as functions, so that this room knows none of the rooms that make
images.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.metrics.distances import (
    DISRUPTED,
    Layers,
    d_mask,
    d_pix,
    disrupted,
    edit_mask,
    l1,
    l2,
    masked_l2,
    masked_success,
    perceptual_distance,
    psnr,
    ssim,
)
from antidisrupt_lib.metrics.distributions import in_manifold, kernel_interval
from antidisrupt_lib.metrics.frechet import Extractor, frechet_distance
from antidisrupt_lib.metrics.intervals import set_interval
from antidisrupt_lib.metrics.results import mean_result, plain_result, result

Outputs = Callable[[Tensor, slice], Tensor]

UNITS = {
    "psnr": "dB, photo against original",
    "ssim": "photo against original",
    "attributes_kept": "share of attributes seen in the photo as in the original",
    "l1": "[-1, 1] units",
    "l2": "[-1, 1] units, squared",
    "share_disrupted": "share of edits with l2 >= 0.05",
    "l2_masked": "[-1, 1] units, squared, where the edit changed the photo (CMUA)",
    "share_disrupted_masked": "share of edits with l2_masked > 0.05 (CMUA)",
    "l_inf": "[-1, 1] units, the largest difference",
    "l_inf_as_published": "[-1, 1] units, in truth the smallest difference (protocol 1.7)",
    "d_pix": "deepfake against photo, root mean square, [0, 1] units (DADFI, normalised)",
    "d_mask": "d_pix where the edit changed the photo (DADFI, normalised)",
    "perceptual_attribute_classifier": "squared distance of unit features, summed over layers; not LPIPS",
}
PUBLISHED_BATCH = 32
MOST_PHOTOS = 500  # in the measures that pair all images with all; evenly spread over the set


class Classifier(Protocol):
    """Images to attribute logits, N x c_dim; `layers` gives the activations on the way."""

    layers: Layers

    def __call__(self, x: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Comparison:
    """Measures by name: of each photo, N, and of each deepfake, N x T; features of the deepfakes, N x T x d."""

    photos: dict[str, np.ndarray]
    fakes: dict[str, np.ndarray]
    features: np.ndarray
    clean_features: np.ndarray


@torch.no_grad()
def compare(
    clean: Iterable[tuple[slice, Tensor]], treated: Iterable[tuple[slice, Tensor]], outputs: Outputs,
    extractor: Extractor, device: torch.device | str = "cpu", classifier: Classifier | None = None,
) -> Comparison:  # fmt: skip
    """Compare treated photos with the clean ones, batch by batch.

    Args:
        clean, treated: (rows, images in [0, 1]) batches of the same photos in the same order.
        outputs: outputs(x, rows) -> T x n x 3 x H x W, the deepfakes of these rows.
        extractor: images to features, for the distances between distributions.
        classifier: for the attributes kept and the perceptual distance, which are left out without it.
    """
    parts = []
    for (rows, x0), (_, x) in zip(clean, treated, strict=True):
        x0, x = x0.to(device), x.to(device)
        y0, y = outputs(x0, rows), outputs(x, rows)
        fakes = [_compare_fakes(*pair, x0, classifier) for pair in zip(y, y0, strict=True)]
        parts.append((
            _compare_photos(x, x0, classifier),
            {name: torch.stack([fake[name] for fake in fakes], 1) for name in fakes[0]},
            *(torch.stack([extractor(image) for image in side], 1) for side in (y, y0)),
        ))  # fmt: skip
    photos, fakes, features, clean_features = zip(*parts, strict=True)
    return Comparison(_join(photos), _join(fakes), _array(features), _array(clean_features))


@torch.no_grad()
def disruption_left(
    clean: Iterable[tuple[slice, Tensor]], treated: Iterable[tuple[slice, Tensor]], outputs: Outputs,
    device: torch.device | str = "cpu",
) -> dict[str, float]:  # fmt: skip
    """The two numbers that tell most, without intervals: share of edits disrupted, and their L2; as in `compare`."""
    found = []
    for (rows, x0), (_, x) in zip(clean, treated, strict=True):
        pairs = zip(outputs(x.to(device), rows), outputs(x0.to(device), rows), strict=True)
        found += [torch.stack([disrupted(y, y0).float(), l2(y, y0)]) for y, y0 in pairs]
    share, distance = torch.cat(found, dim=1).mean(1).tolist()
    return {"share_disrupted": share, "l2": distance}


def _compare_photos(x: Tensor, x0: Tensor, classifier: Classifier | None) -> dict[str, Tensor]:
    measured = {"psnr": psnr(x, x0), "ssim": ssim(x, x0)}
    if classifier is not None:
        same = (classifier(x) > 0) == (classifier(x0) > 0)
        measured["attributes_kept"] = same.float().mean(1)
    return measured


def _compare_fakes(y: Tensor, y0: Tensor, x0: Tensor, classifier: Classifier | None) -> dict[str, Tensor]:
    masked = masked_l2(y, y0, x0)
    measured = {"l1": l1(y, y0), "l2": l2(y, y0), "share_disrupted": disrupted(y, y0).float()}
    measured |= {"l2_masked": masked, "share_disrupted_masked": masked_success(masked)}
    gap = 2 * (y - y0).abs().flatten(1)
    measured |= {"l_inf": gap.amax(1), "l_inf_as_published": gap.amin(1)}
    measured |= {"d_pix": d_pix(y, x0, normalised=True), "d_mask": d_mask(y, x0, edit_mask(y0, x0), normalised=True)}
    if classifier is not None:
        measured["perceptual_attribute_classifier"] = perceptual_distance(classifier.layers, y, y0)
    return measured


def _join(parts: tuple[dict[str, Tensor], ...]) -> dict[str, np.ndarray]:
    return {name: _array([part[name] for part in parts]) for name in parts[0]}


def _array(parts: Iterable[Tensor]) -> np.ndarray:
    return torch.cat(list(parts)).cpu().numpy()


def comparison_results(found: Comparison, axes: dict, photos: list[str], extractor_name: str) -> list[dict]:
    """The results rows of a comparison: the means of all measures, and the distances between distributions.

    A measure that is undefined for some images (CMUA's, of an edit that changed nothing) is averaged over the others,
    whose number is the row's `n`; one that is infinite somewhere (PSNR of an untouched photo) has no row.
    """
    count = len(found.features[0])
    rows = []
    for name, values in (found.fakes | found.photos).items():
        ids = np.repeat(photos, values.size // len(photos))
        defined = ~np.isnan(values.ravel())
        if defined.any() and not np.isinf(values).any():
            rows.append(mean_result(axes, name, values.ravel()[defined], ids[defined], UNITS[name]))
    empty = np.isnan(found.fakes["l2_masked"])
    rows.append(plain_result(axes, "empty_masks", empty.sum(), empty.size, "edits that changed no pixel"))
    rows += _as_published_rows(found, axes, extractor_name)
    return rows + _distribution_rows(found, axes, photos, extractor_name, count)


def _as_published_rows(found: Comparison, axes: dict, extractor_name: str) -> list[dict]:
    """The original's share, decided on means over a batch, and its Frechet distance of the last batch and edit alone.

    Protocol 1.7, with its batches of 32. Neither has an interval, as neither is a mean over images.
    """
    starts = range(0, len(found.features), PUBLISHED_BATCH)
    means = np.stack([found.fakes["l2"][i : i + PUBLISHED_BATCH].mean(0) for i in starts])
    share = plain_result(
        axes, "share_disrupted_as_published", (means > DISRUPTED).mean(), means.size, "share of batches"
    )
    last = slice(starts[-1], None)
    distance = frechet_distance(found.features[last, -1], found.clean_features[last, -1])
    n = len(found.features[last])
    frechet = plain_result(axes, f"frechet_{extractor_name}_as_published", distance, n, "last batch and edit alone")
    return [share] + ([frechet] if n > 1 else [])


def _distribution_rows(found: Comparison, axes: dict, photos: list[str], extractor_name: str, count: int) -> list[dict]:
    """Treated against clean deepfakes: Frechet and kernel distance; precision and recall given the other set."""

    def distance(index: np.ndarray) -> float:
        return frechet_distance(_flat(found.features[index]), _flat(found.clean_features[index]))

    unit = "deepfakes against clean ones"
    rows = [result(axes, f"frechet_{extractor_name}", *set_interval(distance, len(photos)), len(photos) * count, unit)]
    some = np.unique(np.linspace(0, len(photos) - 1, MOST_PHOTOS).round().astype(int))
    treated, clean, ids = found.features[some], found.clean_features[some], np.repeat(np.array(photos)[some], count)
    rows.append(result(axes, f"kernel_distance_{extractor_name}", *kernel_interval(treated, clean), len(ids), unit))
    for name, one, other in (("precision", treated, clean), ("recall", clean, treated)):
        inside = in_manifold(_flat(one), _flat(other))
        unit = f"share of {'treated' if name == 'precision' else 'clean'} deepfakes in the others' manifold, k = 3"
        rows.append(mean_result(axes, f"manifold_{name}_{extractor_name}", inside, ids, unit))
    return rows


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(-1, features.shape[-1])


def measures_table(found: Comparison, image_ids: Iterable[str]) -> pd.DataFrame:
    """A row per photo: `image_id` and its measures, those of deepfakes averaged over the edits where they are defined.

    It is kept beside the results, so that two treatments of the same photos can be compared photo by photo.
    """
    over_edits = {name: pd.DataFrame(values).mean(axis=1).to_numpy() for name, values in found.fakes.items()}
    return pd.DataFrame({"image_id": list(image_ids)} | over_edits | found.photos)
