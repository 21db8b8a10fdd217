"""Did an edit take? The attribute classifier's verdict on photos and on deepfakes."""

import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.deepfakes.classifier import AttributeClassifier, predict_attributes, probabilities
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all, translations
from antidisrupt_lib.faces.faceset import FaceSet


def attribute_accuracy(classifier: AttributeClassifier, faces: FaceSet) -> pd.DataFrame:
    """The classifier's accuracy on photos, one row per attribute."""
    right = (predict_attributes(classifier, faces) > 0.5) == faces.labels(ATTRIBUTES).bool()
    return pd.DataFrame({"attribute": ATTRIBUTES, "accuracy": right.float().mean(0).numpy()})


@torch.no_grad()
def edits_that_took(forge: Forger, classifier: AttributeClassifier, faces: FaceSet, batch_size: int = 32) -> Tensor:
    """T x N booleans: does the classifier see in the fake of translation t the attribute that it was made to show?"""
    device, c = next(classifier.parameters()).device, faces.labels(ATTRIBUTES)
    verdicts = []
    for chosen, x in faces.batches(batch_size):
        fakes = forge_all(forge, x.to(device), c[chosen])
        targets = translations(c[chosen])
        seen = torch.stack([probabilities(classifier, y) > 0.5 for y in fakes])
        verdicts.append(torch.stack([seen[i, :, i] == targets[i, :, i].bool() for i in range(len(ATTRIBUTES))]))
    return torch.cat(verdicts, dim=1)


def by_edit(took: Tensor, faces: FaceSet) -> dict[tuple[str, str], bool]:
    """By (attribute, image id): whether an edit took, as `edits_that_took` says."""
    return {
        (name, image_id): verdict
        for name, row in zip(ATTRIBUTES, took.tolist(), strict=True)
        for image_id, verdict in zip(faces.image_ids, row, strict=True)
    }
