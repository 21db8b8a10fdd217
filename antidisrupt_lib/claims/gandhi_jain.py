"""Gandhi & Jain 2020: detectors fall to attacks; Lipschitz regularisation and Deep Image Prior help (protocol 3.6).

Their FGSM has eps 0.02, their black box is the other one of their two detectors, and `_mixed` are attacked and
untouched fakes in one test set. That a fake passes means something only where untouched fakes don't, and that one is
recalled only where photos aren't called fake: those are the second conditions.
"""

from collections.abc import Callable
from dataclasses import replace

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, against, measured
from antidisrupt_lib.claims.published import published
from antidisrupt_lib.claims.rows import attacked, from_surrogate, recall
from antidisrupt_lib.claims.verdicts import Claim, Condition
from antidisrupt_lib.metrics.robustness import MIXED

GANDHI_JAIN = "Gandhi & Jain 2020"
FGSM = "fgsm_5.1_255"
WHITE = (FGSM, "cw_l2")
PRIOR = "deep_image_prior_as_published"  # in all its iterations; one cut short has not converged
LIPSCHITZ = r"(half_huber\+)?lipschitz(_[\d.]+)?"
HELD = "forger, B, the detectors' hyperparameters"
WORKS = Condition("recall of untouched fakes", 0.8, refutes=False)
PHOTOS = Condition("recall of photos", 0.8)


def _blinded(arm: str, attacks: tuple[str, ...]) -> Callable[[pd.DataFrame, str], list[Evidence]]:
    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        return measured(recall(results, list(attacks), arm), "attack", recall(results, "", arm), but={"attack"})

    return find


def _cw_beyond_fgsm(results: pd.DataFrame, attack: str) -> list[Evidence]:
    return against(recall(results, "cw_l2"), recall(results, FGSM), {"attack"})


def _black_box(results: pd.DataFrame, arm: str, metric: str = "recall_fake") -> pd.DataFrame:
    rows = attacked(results, metric, arm)
    rows = rows[rows["attack"].str.fullmatch(from_surrogate(WHITE))]
    return rows.assign(kind=rows["attack"].str.replace(r"_from_.+", "", regex=True))


def _white_beyond_black(results: pd.DataFrame, attack: str) -> list[Evidence]:
    black = _black_box(results, "none")
    pairs = [(recall(results, name), black[black["kind"] == name], name) for name in WHITE]
    return [replace(number, member=name) for *rows, name in pairs for number in against(*rows, {"attack"})]


def _lipschitz_black_box(results: pd.DataFrame, attack: str) -> list[Evidence]:
    ones, photos = _black_box(results, LIPSCHITZ), _black_box(results, LIPSCHITZ, "recall_real")
    return against(ones, _black_box(results, "none"), {"arm"}, "attack", photos)


def _prior(results: pd.DataFrame, attack: str) -> list[Evidence]:
    rows, photos = (attacked(results, f"recall_{kind}_at_0.25", "none", PRIOR) for kind in ("fake", "real"))
    return measured(rows[rows["attack"].str.endswith(MIXED)], "attack", photos)


CLAIMS = (
    Claim("fgsm_blinds", GANDHI_JAIN, "White-box FGSM (eps 0.02) leaves less than 0.1 of the fakes recalled by a "
          "detector that recalls more than 0.8 untouched.", _blinded("none", (FGSM,)), below=0.1, condition=WORKS,
          about="detectors", held=HELD),
    Claim("cw_beyond_fgsm", GANDHI_JAIN, "White-box C&W leaves fewer fakes recalled than white-box FGSM.",
          _cw_beyond_fgsm, below=0, about="detectors", held=HELD),
    Claim("white_beyond_black", GANDHI_JAIN, "White-box FGSM and C&W leave fewer fakes recalled than the same from "
          "another detector.", _white_beyond_black, below=0, family=WHITE, about="detectors", held=HELD),
    Claim("lipschitz_black_box", GANDHI_JAIN, "Lipschitz regularisation recalls more fakes under FGSM and C&W from any "
          "other detector, and more than 0.8 of the photos.", _lipschitz_black_box, above=0,
          family=tuple(f"{name}_from_.+" for name in WHITE), condition=PHOTOS, about="detectors", held=HELD),
    Claim("lipschitz_white_box", GANDHI_JAIN, "It recalls less than 0.3 under white-box FGSM and C&W all the same, "
          "where it recalls more than 0.8 untouched.", _blinded(LIPSCHITZ, WHITE), below=0.3, family=WHITE,
          condition=WORKS, about="detectors", held=HELD),
    Claim("prior_restores", GANDHI_JAIN, "Behind Deep Image Prior more than 0.9 of any mixed set's fakes and 0.8 of "
          "the photos are recalled, at 0.25.", _prior, above=0.9, condition=PHOTOS, about="detectors", held=HELD),
)  # fmt: skip

