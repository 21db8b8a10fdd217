"""The attribute classifier: says whether an edit took, and stands in for Inception as a feature extractor."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, require_labels
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.training import draw_batch, random_flip, run_training
from antidisrupt_lib.weights import load_network, require_size


class AttributeClassifier(nn.Module):
    """Images N x 3 x H x W in [0, 1] to attribute logits N x c_dim, over pooled features of 8 * width numbers."""

    def __init__(self, width: int = 24, c_dim: int = 5) -> None:
        super().__init__()
        self.architecture = {"width": width, "c_dim": c_dim}
        channels = [3, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for c_in, c_out in zip(channels, channels[1:], strict=False):
            layers += [nn.Conv2d(c_in, c_out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())
        self.features_layer = nn.Linear(4 * channels[-1], channels[-1])
        self.head = nn.Linear(channels[-1], c_dim)

    def features(self, x: Tensor) -> Tensor:
        """The penultimate layer, N x (8 * width)."""
        return self.features_layer(self.body(2 * x - 1)).relu()

    def layers(self, x: Tensor) -> list[Tensor]:
        """The activations after each ReLU, N x C x h x w, at 1/2 to 1/16 of x's size."""
        x, activations = 2 * x - 1, []
        for layer in self.body:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                activations.append(x)
        return activations

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


def train_classifier(
    faces: FaceSet,
    *,
    checkpoint: Path | str,
    steps: int,
    batch_size: int = 64,
    lr: float = 2e-3,
    width: int = 24,
    attributes: Sequence[str] = ATTRIBUTES,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> AttributeClassifier:
    """Train on the faces' attributes with binary cross-entropy, flips and a one-cycle learning rate (AdamW)."""
    about = {"width": width, "steps": steps, "batch_size": batch_size, "lr": lr, "seed": seed}
    about |= {"attributes": list(attributes), "size": faces.size}
    torch.manual_seed(seed)
    classifier = AttributeClassifier(width, len(attributes)).to(device).train()
    optimizer = torch.optim.AdamW(classifier.parameters(), lr, weight_decay=1e-2)
    labels = faces.labels(attributes)

    def step(i: int) -> dict[str, Tensor]:
        index = draw_batch(len(faces), batch_size, seed, "classifier", i)
        x = random_flip(faces.x(index, device), seed, "classifier-flip", i)
        optimizer.param_groups[0]["lr"] = lr * min(1, 10 * (i + 1) / steps) * (1 - i / steps)
        loss = binary_cross_entropy_with_logits(classifier(x), labels[index].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    state = {"classifier": classifier, "optimizer": optimizer}
    run_training(step, state, steps=steps, checkpoint=checkpoint, about=about, what="attribute classifier")
    return classifier.eval()


def load_classifier(path: Path | str, size: int | None = None) -> AttributeClassifier:
    """An attribute classifier from safetensors, ready to use.

    Args:
        size: of the images that it is to judge, in pixels, if that is known.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    classifier, card = load_network(path, {"attribute classifier": AttributeClassifier}, "an attribute classifier")
    require_labels(classifier.architecture["c_dim"], path)
    require_size(card, size, path)
    return classifier.eval().requires_grad_(False)


@torch.no_grad()
def predict_attributes(classifier: AttributeClassifier, faces: FaceSet, batch_size: int = 128) -> Tensor:
    """P(attribute) for each face, N x c_dim, on the CPU."""
    device = next(classifier.parameters()).device
    return torch.cat([probabilities(classifier, x.to(device)) for _, x in faces.batches(batch_size)])


def probabilities(classifier: AttributeClassifier, x: Tensor) -> Tensor:
    """P(attribute) for each image, N x c_dim, on the CPU.

    Raises:
        ValueError: a logit isn't finite: no verdict can be made of it.
    """
    logits = classifier(x).cpu()
    if lost := int((~logits.isfinite()).any(1).sum()):
        raise ValueError(f"The attribute classifier gives no finite verdict on {lost} of {len(x)} images.")
    return logits.sigmoid()
