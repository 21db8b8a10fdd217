"""What the rows of attacked and defended detectors are called, and what was published about such detectors.

In the results table these rows have stage STAGE; `detector` is the architecture, `arm` one of DEFENCES (a strength may
follow: lipschitz_50), `attack` one of ATTACKS or empty for untouched images, `purifier` an input defence or empty.
"""

import re

import pandas as pd

STAGE = "robust"
DEFENCES = ("none", "weak", "strong", "lipschitz", "adversarial", "adversarial+lipschitz")
TRANSFER = "_transfer"  # the attack was computed on another detector: black box
MIXED = "mixed"  # attacked and untouched fakes in one test set
ATTACKS = {
    "": "unperturbed",
    "fgsm_transfer": "FGSM, black box",
    "fgsm": "FGSM, white box",
    "pgd_transfer": "PGD, black box",
    "pgd": "PGD, white box",
    "cw_l2_transfer": "CW-L2, black box",
    "cw_l2": "CW-L2, white box",
    MIXED: "perturbed and unperturbed",
}


def attack_at(attack: str, eps: float) -> str:
    """The name of an attack of some size: `pgd_2_255` for 2/255 of the range [0, 1]."""
    return f"{attack}_{eps * 255:.4g}_255"


def eps_of(name: str, attack: str) -> float:
    """The budget in 1/255 of one attack's point on its curve; 0 for an empty name, NaN for other attacks."""
    found = re.fullmatch(rf"{re.escape(attack)}_([\d.]+)_255", name)
    return float(found[1]) if found else 0.0 if name == "" else float("nan")


# Published numbers in percent, as printed (protocol 3.6 and 3.7); never those that are only remembered

_GANDHI_JAIN = """
vgg16    | none              |                |                  | accuracy             | 99.7
vgg16    | none              |                |                  | auc                  | 99.9
vgg16    | none              |                |                  | recall_fake          | 99.7
vgg16    | none              |                |                  | recall_real          | 99.8
vgg16    | none              | fgsm_transfer  |                  | recall_fake          | 8.9
vgg16    | none              | fgsm           |                  | recall_fake          | 0.0
vgg16    | none              | cw_l2_transfer |                  | recall_fake          | 26.6
vgg16    | none              | cw_l2          |                  | recall_fake          | 0.0
resnet18 | none              |                |                  | accuracy             | 93.2
resnet18 | none              |                |                  | auc                  | 97.9
resnet18 | none              |                |                  | recall_fake          | 95.4
resnet18 | none              |                |                  | recall_real          | 91.1
resnet18 | none              | fgsm_transfer  |                  | recall_fake          | 20.8
resnet18 | none              | fgsm           |                  | recall_fake          | 7.5
resnet18 | none              | cw_l2_transfer |                  | recall_fake          | 4.6
resnet18 | none              | cw_l2          |                  | recall_fake          | 0.0
resnet18 | lipschitz_average |                |                  | recall_fake          | 93.9
resnet18 | lipschitz_average | fgsm_transfer  |                  | recall_fake          | 31.5
resnet18 | lipschitz_average | fgsm           |                  | recall_fake          | 12.5
resnet18 | lipschitz_average | cw_l2_transfer |                  | recall_fake          | 14.3
resnet18 | lipschitz_average | cw_l2          |                  | recall_fake          | 0.5
resnet18 | lipschitz_best    |                |                  | recall_fake          | 99.3
resnet18 | lipschitz_best    | fgsm_transfer  |                  | recall_fake          | 53.2
resnet18 | lipschitz_best    | fgsm           |                  | recall_fake          | 26.5
resnet18 | lipschitz_best    | cw_l2_transfer |                  | recall_fake          | 19.8
resnet18 | lipschitz_best    | cw_l2          |                  | recall_fake          | 2.2
         | none              | mixed          |                  | accuracy_at_0.25     | 60.0
         | none              | mixed          |                  | auc                  | 41.9
         | none              | mixed          |                  | recall_fake_at_0.25  | 55.5
         | none              | mixed          |                  | recall_real_at_0.25  | 100.0
         | none              | mixed          | deep_image_prior | accuracy_at_0.25     | 97.0
         | none              | mixed          | deep_image_prior | auc                  | 99.2
         | none              | mixed          | deep_image_prior | recall_fake_at_0.25  | 97.8
         | none              | mixed          | deep_image_prior | recall_real_at_0.25  | 90.0
         | none              | mixed          | deep_image_prior | seconds_per_image    | about 1800
"""
_KOREAN = """
xception | none                  |      | | accuracy       | 97.683
xception | none                  |      | | auc            | 99.615
xception | adversarial+lipschitz | pgd  | | attack_success | at most 10 (claimed)
xception | adversarial+lipschitz | fgsm | | attack_success | at most 10 (claimed)
"""


def _rows(text: str) -> pd.DataFrame:
    cells = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(cells, columns=["detector", "arm", "attack", "purifier", "metric", "text"])


GANDHI_JAIN, KOREAN = _rows(_GANDHI_JAIN), _rows(_KOREAN)