# In percent, as printed (protocol 3.6)
PUBLISHED = published("""
vgg16    | none              |                            |                  | accuracy            | 99.7
vgg16    | none              |                            |                  | auc                 | 99.9
vgg16    | none              |                            |                  | recall_fake         | 99.7
vgg16    | none              |                            |                  | recall_real         | 99.8
vgg16    | none              | fgsm_5.1_255_from_resnet18 |                  | recall_fake         | 8.9
vgg16    | none              | fgsm_5.1_255               |                  | recall_fake         | 0.0
vgg16    | none              | cw_l2_from_resnet18        |                  | recall_fake         | 26.6
vgg16    | none              | cw_l2                      |                  | recall_fake         | 0.0
resnet18 | none              |                            |                  | accuracy            | 93.2
resnet18 | none              |                            |                  | auc                 | 97.9
resnet18 | none              |                            |                  | recall_fake         | 95.4
resnet18 | none              |                            |                  | recall_real         | 91.1
resnet18 | none              | fgsm_5.1_255_from_vgg16    |                  | recall_fake         | 20.8
resnet18 | none              | fgsm_5.1_255               |                  | recall_fake         | 7.5
resnet18 | none              | cw_l2_from_vgg16           |                  | recall_fake         | 4.6
resnet18 | none              | cw_l2                      |                  | recall_fake         | 0.0
resnet18 | lipschitz_average |                            |                  | recall_fake         | 93.9
resnet18 | lipschitz_average | fgsm_5.1_255_from_vgg16    |                  | recall_fake         | 31.5
resnet18 | lipschitz_average | fgsm_5.1_255               |                  | recall_fake         | 12.5
resnet18 | lipschitz_average | cw_l2_from_vgg16           |                  | recall_fake         | 14.3
resnet18 | lipschitz_average | cw_l2                      |                  | recall_fake         | 0.5
resnet18 | lipschitz_best    |                            |                  | recall_fake         | 99.3
resnet18 | lipschitz_best    | fgsm_5.1_255_from_vgg16    |                  | recall_fake         | 53.2
resnet18 | lipschitz_best    | fgsm_5.1_255               |                  | recall_fake         | 26.5
resnet18 | lipschitz_best    | cw_l2_from_vgg16           |                  | recall_fake         | 19.8
resnet18 | lipschitz_best    | cw_l2                      |                  | recall_fake         | 2.2
         | none              | _mixed                     |                  | accuracy_at_0.25    | 60.0
         | none              | _mixed                     |                  | auc                 | 41.9
         | none              | _mixed                     |                  | recall_fake_at_0.25 | 55.5
         | none              | _mixed                     |                  | recall_real_at_0.25 | 100.0
         | none              | _mixed                     | deep_image_prior | accuracy_at_0.25    | 97.0
         | none              | _mixed                     | deep_image_prior | auc                 | 99.2
         | none              | _mixed                     | deep_image_prior | recall_fake_at_0.25 | 97.8
         | none              | _mixed                     | deep_image_prior | recall_real_at_0.25 | 90.0
         | none              | _mixed                     | deep_image_prior | seconds_per_image   | about 1800
""")
