"""What was claimed of attacked and defended detectors, with evidence from our results, for `claims.claims_table`.

Differences are between detectors that were trained apart; their intervals add those of both, and so are too wide.
"""

import re
from collections.abc import Callable

import pandas as pd

from antidisrupt_lib.metrics.claims import Claim, Evidence, measured, minus
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.metrics.robustness import MIXED, STAGE, is_white_box

FGSM = "fgsm_5.1_255"  # Gandhi & Jain's
PRIOR = r"deep_image_prior_as_published"  # in all its iterations; one cut short has not converged
LIPSCHITZ = r"(half_huber\+)?lipschitz(_[\d.]+)?"
DEFENDED = r"adversarial\+lipschitz"
AS_PUBLISHED = r"adversarial_as_published(\+lipschitz)?"
KOREAN_ATTACKS = ["pgd_2_255", "fgsm_1_255"]
LEAST_PHOTOS = 10  # a bootstrap of fewer says nothing: that of a single photo has no width at all


def _rows(results: pd.DataFrame, metric: str, arm: str, purifier: str = "", **where: object) -> pd.DataFrame:
    """Rows of enough photos, over all seeds, with arm and purifier of a pattern; none's attack or purifier is ""."""
    rows = pick(results, stage=STAGE, metric=metric, seed=None).dropna(subset="arm")
    rows = rows[rows["n"] >= LEAST_PHOTOS]
    rows = rows.assign(**{axis: rows[axis].astype(object).fillna("") for axis in ("attack", "purifier")})
    return pick(rows[rows["arm"].str.fullmatch(arm) & rows["purifier"].str.fullmatch(purifier)], **where)


def _minus(ones: pd.DataFrame, others: pd.DataFrame, same: list[str]) -> list[Evidence]:
    """Every row minus every other of its detector that agrees with it in the axes `same`."""
    return [
        minus(a, b)
        for a in ones.itertuples()
        for b in others.itertuples()
        if all(getattr(a, axis) == getattr(b, axis) for axis in ["detector", *same])
    ]


def _recall(results: pd.DataFrame, attack: str, arm: str = "none") -> pd.DataFrame:
    return _rows(results, "recall_fake", arm, attack=attack)


def _fgsm(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_recall(results, FGSM))


def _falls(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_rows(results, "attack_success", "none", attack=[attack, "cw_l2"]))


def _cw_beyond_fgsm(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return _minus(_recall(results, "cw_l2"), _recall(results, FGSM), ["arm"])


def _black_box(results: pd.DataFrame) -> pd.DataFrame:
    rows = _rows(results, "recall_fake", f"none|{LIPSCHITZ}")
    return rows[rows["attack"].str.fullmatch(rf"({re.escape(FGSM)}|cw_l2)_from_.+")]


def _white_beyond_black(results: pd.DataFrame, attack: str) -> list[Evidence]:
    black = pick(_black_box(results), arm="none")
    black = black.assign(attack=black["attack"].str.replace(r"_from_.+", "", regex=True))
    return _minus(_recall(results, [FGSM, "cw_l2"]), black, ["arm", "attack"])


def _lipschitz_black_box(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = _black_box(results)
    return _minus(rows[rows["arm"] != "none"], pick(rows, arm="none"), ["attack"])


def _lipschitz_white_box(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_recall(results, [FGSM, "cw_l2"], LIPSCHITZ))


def _prior(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = _rows(results, "recall_fake_at_0.25", "none", PRIOR)
    return measured(rows[rows["attack"].str.endswith(MIXED)])


def _success_of(arm: str) -> Callable[[pd.DataFrame, str], list[Evidence]]:
    return lambda results, attack: measured(_rows(results, "attack_success", arm, attack=KOREAN_ATTACKS))


def _accuracy_kept(results: pd.DataFrame, attack: str) -> list[Evidence]:
    calm = {"attack": ""}
    return _minus(_rows(results, "accuracy", DEFENDED, **calm), _rows(results, "accuracy", "none", **calm), ["attack"])


def _input_defences(knows: bool) -> Callable[[pd.DataFrame, str], list[Evidence]]:
    def evidence(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows = _rows(results, "attack_success", "none", ".+")
        names = attack + ("_through_" + rows["purifier"] if knows else "")
        return measured(rows[(rows["attack"] == names) & rows["attack"].map(is_white_box)])

    return evidence


GANDHI_JAIN = "Gandhi & Jain 2020"
KOREAN = "JungYuna9515 2022"
OPEN = "open question"

ROBUSTNESS_CLAIMS = (
    Claim("undefended_falls", OPEN, "PGD at 2/255 and C&W each pass more than 0.9 of the fakes for real.",
          _falls, above=0.9),
    Claim("fgsm_blinds", GANDHI_JAIN, "White-box FGSM (eps 0.02) leaves less than 0.1 of the fakes recalled.",
          _fgsm, below=0.1),
    Claim("cw_beyond_fgsm", GANDHI_JAIN, "C&W leaves fewer fakes recalled than FGSM.", _cw_beyond_fgsm, below=0),
    Claim("white_beyond_black", GANDHI_JAIN, "White-box attacks leave fewer fakes recalled than black-box ones.",
          _white_beyond_black, below=0),
    Claim("lipschitz_black_box", GANDHI_JAIN, "Lipschitz regularisation recalls more under every black-box attack.",
          _lipschitz_black_box, above=0),
    Claim("lipschitz_white_box", GANDHI_JAIN, "It recalls less than 0.3 under white-box attacks all the same.",
          _lipschitz_white_box, below=0.3),
    Claim("prior_restores", GANDHI_JAIN, "Behind Deep Image Prior 0.9 of a mixed set's fakes are recalled, at 0.25.",
          _prior, above=0.9, one_is_enough=True),
    Claim("adversarial_holds", KOREAN, "Adversarial training with Lipschitz lets at most 0.1 of PGD and FGSM pass.",
          _success_of(DEFENDED), below=0.1),
    Claim("as_published_holds", KOREAN, "The same of the loop as published.", _success_of(AS_PUBLISHED), below=0.1),
    Claim("accuracy_kept", KOREAN, "It costs at most 2 points of accuracy on untouched images.",
          _accuracy_kept, above=-0.02),
    Claim("purifier_defends", OPEN, "Some input defence lets at most 0.1 of the attacked fakes pass.",
          _input_defences(False), below=0.1, one_is_enough=True),
    Claim("purifier_survives", OPEN, "Some input defence does so when the attack goes through it.",
          _input_defences(True), below=0.1, one_is_enough=True),
)  # fmt: skip
