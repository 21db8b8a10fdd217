"""JungYuna9515 2022, a repository for Celeb-DF: adversarial training with a Lipschitz term (protocol 3.7).

Its training loop is one step, not the 40 it says. So what it claims is asked of adversarial training that does what it
says, and of the loop as published; both with the Lipschitz term, without which it claims nothing.
"""

import pandas as pd

from antidisrupt_lib.claims.evidence import Evidence, against, measured
from antidisrupt_lib.claims.published import published
from antidisrupt_lib.claims.rows import Find, attacked
from antidisrupt_lib.claims.verdicts import Claim, Condition

JUNG = "JungYuna9515 2022"
ATTACKS = ("pgd_2_255", "fgsm_1_255")
STRENGTH = r"lipschitz(_[\d.]+)?"
DEFENDED = rf"adversarial\+{STRENGTH}|{STRENGTH}\+adversarial"
AS_PUBLISHED = rf"adversarial_as_published\+{STRENGTH}|{STRENGTH}\+adversarial_as_published"
HELD = "forger, B, the detectors' hyperparameters"
PHOTOS = Condition("recall of photos", 0.8)


def success_of(arm: str) -> Find:
    """The success of the repository's attacks on a defence, beside the recall of photos."""

    def find(results: pd.DataFrame, attack: str) -> list[Evidence]:
        rows, photos = (
            attacked(results, name, arm, attack=list(ATTACKS)) for name in ("attack_success", "recall_real")
        )
        return measured(rows, "attack", photos)

    return find


def _accuracy_kept(results: pd.DataFrame, attack: str) -> list[Evidence]:
    ones, others = (attacked(results, "accuracy", arm, attack="") for arm in (DEFENDED, "none"))
    return against(ones, others, {"arm"})


CLAIMS = (
    Claim("adversarial_holds", JUNG, "Adversarial training with Lipschitz lets less than 0.1 of the fakes pass by PGD "
          "at 2/255 and by FGSM at 1/255, and recalls more than 0.8 of the photos.", success_of(DEFENDED), below=0.1,
          family=ATTACKS, condition=PHOTOS, about="detectors", held=HELD),
    Claim("as_published_holds", JUNG, "The same, trained by the loop as published, with Lipschitz.",
          success_of(AS_PUBLISHED), below=0.1, family=ATTACKS, condition=PHOTOS, about="detectors", held=HELD),
    Claim("accuracy_kept", JUNG, "Adversarial training with Lipschitz costs less than 2 points of accuracy on "
          "untouched images.", _accuracy_kept, above=-0.02, about="detectors", held=HELD),
)  # fmt: skip

# In percent, as printed (protocol 3.7)
PUBLISHED = published("""
xception | none                               |            | | accuracy       | 97.683
xception | none                               |            | | auc            | 99.615
xception | adversarial_as_published+lipschitz | pgd_2_255  | | attack_success | at most 10 (claimed)
xception | adversarial_as_published+lipschitz | fgsm_1_255 | | attack_success | at most 10 (claimed)
""")
