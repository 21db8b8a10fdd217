"""Anti-Forgery (Wang et al., IJCAI 2022): a perturbation of CIELab's colours a and b that leaves lightness L alone.

Units: L is in [0, 100], a and b in CIELab's own, about -110 to 110; eps and step count in widths of an 8-bit channel,
255, so that eps 0.025 lets a and b move by 6.4. The published +-0.05 counts in 110ths: it is 5.5, here 0.0216; and
its learning rate 1e-4 lets a and b move by at most 0.01 x 110 in 100 steps (protocol 3.10), here step 4.3e-5.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from antidisrupt_lib.disruption.ball import SMALL_START, check_attack
from antidisrupt_lib.disruption.declared import declare
from antidisrupt_lib.disruption.objectives import Objective, losses
from antidisrupt_lib.seeding import uniform_like

WIDTH = 255.0
XYZ_FROM_RGB = torch.tensor([  # sRGB's primaries, white D65
    [0.412453, 0.357580, 0.180423],
    [0.212671, 0.715160, 0.072169],
    [0.019334, 0.119193, 0.950227],
])  # fmt: skip
WHITE = torch.tensor([0.95047, 1.0, 1.08883])


@declare(other_ball=True, own_step=True)
def lab_chroma(
    x: Tensor, objective: Objective, *, eps: float, step: float, steps: int, generators: Sequence[Generator]
) -> Tensor:
    """Ascend `objective` by Adam over a and b, each clamped to +-255 eps, and clip the colours to sRGB.

    Only where that clips does L change. Published, but for a start off x, which `away_from_output` needs, for the
    clamp after each step instead of within the loss, and for the clip.

    Args:
        eps, step: the largest change of a and b, and Adam's learning rate, both with 1 = 255 units of CIELab.
    """
    x = check_attack(x, eps, step, steps)
    lab = rgb_to_lab(x)
    moved = uniform_like(x[:, 1:], generators, min(SMALL_START, eps)).requires_grad_()
    adam = torch.optim.Adam([moved], lr=step, maximize=True)
    for _ in range(steps):
        adam.zero_grad()
        with torch.enable_grad():
            losses(objective, _recoloured(lab, moved)).sum().backward(inputs=[moved])
        adam.step()
        with torch.no_grad():
            moved.clamp_(-eps, eps)
    return _recoloured(lab, moved.detach())


def _recoloured(lab: Tensor, moved: Tensor) -> Tensor:
    return lab_to_rgb(torch.cat([lab[:, :1], lab[:, 1:] + WIDTH * moved], dim=1)).clamp(0, 1)


def rgb_to_lab(x: Tensor) -> Tensor:
    """sRGB in [0, 1] to CIELab (D65, 2 degrees): N x 3 x H x W, L in [0, 100], a and b in about [-110, 110]."""
    linear = torch.where(x > 0.04045, ((x + 0.055) / 1.055).clamp_min(0).pow(2.4), x / 12.92)
    t = _mix(XYZ_FROM_RGB, linear) / _as_channels(WHITE, x)
    f = torch.where(t > 0.008856, t.clamp_min(0.008856).pow(1 / 3), 7.787 * t + 16 / 116)
    fx, fy, fz = f.unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], dim=1)


def lab_to_rgb(lab: Tensor) -> Tensor:
    """CIELab to sRGB, the inverse of `rgb_to_lab`; colours that sRGB lacks leave [0, 1]."""
    lightness, a, b = lab.unbind(1)
    fy = (lightness + 16) / 116
    f = torch.stack([fy + a / 500, fy, fy - b / 200], dim=1)
    t = torch.where(f > 0.2068966, f.pow(3), (f - 16 / 116) / 7.787)
    linear = _mix(torch.linalg.inv(XYZ_FROM_RGB), t * _as_channels(WHITE, lab))
    return torch.where(
        linear > 0.0031308, 1.055 * linear.clamp_min(0.0031308).pow(1 / 2.4) - 0.055, 12.92 * linear
    )  # clamped, as the gradient of a branch not taken must be finite too


def _mix(matrix: Tensor, channels: Tensor) -> Tensor:
    return torch.einsum("ij,njhw->nihw", matrix.to(channels), channels)


def _as_channels(values: Tensor, x: Tensor) -> Tensor:
    return values.to(x)[None, :, None, None]
