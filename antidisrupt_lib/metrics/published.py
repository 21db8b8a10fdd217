"""Published numbers of attacked and defended detectors in percent, as printed (protocol 3.6 and 3.7), on our axes.

Gandhi & Jain's FGSM has eps 0.02, their black box is the other one of their two detectors, and `_mixed` are attacked
and untouched fakes in one test set. Numbers that are only remembered are left out.
"""

import pandas as pd

_GANDHI_JAIN = """
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
"""
_KOREAN = """
xception | none                               |            | | accuracy       | 97.683
xception | none                               |            | | auc            | 99.615
xception | adversarial_as_published+lipschitz | pgd_2_255  | | attack_success | at most 10 (claimed)
xception | adversarial_as_published+lipschitz | fgsm_1_255 | | attack_success | at most 10 (claimed)
"""


def _rows(text: str) -> pd.DataFrame:
    cells = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    return pd.DataFrame(cells, columns=["detector", "arm", "attack", "purifier", "metric", "text"])


GANDHI_JAIN, KOREAN = _rows(_GANDHI_JAIN), _rows(_KOREAN)
