"""Questions that the papers leave open, and that this project asks."""

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, measured
from antidisrupt_lib.claims.jung import success_of
from antidisrupt_lib.claims.rows import Find, attacked, known, share_minus, through, trained_on
from antidisrupt_lib.claims.verdicts import Claim, Condition
from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.results import pick

OPEN = "open question"
ADAPTED = (OURS, r"diffpure_10", r"ddim", r"one_step", r"jpeg(_75)?", r"median_blur", r"bit_depth")
GUARDS = (r"jpeg(_75)?", r"median_blur", r"autoencoder_1", r"one_step", OURS, r"deep_image_prior_shallow")
STEPS = (r"one_step(_10)?", r"one_step_20", r"one_step_50")
HELD = "forger, B, the detectors' hyperparameters"
WORKS = Condition("recall of untouched fakes", 0.8, refutes=False)
PHOTOS = Condition("recall of photos", 0.8)


def _survives(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(known(results, attack), purifier=OURS), "purifier")


def _any_survives(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(known(results, attack), "purifier")


def _falls(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = attacked(results, "attack_success", "none", attack=[attack, "cw_l2"])
    return measured(rows, "attack", attacked(results, "recall_fake", "none", attack=""), but={"attack"})


def _guards(knows: bool) -> Find:
    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows, photos = (attacked(results, name, "none", ".+") for name in ("attack_success", "recall_real"))
        rows = rows[through(rows, attack) if knows else rows["attack"] == attack]
        return measured(rows, "purifier", photos)

    return find


CLAIMS = (
    Claim("better_at_equal_cost", OPEN, "Reverse diffusion leaves fewer edits disrupted than DiffPure of as many "
          "network calls.", share_minus("diffpure_10"), below=0),
    Claim("equal_detectors", OPEN, "Its detectors are as accurate as those of DiffPure of as many network calls: "
          "within 2 points, either way.", trained_on("purified", "accuracy_minus_diffpure_10", purifier=OURS),
          above=-0.02, below=0.02),
    Claim("one_step_as_good", OPEN, "One denoising step, from 10, 20 or 50, leaves less than 5 points more of the "
          "edits disrupted.", share_minus("|".join(STEPS)), above=-0.05, one_is_enough=True, family=STEPS),
    Claim("jpeg_as_good", OPEN, "A plain JPEG (quality 75) leaves less than 5 points more of the edits disrupted.",
          share_minus(r"jpeg(_75)?"), above=-0.05),
    Claim("survives_adaptive", OPEN, "Reverse diffusion leaves less than half disrupted by a disruptor that knows it.",
          _survives, below=0.5),
    Claim("any_survives_adaptive", OPEN, "Some of seven purifiers leaves less than half disrupted by a disruptor that "
          "knows it.", _any_survives, below=0.5, one_is_enough=True, family=ADAPTED),
    Claim("undefended_falls", OPEN, "{attack} and C&W each pass more than 0.9 of the fakes for real, where more than "
          "0.8 are recalled untouched.", _falls, above=0.9, family=("cw_l2", "(?!cw_l2).+"), condition=WORKS,
          about="detectors", held=HELD),
    Claim("as_published_alone_holds", OPEN, "Adversarial training by the loop as published, without Lipschitz, lets "
          "less than 0.1 of PGD and FGSM pass, and recalls more than 0.8 of the photos.",
          success_of("adversarial_as_published"), below=0.1, family=("pgd_2_255", "fgsm_1_255"), condition=PHOTOS,
          about="detectors", held=HELD),
    Claim("purifier_defends", OPEN, "Some input defence lets less than 0.1 of the attacked fakes pass, and more than "
          "0.8 of the photos.", _guards(False), below=0.1, one_is_enough=True, family=GUARDS, condition=PHOTOS,
          about="detectors", held=HELD),
    Claim("purifier_survives", OPEN, "Some input defence does so when the attack goes through it.", _guards(True),
          below=0.1, one_is_enough=True, family=GUARDS, condition=PHOTOS, about="detectors", held=HELD),
)  # fmt: skip
