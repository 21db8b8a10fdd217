"""DADFI (Yang et al. 2024, PeerJ CS 10:e2356): one pass disrupts every forger, faster than gradients (protocol 3.8).

Its d_pix and d_mask are of the photo and the deepfake, in [0, 1] only if they are normalised (protocol 4.3). The names
are notebook 21's: the attack that the table is about; `FORGER_alone`, a generator that knew one forger, and
`all_forgers`, one trained alike on all; `tuned` and `untuned`, with and without the fine-tuning.
"""

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, measured, ratio_of_times
from antidisrupt_lib.claims.rows import Find
from antidisrupt_lib.claims.verdicts import Claim
from antidisrupt_lib.metrics.results import pick

DADFI = "Yang et al. 2024"
OURS = "Anti-Disrupt"
HELD = "forger, disruptor"
ALONE = r"(.+)_alone"


def _here(results: pd.DataFrame, **where: object) -> pd.DataFrame:
    return pick(results, stage="compare", purifier=None, **where)


def _of(metric: str) -> Find:
    """A metric (a pattern) of the attack on each forger."""

    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows = _here(results, attack=attack)
        return measured(rows[rows["metric"].str.fullmatch(metric)], "forger")

    return find


def _near_gradients(results: pd.DataFrame, attack: str) -> list[Evidence]:
    """The share broken minus 0.8 times that of joint PGD, of the forger of which this breaks most."""
    shares = _here(results, attack="pgd_for_all", metric="share_disrupted").dropna(subset="value")
    easiest = shares.sort_values("value", kind="stable")["forger"][-1:]
    rows = _here(results, attack=attack, metric="share_disrupted_minus_0.8_pgd_for_all", forger=[*easiest])
    return measured(rows, "forger")


def _faster(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows = _here(results, metric="seconds_per_image_batch_1")
    theirs, ours = pick(rows, attack="pgd_for_all"), pick(rows, attack=attack)
    return [ratio_of_times(a, b) for a in theirs.itertuples() for b in ours.itertuples()]


def _elsewhere(results: pd.DataFrame, attack: str) -> list[Evidence]:
    """d_pix of generators that knew one forger, on the others."""
    rows = _here(results, metric="d_pix_normalised")
    knew = rows["attack"].astype(str).str.extract(f"^{ALONE}$")[0]
    return measured(rows[knew.notna() & (knew != rows["forger"])], "attack")


def _joint_elsewhere(results: pd.DataFrame, attack: str) -> list[Evidence]:
    """What a generator for all forgers breaks beyond one for a single forger, on the others."""
    rows = _here(results, attack="all_forgers")
    knew = rows["metric"].str.extract(rf"^share_disrupted_minus_{ALONE}$")[0]
    return measured(rows[knew.notna() & (knew != rows["forger"])], "forger")


def _tuned(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return measured(_here(results, attack="tuned", metric="share_disrupted_minus_untuned"), "forger")


CLAIMS = (
    Claim("d_pix", DADFI, "d_pix (normalised) of photo and deepfake is above 0.06 for every forger ({attack}).",
          _of("d_pix_normalised"), above=0.06, about="disruptors", held=HELD),
    Claim("d_pix_added", OURS, "The disruption adds more than 0.06 to the d_pix that the clean edit has already, for "
          "every forger.", _of("d_pix_added"), above=0.06, about="disruptors", held=HELD),
    Claim("d_mask", DADFI, "d_mask (normalised) is above 0.79 for every forger.", _of("d_mask_normalised"), above=0.79,
          about="disruptors", held=HELD),
    Claim("d_frechet", DADFI, "The Frechet distance of photos and deepfakes is above 30 for every forger.",
          _of(r"d_frechet_(?!to_clean|undisrupted).+"), above=30, about="disruptors", held=HELD),
    Claim("faster_disruption", DADFI, "Joint PGD takes more than 20 times as long for a photo.", _faster, above=20,
          about="disruptors", held=HELD),
    Claim("breaks_all", DADFI, "It breaks more edits of every forger than noise of its size.",
          _of("share_disrupted_minus_uniform_noise"), above=0, about="disruptors", held=HELD),
    Claim("moves_all", OURS, "It moves the edits of every forger further (L2) than noise of its size.",
          _of("l2_minus_uniform_noise"), above=0, about="disruptors", held=HELD),
    Claim("near_gradients", OURS, "It breaks more than 0.8 times what joint PGD does of the forger that breaks "
          "most.", _near_gradients, above=0, about="disruptors", held=HELD),
    Claim("single_stays_below", DADFI, "A generator that knew one forger leaves d_pix below 0.05 on the others.",
          _elsewhere, below=0.05, family=(ALONE,), about="disruptors", held=HELD),
    Claim("joint_transfers", DADFI, "A generator for all forgers breaks more edits of each than one that didn't know "
          "it.", _joint_elsewhere, above=0, about="disruptors", held=HELD),
    Claim("fine_tuning", DADFI, "With the fine-tuning a generator breaks more edits of every forger than without.",
          _tuned, above=0, about="disruptors", held=HELD),
)  # fmt: skip
