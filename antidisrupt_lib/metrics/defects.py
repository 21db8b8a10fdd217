"""What the originals' defects change: a number as published beside the corrected one (protocol 1.4, 1.5, 1.7, 1.10)."""

from dataclasses import dataclass

import pandas as pd

from antidisrupt_lib.metrics.results import pick

PGD = {"stage": "disrupt", "attack": "pgd", "purifier": None}
PURIFIED = {"stage": "purify", "attack": "pgd"}


@dataclass(frozen=True)
class Defect:
    """A defect, the metric it shows in, the axes of its two rows; `published_metric` where the metric is at fault."""

    section: str
    text: str
    metric: str
    published: dict
    corrected: dict
    published_metric: str = ""


DEFECTS = (
    Defect("1.4", "The pooled autoencoder's sigmoid can't write the darker half of [-1, 1]", "psnr",
           PURIFIED | {"purifier": "autoencoder_1_as_published"}, PURIFIED | {"purifier": "autoencoder_1"}),
    Defect("1.4", "The same in the flat autoencoder", "psnr",
           PURIFIED | {"purifier": "autoencoder_2_as_published"}, PURIFIED | {"purifier": "autoencoder_2"}),
    Defect("1.5", "PGD pulls to grey instead of pushing away", "share_disrupted", PGD | {"attack": "pgd_grey"}, PGD),
    Defect("1.5", "PGD knows the photo's own attributes only", "share_disrupted", PGD | {"attack": "pgd_own"}, PGD),
    Defect("1.5", "PGD pulls to grey and knows the photo's own attributes only", "share_disrupted",
           PGD | {"attack": "pgd_as_published"}, PGD),
    Defect("1.5", "FGSM, grey and own attributes, steps by 0.01 instead of eps", "share_disrupted",
           PGD | {"attack": "fgsm_as_published"}, PGD | {"attack": "fgsm_grey_own"}),
    Defect("3.1", "Ruiz: PGD knows one class and is measured on all five", "share_disrupted",
           PGD | {"attack": "pgd_Black_Hair"}, PGD),
    Defect("1.7", "Success after reverse diffusion from 5 is decided on the mean of a batch of 32", "share_disrupted",
           PURIFIED | {"purifier": "reverse_diffusion_5"}, PURIFIED | {"purifier": "reverse_diffusion_5"},
           "share_disrupted_as_published"),
    Defect("1.7", "Success of PGD as published is decided on the mean of a batch of 32", "share_disrupted",
           PGD | {"attack": "pgd_as_published"}, PGD | {"attack": "pgd_as_published"}, "share_disrupted_as_published"),
    Defect("1.7", "The Frechet distance sees the last batch and edit alone", "frechet_attribute_classifier",
           PURIFIED | {"purifier": "reverse_diffusion"}, PURIFIED | {"purifier": "reverse_diffusion"},
           "frechet_attribute_classifier_as_published"),
    Defect("1.7", "What is called L-infinity is the smallest difference", "l_inf", PGD, PGD, "l_inf_as_published"),
    Defect("1.10", "DiffPure runs from 10, not from 300", "psnr",
           PURIFIED | {"purifier": "diffpure_10"}, PURIFIED | {"purifier": "diffpure"}),
    Defect("1.10", "DiffPure meets the adversarially trained forger, the paper's purifier the vanilla one", "l2",
           PURIFIED | {"purifier": "adversarial_gd+diffpure_10"}, PURIFIED | {"purifier": "diffpure_10"}),
    Defect("1.10", "L2 of an adversarially trained forger is taken to its own clean output", "l2_vanilla",
           PURIFIED | {"purifier": "adversarial_gd"}, PURIFIED | {"purifier": "adversarial_gd"}, "l2"),
)  # fmt: skip


def defects_table(results: pd.DataFrame) -> pd.DataFrame:
    """A row per defect whose two numbers were measured, and their difference."""
    rows = []
    for defect in DEFECTS:
        published = pick(results, metric=defect.published_metric or defect.metric, **defect.published)["value"]
        corrected = pick(results, metric=defect.metric, **defect.corrected)["value"]
        if len(published) and len(corrected):
            before, after = published.iloc[0], corrected.iloc[0]
            numbers = {"as_published": before, "corrected": after, "difference": before - after}
            rows.append({"section": defect.section, "defect": defect.text, "metric": defect.metric} | numbers)
    return pd.DataFrame(rows, columns=["section", "defect", "metric", "as_published", "corrected", "difference"])
