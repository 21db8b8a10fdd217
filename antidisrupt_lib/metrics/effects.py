"""Disruptors compared: shares of edits broken, DADFI's distances, and what one leaves over another, with intervals.

Tables are those of disruption.effects; `person` is what the intervals resample. The axis `attack` is the disruptor,
`purifier` the way that the photos went before they were forged, empty where they went none.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from torch import Tensor

from antidisrupt_lib.metrics.breaking import MEASURES, SHARES
from antidisrupt_lib.metrics.distances import DISRUPTED, d_mask, d_pix, edit_mask, psnr, ssim
from antidisrupt_lib.metrics.frechet import Extractor, frechet_distance
from antidisrupt_lib.metrics.results import mean_result, plain_result

SHARE = "share of edits that take whose {} reaches 0.05"
PAPER = {  # DADFI's distances (eq. 19, 20) of the photo x and an edit of the disrupted photo
    "d_pix": lambda y, y0, x: d_pix(y, x),
    "d_pix_normalised": lambda y, y0, x: d_pix(y, x, normalised=True),
    "d_mask": lambda y, y0, x: d_mask(y, x, edit_mask(y0, x)),
    "d_mask_normalised": lambda y, y0, x: d_mask(y, x, edit_mask(y0, x), normalised=True),
    "d_pix_added": lambda y, y0, x: d_pix(y, x, normalised=True) - d_pix(y0, x, normalised=True),
    "d_pix_undisrupted": lambda y, y0, x: d_pix(y0, x, normalised=True),
    "d_mask_undisrupted": lambda y, y0, x: d_mask(y0, x, edit_mask(y0, x), normalised=True),
}
UNITS = {
    "d_pix": "DADFI's eq. 19 as printed: root of a sum, photo to edit, [0, 1] units",
    "d_pix_normalised": "root of the mean square, photo to edit, [0, 1] units",
    "d_mask": "DADFI's eq. 20 as printed, over the pixels that the clean edit changes",
    "d_mask_normalised": "root of the mean square over the pixels that the clean edit changes",
    "d_pix_added": "d_pix_normalised less that of the clean edit",
    "d_pix_undisrupted": "d_pix_normalised of the clean edit: what the edit itself does",
    "d_mask_undisrupted": "d_mask_normalised of the clean edit: what the edit itself does",
}


def that_count(table: pd.DataFrame, took: Mapping[str, Mapping[tuple[str, str], bool]]) -> pd.DataFrame:
    """The rows of edits that take and have something to change; `took` is by forger, then (edit, image id)."""
    taken = [took[row.forger][row.edit, row.image_id] for row in table.itertuples()]
    return table[table["changes"].to_numpy(bool) & np.array(taken, bool)]


def effect_results(table: pd.DataFrame, axes: dict, by_photo: Sequence[str] = ()) -> list[dict]:
    """Results rows of each disruptor, way and forger: both shares broken, and the mean of each of `by_photo`."""
    rows = []
    for (disruptor, way, forger), part in table.groupby(["disruptor", "way", "forger"], sort=False):
        here = axes | {"attack": disruptor, "purifier": way or None, "forger": forger}
        for measure, share in SHARES.items():
            met = part.dropna(subset=measure)
            rows.append(mean_result(here, share, met[measure] >= DISRUPTED, _people(met), SHARE.format(measure)))
        for name in by_photo:
            met = part.dropna(subset=name)
            rows.append(mean_result(here, name, met[name], _people(met), UNITS[name]))
    return rows


def survival_results(table: pd.DataFrame, axes: dict) -> list[dict]:
    """Results rows `survival` of each disruptor and forger: the share of edits broken, mean over the ways of the table.

    It is PDBench's ROB, one number for a protection, with ways that end in 8 bits and an interval over people.
    """
    rows = []
    for (disruptor, forger), part in table.groupby(["disruptor", "forger"], sort=False):
        here = axes | {"attack": disruptor, "forger": forger}
        unit = f"{SHARE.format('l2')}, mean over {part['way'].nunique()} ways"
        rows.append(mean_result(here, "survival", part["l2"] >= DISRUPTED, _people(part), unit))
    return rows


def beyond(table: pd.DataFrame, axes: dict, other: str, of: float = 1.0) -> list[dict]:
    """Results rows of what each disruptor does minus `of` times what another does to the same edits, paired.

    They are called `<share>_minus_<other>`, for both shares broken, and `l2_minus_<other>`; with `of` below 1
    `<share>_minus_<of>_<other>`.
    """
    rows, keys, times = [], ["way", "forger", "edit", "image_id"], "" if of == 1 else f"{of:g}_"
    theirs = table.loc[table["disruptor"] == other, [*keys, *MEASURES]]
    pairs = table[table["disruptor"] != other].merge(theirs, on=keys, suffixes=("", "_other"))
    for (disruptor, way, forger), both in pairs.groupby(["disruptor", "way", "forger"], sort=False):
        here = axes | {"attack": disruptor, "purifier": way or None, "forger": forger}
        for measure, share in SHARES.items():
            met = both.dropna(subset=[measure, f"{measure}_other"])
            difference = (met[measure] >= DISRUPTED) - of * (met[f"{measure}_other"] >= DISRUPTED)
            unit = f"difference of shares, paired{'' if of == 1 else f'; the other times {of:g}'}"
            rows.append(mean_result(here, f"{share}_minus_{times}{other}", difference, _people(met), unit))
        moved = both["l2"] - of * both["l2_other"]
        rows.append(
            mean_result(here, f"l2_minus_{times}{other}", moved, _people(both), "mean square on [-1, 1], paired")
        )
    return rows


def frechet_rows(
    photos: np.ndarray, clean: Mapping[str, np.ndarray], broken: Mapping[tuple[str, str], np.ndarray], axes: dict,
    extractor: str,
) -> list[dict]:  # fmt: skip
    """Results rows of DADFI's d_Frechet (eq. 21): from the photos, as printed, also of undisrupted edits; from these.

    Args:
        photos: features of the photos; `clean` of each forger's edits; `broken` of those of each (disruptor, forger).
        extractor: whose features they are.
    """
    met = [(here, features, "d_frechet", photos) for here, features in broken.items()]
    met += [((None, forger), features, "d_frechet_undisrupted", photos) for forger, features in clean.items()]
    met += [(here, features, "d_frechet_to_clean", clean[here[1]]) for here, features in broken.items()]
    rows = []
    for (disruptor, forger), features, name, reference in met:
        here, of = axes | {"attack": disruptor, "forger": forger}, "photos" if reference is photos else "clean edits"
        unit = f"Frechet distance of {of} and edits, {extractor}'s features"
        value = frechet_distance(reference, features)
        rows.append(plain_result(here, f"{name}_{extractor}", value, len(features), unit))
    return rows


def photo_results(x: Tensor, treated: Mapping[str, Tensor], people: pd.Series, axes: dict) -> list[dict]:
    """Results rows of what the eye meets: PSNR, SSIM and the largest change of each disruptor's photos of x."""
    rows = []
    for disruptor, x_adv in treated.items():
        seen = {
            "photo_psnr": (psnr(x_adv, x), "dB, disrupted photo beside the original"),
            "photo_ssim": (ssim(x_adv, x), "SSIM of the disrupted photo and the original"),
            "photo_largest_change": ((x_adv - x).abs().flatten(1).amax(1), "infinity norm of the change, [0, 1] units"),
        }
        here = axes | {"attack": disruptor}
        rows += [mean_result(here, name, values, people, unit) for name, (values, unit) in seen.items()]
    return rows


def features_of(images: Tensor, extractor: Extractor) -> np.ndarray:
    """An extractor's features of images of any number of leading dimensions, n x d."""
    return extractor(images.reshape(-1, *images.shape[-3:])).cpu().numpy()


def _people(part: pd.DataFrame) -> pd.Series:
    return part["person"].rename("people")
