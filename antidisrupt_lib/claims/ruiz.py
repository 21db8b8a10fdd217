"""Ruiz et al. 2020: an image that is changed a little breaks the deepfakes made of it (protocol 3.1)."""

import re

import pandas as pd

from antidisrupt_lib.claims.defects import PGD, Defect
from antidisrupt_lib.claims.evidence import Evidence, differences, measured
from antidisrupt_lib.claims.verdicts import Claim
from antidisrupt_lib.metrics.results import pick

RUIZ = "Ruiz et al. 2020"
TARGETS = ("grey", "black", "white", "identity")


def _works(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = pick(results, stage="disrupt", attack=attack, purifier=None, metric="share_disrupted")
    return measured(rows, "attack")


def _away(results: pd.DataFrame, attack: str) -> list[Evidence]:
    one = {"stage": "disrupt", "attack": attack, "purifier": None}
    return differences(results, "l2", one, rf"{re.escape(attack)}_({'|'.join(TARGETS)})", axis="attack")


CLAIMS = (
    Claim("disruption_works", RUIZ, "A disruption ({attack}) breaks more than half of the deepfakes.", _works,
          above=0.5, held="forger"),
    Claim("away_is_strongest", RUIZ, "Pushing away from the clean deepfake moves it further (L2) than pulling to grey, "
          "black, white or the photo.", _away, above=0, family=tuple(f".+_{name}" for name in TARGETS), held="forger"),
)  # fmt: skip

DEFECTS = (
    Defect("3.1", "Ruiz: PGD knows one class and is measured on all five", "share_disrupted",
           PGD | {"attack": "pgd_Black_Hair"}, PGD),
)  # fmt: skip
