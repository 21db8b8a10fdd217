"""Disruptors that were made beforehand: one pass, or none, and no forger any more.

A disruptor is a network u(x) in [-1, 1], of which eps is the unit. `Disruptor` is DADFI's generator (PeerJ Computer
Science 10:e2356, 2024; protocol 3.8), `Universal` one perturbation for every face. Either, as an attack of the shared
signature, asks the objective nothing: photos x become x + eps u(x).
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from antidisrupt_lib.deepfakes.stargan import ResidualBlock
from antidisrupt_lib.disruption.attacks import signed_steps
from antidisrupt_lib.disruption.ball import check_attack, project
from antidisrupt_lib.disruption.declared import Attack, declare
from antidisrupt_lib.disruption.objectives import Objective
from antidisrupt_lib.weights import find_weights, load_network, missing

LEARNED = ("dadfi",)  # of the zoo
REFINED = "_refined"


class Disruptor(nn.Module):
    """Gen (eq. 1): photos x, N x 3 x H x W in [0, 1], to u(x) in [-1, 1], of any size.

    Three halving convolutions, `blocks` residual blocks and three doublings, instance norm after each, as the paper
    says; its widths aren't told, nor how the colours come out: here by a 7x7 convolution and tanh, as in StarGAN, with
    an instance norm between them, without which tanh is at its ends after a few steps and learns no more. A size that
    can't be halved three times is rounded up on the way down and met again on the way up.

    Args:
        coarse: above 1, u is averaged over so many pixels a side and interpolated: low frequencies alone, the idea of
            FaceShield and BlurGuard.
    """

    def __init__(self, width: int = 24, blocks: int = 4, coarse: int = 1) -> None:
        super().__init__()
        self.architecture = {"width": width, "blocks": blocks, "coarse": coarse}
        self.coarse = coarse
        widths = [width, 2 * width, 4 * width]
        pairs = list(zip([3, *widths], widths, strict=False))
        self.down = nn.ModuleList(_layer(a, b, stride=2) for a, b in pairs)
        self.blocks = nn.Sequential(*(ResidualBlock(widths[-1]) for _ in range(blocks)))
        self.up = nn.ModuleList(_layer(b, max(a, width)) for a, b in reversed(pairs))
        self.colours = nn.Sequential(nn.Conv2d(width, 3, 7, padding=3, bias=False), nn.InstanceNorm2d(3, affine=True))

    def forward(self, x: Tensor) -> Tensor:
        h, sizes = 2 * x - 1, []
        for layer in self.down:
            sizes.append(h.shape[2:])
            h = layer(h)
        h = self.blocks(h)
        for layer, size in zip(self.up, reversed(sizes), strict=True):
            h = layer(F.interpolate(h, size))
        return low_frequencies(self.colours(h).tanh(), self.coarse)


class Universal(nn.Module):
    """The same u for every photo of `size` pixels a side."""

    def __init__(self, size: int = 64) -> None:
        super().__init__()
        self.architecture = {"size": size}
        self.register_buffer("u", torch.zeros(3, size, size))

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[1:] != self.u.shape:
            raise ValueError(f"The perturbation is {tuple(self.u.shape)}, the photos are {tuple(x.shape[1:])}.")
        return self.u.expand_as(x)


KINDS = {"disruptor": Disruptor, "universal perturbation": Universal}


def _layer(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.InstanceNorm2d(c_out, affine=True), nn.ReLU(inplace=True))


def low_frequencies(u: Tensor, coarse: int) -> Tensor:
    """u without what is finer than `coarse` pixels; it stays in [-1, 1]."""
    if coarse == 1:
        return u
    small = F.interpolate(u, [max(1, side // coarse) for side in u.shape[2:]], mode="area")
    return F.interpolate(small, u.shape[2:], mode="bilinear", align_corners=False)


# As attacks


def as_attack(disruptor: nn.Module, name: str = "dadfi") -> Attack:
    """The attack `name` that adds eps u(x); as published, x + u(x), which only the hinge of its training holds back."""
    disruptor = disruptor.eval().requires_grad_(False)

    @torch.no_grad()
    def change(x: Tensor) -> Tensor:
        return disruptor.to(x.device)(x)

    @declare(own_step=True, asks_nothing=True)
    def learned(
        x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
    ) -> Tensor:
        x = check_attack(x, eps, step, steps)
        return project(x + eps * change(x), x, eps)

    @declare(own_step=True, other_ball=True, asks_nothing=True)
    def published(
        x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
    ) -> Tensor:
        x = check_attack(x, eps, step, steps)
        return (x + change(x)).clamp(0, 1)

    learned.__name__, published.__name__, learned.as_published = name, f"{name}_as_published", published
    return learned


def refined(first: Attack) -> Attack:
    """PGD whose start is another attack's result instead of noise: what that leaves, `steps` gradients may add."""

    def warm_started(
        x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
    ) -> Tensor:
        x = check_attack(x, eps, step, steps)
        start = project(first(x, objective, eps=eps, step=step, steps=steps, generators=generators), x, eps)
        return signed_steps(start, x, objective, eps=eps, step=step, steps=steps)

    warm_started.__name__ = f"{first.__name__}{REFINED}"
    return warm_started


def card(disruptor: nn.Module, *, name: str, **more: object) -> dict:
    """The card of a disruptor's weights: its kind, architecture, what the results call it, and what else is to be told.

    Args:
        more: `bounded` false makes its published form of it.
    """
    kind = next(kind for kind, made in KINDS.items() if type(disruptor) is made)
    return {"name": name, "network": kind, "architecture": disruptor.architecture, "bounded": True} | more


def is_learned(name: object) -> bool:
    """Whether an attack's name is that of weights: a file's, or of the zoo, maybe with `_refined`."""
    return isinstance(name, str) and (Path(name).suffix == ".safetensors" or name.removesuffix(REFINED) in LEARNED)


def learned_attack(name: str) -> Attack:
    """The attack of such a name; `_refined` adds PGD steps from there.

    Raises:
        FileNotFoundError, ValueError: as `load_disruptor` does.
    """
    base = name.removesuffix(REFINED)
    attack = load_disruptor(f"zoo/{base}.safetensors" if base in LEARNED else name)
    return attack if base == name else refined(attack)


def load_disruptor(path: Path | str) -> Attack:
    """The attack in a disruptor's weights (.safetensors, or zoo/...), called as its card says.

    Weights whose card says that they were trained without a bound (`bounded` false) come in their published form.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it holds no disruptor.
    """
    file = find_weights(path)
    if not file.is_file():
        raise FileNotFoundError(missing(path))
    return _load(file, file.stat().st_mtime_ns)


def read_disruptor(path: Path | str) -> tuple[nn.Module, dict]:
    """The network in a disruptor's weights, and its card.

    Raises:
        FileNotFoundError, ValueError: as `load_disruptor` does.
    """
    return load_network(path, KINDS, "a disruptor")


@lru_cache(maxsize=16)
def _load(path: Path, written: int) -> Attack:
    disruptor, about = read_disruptor(path)
    attack = as_attack(disruptor, about.get("name") or path.stem)
    return attack if about.get("bounded", True) else attack.as_published
