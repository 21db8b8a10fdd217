"""What the hardest honest test is to decide: adaptive attackers, and the alternatives to purifying."""

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, measured
from antidisrupt_lib.claims.ours import OPEN
from antidisrupt_lib.claims.rows import Find
from antidisrupt_lib.claims.verdicts import Claim, judge
from antidisrupt_lib.metrics.detection import OURS
from antidisrupt_lib.metrics.hardest import STAGE, WORST
from antidisrupt_lib.metrics.results import pick

EPS = 0.025  # the paper's, in [0, 1] units
FEW_CALLS = ("autoencoder_2", "median_blur", "jpeg", "one_step")
WAYS = ("screened", "augmented", "mixed", "patched")


def worst_rows(results: pd.DataFrame, eps: float, rule: str = "majority") -> pd.DataFrame:
    """Rows of the share of edits that the worst of all attacks at one eps breaks, by a rule of metrics/hardest.py."""
    return pick(results, stage=STAGE, attack=WORST, metric=f"share_disrupted_{rule}_at_{eps:g}")


def _worst(*purifiers: str) -> Find:
    return lambda results, attack: measured(pick(worst_rows(results, EPS), purifier=list(purifiers)), "purifier")


def _found(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, stage="screen", arm="unseen", metric="hits_at_5"), "attack")


def _recovered(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(pick(results, stage="detect", metric="recovery", arm=list(WAYS), seed=None), "arm")


def _unedited(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = pick(results, stage="detect", arm="clean", seed=None)
    return measured(rows[rows["metric"].str.fullmatch(r"recall_fake_in_clean_by_.+_unedited")])


SURVIVES = Claim(
    "hardest_survives", OPEN, "Reverse diffusion leaves less than half disrupted in the worst case over all attacks of "
    "the adaptive standard.", _worst(OURS), below=0.5, about="hardest", held="forger, purifier",
)  # fmt: skip
CLAIMS = (
    SURVIVES,
    Claim("hardest_others_fall", OPEN, "Each purifier of one call or none leaves more than half disrupted in the same.",
          _worst(*FEW_CALLS), above=0.5, family=FEW_CALLS, about="hardest", held="forger, purifier"),
    Claim("screen_finds_unseen", OPEN, "A screen finds more than 0.8 of the photos of each disruptor that it has never "
          "seen, at a threshold for 5 % false alarms.", _found, above=0.8, about="hardest", held="screen"),
    Claim("alternative_recovers", OPEN, "Some way without purified photos alone (screening, augmenting, mixing, "
          "patching) brings back more than half of what poison costs.", _recovered, above=0.5, one_is_enough=True,
          family=WAYS, about="hardest"),
    Claim("detectors_know_edits", OPEN, "Of the passes through its forger that ask for no edit a detector calls less "
          "than half fake.", _unedited, below=0.5, about="hardest"),
)  # fmt: skip


def verdicts_table(results: pd.DataFrame, eps: float, rule: str = "majority") -> pd.DataFrame:
    """A row per purifier: the share of edits broken in the worst case at one eps, and whether it SURVIVES that."""
    rows = worst_rows(results, eps, rule)
    table = rows[["purifier", "value", "low", "high", "n", "over"]].reset_index(drop=True)
    return table.assign(verdict=[judge([number], SURVIVES).said for number in measured(rows, "purifier")])
