"""Park et al., WISA 2023 and IEEE Access 2024: purify disrupted photos by a short reverse diffusion (protocol 1, 2).

The abstracts give no numbers, so the boundaries are ours. Accuracy hangs on the threshold of 0.5; therefore what is
claimed of it is asked again at 5 % false alarms on other people's photos, and of the AUC.
"""

import pandas as pd

from antidisrupt_lib.claims.defects import PGD, PURIFIED, Defect
from antidisrupt_lib.claims.evidence import Evidence, differences, ratio_of_times
from antidisrupt_lib.claims.rows import DIFFPURE, purified, trained_on
from antidisrupt_lib.claims.verdicts import Claim
from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.results import pick

WISA = "Park et al., WISA 2023"
IEEE = "Park et al., IEEE Access 2024"
EXISTING = (DIFFPURE, "autoencoder_1", "autoencoder_2")  # corrected; the adversarial forgers are no purifiers
DETECTORS = 3  # as many architectures make "every"


def _faster(results: pd.DataFrame, attack: str) -> list[Evidence]:
    ours, theirs = (pick(results, metric="seconds_per_image", **purified(attack, name)) for name in (OURS, "diffpure"))
    return [ratio_of_times(a, b) for a in ours.itertuples() for b in theirs.itertuples()]


def _l2(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return differences(results, "l2", purified(attack), "|".join(EXISTING))


def _frechet(results: pd.DataFrame, attack: str) -> list[Evidence]:
    metrics = results["metric"][results["metric"].str.fullmatch(r"frechet_((?!_minus_|_as_published).)+")].unique()
    return [number for name in metrics for number in differences(results, name, purified(attack), "|".join(EXISTING))]


CLAIMS = (
    Claim("poison_harms", WISA, "Trained on disrupted photos alone, each of three or more detectors loses more than "
          "10 points of accuracy.", trained_on("poisoned", "drop"), above=0.1, least=DETECTORS),
    Claim("poison_harms_at_fpr_5", WISA, "The same of accuracy at 5 % false alarms.",
          trained_on("poisoned", "drop_at_fpr_5"), above=0.1, least=DETECTORS),
    Claim("poison_harms_auc", WISA, "The same of the AUC, by 0.1.",
          trained_on("poisoned", "drop_auc"), above=0.1, least=DETECTORS),
    Claim("purification_curtails", WISA, "Purified photos alone give each of three or more detectors more accuracy "
          "than disrupted ones.", trained_on("purified", "accuracy_minus_poisoned", purifier=OURS), above=0,
          least=DETECTORS),
    Claim("curtails_at_fpr_5", WISA, "At 5 % false alarms too they bring a part of the loss back.",
          trained_on("purified", "recovery_at_fpr_5", purifier=OURS), above=0, least=DETECTORS),
    Claim("curtails_auc", WISA, "And of the AUC's.",
          trained_on("purified", "recovery_auc", purifier=OURS), above=0, least=DETECTORS),
    Claim("better_detectors", WISA, "Each of three or more detectors gains accuracy over DiffPure's photos, of any t.",
          trained_on("purified", f"accuracy_minus_({DIFFPURE})", purifier=OURS), above=0, least=DETECTORS),
    Claim("faster", WISA, "Reverse-only purification takes less time than DiffPure (t = 300).", _faster, below=1,
          held="one machine, its batches"),
    Claim("comparable_l2", IEEE, "Its edits' L2 is at most 0.01 above DiffPure's and each autoencoder's (a fifth of "
          "the threshold; not inferior).", _l2, below=0.01, family=EXISTING),
    Claim("closer_frechet", IEEE, "Its deepfakes are nearer to the clean ones (Frechet) than DiffPure's and each "
          "autoencoder's are.", _frechet, below=0, family=EXISTING),
)  # fmt: skip

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
