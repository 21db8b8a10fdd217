"""Half-Huber ReLU (Gandhi & Jain 2020): a ReLU without the kink, whose input gradients can be penalised smoothly."""

from torch import Tensor, nn

DELTA = 0.5  # published


class HalfHuberReLU(nn.Module):
    """0 below 0, x^2 / (2 delta) up to delta, x - delta / 2 above."""

    def __init__(self, delta: float = DELTA) -> None:
        super().__init__()
        if delta <= 0:
            raise ValueError(f"A Half-Huber ReLU's delta must be above 0, not {delta}.")
        self.delta = delta

    def forward(self, x: Tensor) -> Tensor:
        curved = x.clamp(0, self.delta)
        return curved * (x - curved / 2) / self.delta


def smooth_relus(network: nn.Module, delta: float = DELTA) -> nn.Module:
    """Put a Half-Huber ReLU in the place of every ReLU of a network, and return it.

    Raises:
        ValueError: the network has no ReLU module; nothing would have changed.
    """
    found = [
        (parent, name)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ReLU)
    ]
    if not found:
        raise ValueError(f"{type(network).__name__} has no ReLU to smooth. Take a network with ReLUs, e.g. resnet18.")
    for parent, name in found:
        setattr(parent, name, HalfHuberReLU(delta))
    return network
