"""What a disruption or a purification did: photos against their originals, their deepfakes against the clean ones.

The forger, the extractor and the classifier come in as functions, so that this room knows none of the rooms that make
images.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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
    edit_mask,
    l1,
    l2,
    masked_l2,
    masked_success,
    perceptual_distance,
    psnr,
    ssim,
    success,
)
from antidisrupt_lib.metrics.distributions import in_manifold, kernel_draws
from antidisrupt_lib.metrics.frechet import Extractor, frechet_distance
from antidisrupt_lib.metrics.intervals import FREE, POSITIVE, Draws, interval, set_draws
from antidisrupt_lib.metrics.results import join_notes, mean_result, plain_result, result
from antidisrupt_lib.plug_ins import is_plug_in, plug_in, short_name

Outputs = Callable[[Tensor, slice], Tensor]
Metric = Callable[[Tensor, Tensor, Tensor], Tensor]
"""metric(y, y0, x) -> N numbers: the edits of treated photos, of the clean ones, and the clean photos, in [0, 1]."""

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
MASKED = ("l2_masked", "share_disrupted_masked", "d_mask")  # not defined where the edit changed nothing
OWN_UNIT = "a metric of your own, mean over edits"
NEIGHBOURS = 3
PUBLISHED_BATCH = 32
FRECHET_DRAWS = 400  # each takes a singular value decomposition
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
    metrics: Sequence[str] = (),
) -> Comparison:  # fmt: skip
    """Compare treated photos with the clean ones, batch by batch.

    Args:
        clean, treated: (rows, images in [0, 1]) batches of the same photos in the same order.
        outputs: outputs(x, rows) -> T x n x 3 x H x W, the deepfakes of these rows.
        extractor: images to features, for the distances between distributions.
        classifier: for the attributes kept and the perceptual distance, which are left out without it.
        metrics: dotted names of your own (`Metric`), called by their short names.

    Raises:
        ValueError: a metric of yours can't be imported, or gives anything but a number per image.
    """
    own = own_metrics(metrics)
    parts = []
    for (rows, x0), (_, x) in zip(clean, treated, strict=True):
        x0, x = x0.to(device), x.to(device)
        y0, y = outputs(x0, rows), outputs(x, rows)
        pairs = list(zip(y, y0, strict=True))
        fakes = [_compare_fakes(*pair, x0, classifier) | _compare_by(own, *pair, x0) for pair in pairs]
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
        distances = [l2(y, y0) for y, y0 in pairs]
        found += [torch.stack([success(distance), distance]) for distance in distances]
    share, distance = torch.cat(found, dim=1).mean(1).tolist()
    return {"share_disrupted": share, "l2": distance}


def _compare_photos(x: Tensor, x0: Tensor, classifier: Classifier | None) -> dict[str, Tensor]:
    measured = {"psnr": psnr(x, x0), "ssim": ssim(x, x0)}
    if classifier is not None:
        seen, before = classifier(x), classifier(x0)
        same = ((seen > 0) == (before > 0)).float()
        measured["attributes_kept"] = torch.where((seen + before).isnan(), torch.nan, same).mean(1)
    return measured


def _compare_fakes(y: Tensor, y0: Tensor, x0: Tensor, classifier: Classifier | None) -> dict[str, Tensor]:
    masked = masked_l2(y, y0, x0)
    measured = {"l1": l1(y, y0), "l2": l2(y, y0), "share_disrupted": success(l2(y, y0))}
    measured |= {"l2_masked": masked, "share_disrupted_masked": masked_success(masked)}
    gap = 2 * (y - y0).abs().flatten(1)
    measured |= {"l_inf": gap.amax(1), "l_inf_as_published": gap.amin(1)}
    measured |= {"d_pix": d_pix(y, x0, normalised=True), "d_mask": d_mask(y, x0, edit_mask(y0, x0), normalised=True)}
    if classifier is not None:
        measured["perceptual_attribute_classifier"] = perceptual_distance(classifier.layers, y, y0)
    return measured


def own_metrics(names: Sequence[str]) -> dict[str, Metric]:
    """Metrics by what the results call them.

    Raises:
        ValueError: one can't be imported, isn't yours, or is called like one of ours.
    """
    for name in names:
        if not is_plug_in(name):
            raise ValueError(
                f"There is no metric {name!r}: all of ours are measured. Give your own, as module:function."
            )
        if short_name(name) in UNITS:
            raise ValueError(f"The metric {name} is called like one of ours: rename your function.")
    return {short_name(name): plug_in(name, "metric") for name in names}


def _compare_by(metrics: Mapping[str, Metric], y: Tensor, y0: Tensor, x: Tensor) -> dict[str, Tensor]:
    found = {name: metric(y, y0, x) for name, metric in metrics.items()}
    for name, values in found.items():
        if not isinstance(values, Tensor) or values.shape != (len(x),):
            given = tuple(values.shape) if isinstance(values, Tensor) else f"a {type(values).__name__}"
            raise ValueError(f"The metric {name} gives {given} for {len(x)} images; it must give one number each.")
    return {name: values.float() for name, values in found.items()}


def _join(parts: tuple[dict[str, Tensor], ...]) -> dict[str, np.ndarray]:
    return {name: _array([part[name] for part in parts]) for name in parts[0]}


def _array(parts: Iterable[Tensor]) -> np.ndarray:
    return torch.cat(list(parts)).cpu().numpy()


def fixed(axes: dict) -> str:
    """What the intervals of a disruption's or a purification's rows hold fixed."""
    return "held fixed: forger, purifier" if axes.get("purifier") else "held fixed: forger"


def comparison_results(
    found: Comparison, axes: dict, people: pd.Series, extractor_name: str, drawn: Mapping[str, Draws]
) -> list[dict]:
    """The results rows of a comparison: the means of all measures, and the distances between distributions.

    CMUA's measures are not defined for an edit that changed nothing; they are averaged over the others, whose number is
    the row's `n`. Any other measure that is undefined or infinite for an image (the PSNR of an untouched photo) has no
    mean, and its row says so. Intervals resample people; forger and purifier are held fixed.

    Args:
        people: whose photos these are, as `FaceSet.people` gives them.
        drawn: as `distribution_draws` gives them.
    """
    rows = []
    for name, values in (found.fakes | found.photos).items():
        units, values, note = people.repeat(values.size // len(people)), values.ravel(), fixed(axes)
        if name in MASKED and not np.isnan(found.fakes["l2"]).any():
            defined = ~np.isnan(values)
            units, values = units[defined], values[defined]
            note = join_notes("" if defined.all() else f"{(~defined).sum()} edits changed no pixel", fixed(axes))
        rows.append(mean_result(axes, name, values, units, UNITS.get(name, OWN_UNIT), note))
    empty = np.isnan(found.fakes["l2_masked"]) & ~np.isnan(found.fakes["l2"])
    rows.append(plain_result(axes, "empty_masks", empty.sum(), empty.size, "edits that changed no pixel"))
    rows += _as_published_rows(found, axes, extractor_name)
    return rows + _distance_rows(found, axes, drawn) + _manifold_rows(found, axes, people, extractor_name)


def _as_published_rows(found: Comparison, axes: dict, extractor_name: str) -> list[dict]:
    """The original's share, decided on means over a batch, and its Frechet distance of the last batch and edit alone.

    Protocol 1.7, with its batches of 32. Neither has an interval, as neither is a mean over images.
    """
    starts = range(0, len(found.features), PUBLISHED_BATCH)
    means = np.stack([found.fakes["l2"][i : i + PUBLISHED_BATCH].mean(0) for i in starts])
    value = np.nan if np.isnan(means).any() else (means > DISRUPTED).mean()
    why = "undefined for a batch" if np.isnan(value) else ""
    share = plain_result(axes, "share_disrupted_as_published", value, means.size, "share of batches", why)
    last = slice(starts[-1], None)
    distance = frechet_distance(found.features[last, -1], found.clean_features[last, -1])
    n = len(found.features[last])
    unit, why = "last batch and edit alone", _why_no_distance(distance, n)
    return [share, plain_result(axes, f"frechet_{extractor_name}_as_published", distance, n, unit, why)]


def distribution_draws(found: Comparison, people: pd.Series, extractor_name: str) -> dict[str, Draws]:
    """Frechet and kernel distance of treated and clean deepfakes by name, on the set and on draws of its people.

    The same people are drawn alike for every treatment, so the differences of two treatments' draws are paired.
    """
    count, all_people = found.features.shape[1], people.reset_index(drop=True)
    treated, clean = _flat(found.features), _flat(found.clean_features)

    def distance(weights: np.ndarray) -> float:
        return frechet_distance(treated, clean, weights)

    some = _some_photos(found)
    kernel = kernel_draws(found.features[some], found.clean_features[some], all_people[some])
    return {
        f"frechet_{extractor_name}": set_draws(distance, all_people.repeat(count), FRECHET_DRAWS),
        f"kernel_distance_{extractor_name}": kernel,
    }


def _some_photos(found: Comparison) -> np.ndarray:
    """Row numbers of at most MOST_PHOTOS, evenly spread."""
    last = len(found.features) - 1
    return np.unique(np.linspace(0, last, min(MOST_PHOTOS, last + 1)).round().astype(int))


def _distance_rows(found: Comparison, axes: dict, drawn: Mapping[str, Draws]) -> list[dict]:
    rows, images = [], found.features[..., 0].size
    for name, draws in drawn.items():
        frechet = name.startswith("frechet")
        estimate = interval(draws, POSITIVE if frechet else FREE, basic=frechet)
        unit = "deepfakes against clean ones" + ("" if frechet else ", pairs of different photos")
        n = images if frechet else len(_some_photos(found)) * found.features.shape[1]
        note = _why_no_distance(estimate.value, len(found.features)) or join_notes(estimate.note, fixed(axes))
        rows.append(result(axes, name, *estimate[:3], n, unit, draws.resampled, note))
    return rows


def _why_no_distance(value: float, photos: int) -> str:
    if np.isfinite(value):
        return ""
    return "one photo has no distribution" if photos < 2 else "a feature is not finite"


def _manifold_rows(found: Comparison, axes: dict, people: pd.Series, extractor_name: str) -> list[dict]:
    """Precision and recall: the share of one set's deepfakes that lie in the manifold of the other's."""
    some, count, rows = _some_photos(found), found.features.shape[1], []
    treated, clean, photos = _flat(found.features[some]), _flat(found.clean_features[some]), np.repeat(some, count)
    units = people.reset_index(drop=True)[some].repeat(count)
    for name, whose, one, other in (("precision", "treated", treated, clean), ("recall", "clean", clean, treated)):
        unit = f"share of {whose} deepfakes in the others' manifold, k = 3, of other photos"
        metric = f"manifold_{name}_{extractor_name}"
        if (len(some) - 1) * count < NEIGHBOURS:
            why = f"{len(some)} photos have no {NEIGHBOURS} neighbours of other photos"
            rows.append(plain_result(axes, metric, np.nan, 0, unit, why))
        else:
            inside = in_manifold(one, other, NEIGHBOURS, photos)
            rows.append(mean_result(axes, metric, inside, units, unit, fixed(axes)))
    return rows


def _flat(features: np.ndarray) -> np.ndarray:
    return features.reshape(-1, features.shape[-1])


def measures_table(found: Comparison, image_ids: Iterable[str], people: pd.Series) -> pd.DataFrame:
    """A row per photo: `image_id`, `person` and its measures, those of deepfakes averaged over the edits.

    CMUA's measures are averaged where they are defined, the others are undefined if one edit's is. The table is kept
    beside the results, so that two treatments of the same photos can be compared photo by photo.
    """
    over_edits = {
        name: pd.DataFrame(values).mean(axis=1, skipna=name in MASKED).to_numpy()
        for name, values in found.fakes.items()
    }
    return pd.DataFrame({"image_id": list(image_ids), "person": people.to_numpy()} | over_edits | found.photos)


def draws_table(drawn: Mapping[str, Draws]) -> pd.DataFrame:
    """What `distribution_draws` gives, to be kept beside `measures_table`: a column per distance, value first."""
    return pd.DataFrame({name: pd.Series(draws.mean) for name, draws in drawn.items()})
