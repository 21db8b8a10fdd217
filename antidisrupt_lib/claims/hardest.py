"""What the hardest honest test is to decide: adaptive attackers, and the alternatives to purifying."""

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, measured
from antidisrupt_lib.claims.ours import OPEN
from antidisrupt_lib.claims.rows import Find
from antidisrupt_lib.claims.verdicts import Claim
from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.results import pick

WORST = "share_disrupted_majority_at_0.025"  # per photo the worst over all attacks of the adaptive standard
FEW_CALLS = ("autoencoder_2", "median_blur", "jpeg", "one_step")
WAYS = ("screened", "augmented", "mixed", "patched")


def _worst(*purifiers: str) -> Find:
    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows = pick(results, stage="hardest", attack="worst", metric=WORST, purifier=list(purifiers))
        return measured(rows, "purifier")

    return find


def _found(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, stage="screen", arm="unseen", metric="hits_at_5"), "attack")


def _recovered(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, stage="detect", metric="recovery", arm=list(WAYS), seed=None), "arm")


CLAIMS = (
    Claim("hardest_survives", OPEN, "Reverse diffusion leaves less than half disrupted in the worst case over all "
          "attacks of the adaptive standard.", _worst(OURS), below=0.5, about="hardest", held="forger, purifier"),
    Claim("hardest_others_fall", OPEN, "Each purifier of one call or none leaves more than half disrupted in the same.",
          _worst(*FEW_CALLS), above=0.5, family=FEW_CALLS, about="hardest", held="forger, purifier"),
    Claim("screen_finds_unseen", OPEN, "A screen finds more than 0.8 of the photos of each disruptor that it has never "
          "seen, at a threshold for 5 % false alarms.", _found, above=0.8, about="hardest", held="screen"),
    Claim("alternative_recovers", OPEN, "Some way without purified photos alone (screening, augmenting, mixing, "
          "patching) brings back more than half of what poison costs.", _recovered, above=0.5, one_is_enough=True,
          family=WAYS, about="hardest"),
)  # fmt: skip
