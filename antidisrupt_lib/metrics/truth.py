"""Edits against the truth, which drawn people have: how near they come where the true edit changes the photo, and not.

All in dB, per image; NaN where the true edit has nothing to change (it would reward a forger that does nothing).
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.metrics.comparison import FRECHET_DRAWS, Outputs
from antidisrupt_lib.metrics.distances import masked_mean_square
from antidisrupt_lib.metrics.frechet import Extractor, frechet_distance
from antidisrupt_lib.metrics.intervals import POSITIVE, set_draws
from antidisrupt_lib.metrics.results import drawn_result, mean_result

UNITS = {
    "edit_psnr": "dB, deepfake against the true edit, in the region that this changes",
    "edit_gain": "dB, edit_psnr over that of the unedited photo",
    "kept_psnr": "dB, deepfake against the true edit, outside that region",
}


def region_psnr(y: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in a region, N; NaN where the region is empty.

    Args:
        y, truth: N x 3 x H x W in [0, 1].
        region: N x 1 x H x W booleans.
    """
    return -10 * torch.log10(masked_mean_square(y, truth, region))


def truth_measures(y: Tensor, truth: Tensor, x: Tensor, region: Tensor) -> dict[str, Tensor]:
    """The measures of UNITS, N each, of deepfakes y of photos x; `region` is where the true edit changes x."""
    inside = region_psnr(y, truth, region)
    outside = region_psnr(y, truth, ~region).where(~inside.isnan(), torch.nan)
    return {"edit_psnr": inside, "edit_gain": inside - region_psnr(x, truth, region), "kept_psnr": outside}


def took_results(took: Tensor, axes: dict, people: pd.Series, names: Sequence[str]) -> list[dict]:
    """The results rows `edit_accuracy`, over all edits, then of each: the share in which the judge sees the attribute.

    Args:
        took: T x N booleans.
        people, names: as in `truth_results`.
    """
    unit, fixed, everyone = "share of edits", "held fixed: forger, judge", pd.concat([people] * len(names))
    rows = [mean_result(axes, "edit_accuracy", took.flatten(), everyone, unit, fixed)]
    for name, verdicts in zip(names, took, strict=True):
        rows.append(mean_result(axes, f"edit_accuracy_{name}", verdicts, people, unit, fixed))
    return rows


@torch.no_grad()
def truth_results(
    photos: Iterable[tuple[slice, Tensor]], outputs: Outputs, truths: Callable[[slice], Tensor],
    changed: Callable[[Tensor, Tensor], Tensor], axes: dict, people: pd.Series, names: Sequence[str],
    extractor: tuple[str, Extractor] | None = None, device: torch.device | str = "cpu",
) -> list[dict]:  # fmt: skip
    """The results rows of a forger's edits against the true ones: each measure over all edits, then of each edit.

    Args:
        photos: (rows, images in [0, 1]) batches.
        outputs: outputs(x, rows) -> T x n x 3 x H x W, the deepfakes of these rows.
        truths: truths(rows) -> the same of the true edits.
        changed: changed(x, truth) -> N x 1 x H x W booleans, where a true edit changes its photo.
        people: whose photo each is, as `FaceSet.people` gives them.
        names: the T edits.
        extractor: as `choose_extractor` gives it, for the Frechet distance of the edits that change something.
        device: of the extractor.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in UNITS}
    features: list[tuple[Tensor, Tensor, pd.Series]] = []
    for rows, x in photos:
        edits = [(y, truth, changed(x, truth)) for y, truth in zip(outputs(x, rows), truths(rows), strict=True)]
        measures = [truth_measures(y, truth, x, region) for y, truth, region in edits]
        for name, part in parts.items():
            part.append(torch.stack([measured[name] for measured in measures]))
        for y, truth, region in edits if extractor else ():
            changes = region.flatten(1).any(1)
            ours, theirs = (extractor[1](images[changes].to(device)) for images in (y, truth))
            features.append((ours, theirs, people[rows][changes.numpy()]))
    measured = [row for name, part in parts.items() for row in _rows(name, torch.cat(part, 1), axes, people, names)]
    return measured + ([_distance_row(extractor[0], features, axes)] if extractor else [])


def _rows(name: str, measured: Tensor, axes: dict, people: pd.Series, names: Sequence[str]) -> list[dict]:
    values, everyone = measured.numpy(), pd.concat([people] * len(names), ignore_index=True)
    defined = ~np.isnan(values)
    rows = [mean_result(axes, name, values[defined], everyone[defined.ravel()], UNITS[name])]
    for edit, value, here in zip(names, values, defined, strict=True):
        rows.append(mean_result(axes, f"{name}_{edit}", value[here], people[here], UNITS[name]))
    return rows


def _distance_row(name: str, features: list[tuple[Tensor, Tensor, pd.Series]], axes: dict) -> dict:
    ours, theirs, units = zip(*features, strict=True)
    a, b = (torch.cat(side).cpu().numpy() for side in (ours, theirs))
    everyone = pd.concat(units, ignore_index=True)
    drawn = set_draws(lambda weights: frechet_distance(a, b, weights), everyone, FRECHET_DRAWS)
    return drawn_result(
        axes, f"frechet_to_truth_{name}", drawn, len(a), "deepfakes against true edits", fixed="forger",
        why="fewer than two edits, or a feature that isn't finite", bounds=POSITIVE, basic=True,
    )  # fmt: skip
