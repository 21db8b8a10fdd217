"""A forger that edits where it must: content through a mask, over an encoder and decoder with skips.

    y = m * content + (1 - m) * x

The mask m is GANimation's and AttentionGAN's (Pumarola et al. 2018, Tang et al. 2019), the skips are AttGAN's (He et
al. 2019). What the edit leaves alone is the photo itself, sharp from the first step. Upsampling is bilinear: transposed
convolutions leave specks. The layout is ours.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate


def label_maps(h: Tensor, c: Tensor) -> Tensor:
    """Activations N x C x h x w with the labels N x c_dim as constant maps behind them."""
    return torch.cat([h, c[:, :, None, None].expand(-1, -1, *h.shape[2:]).to(h.dtype)], dim=1)


def conv_block(c_in: int, c_out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, group norm (groups of 16 channels), SiLU."""
    conv = nn.Conv2d(c_in, c_out, kernel, stride, (kernel - 1) // 2, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(max(1, c_out // 16), c_out), nn.SiLU())


class Residual(nn.Module):
    """h + (conv, norm, SiLU, conv, norm)(h)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.main = nn.Sequential(conv_block(channels, channels), conv, nn.GroupNorm(max(1, channels // 16), channels))

    def forward(self, h: Tensor) -> Tensor:
        return h + self.main(h)


class AttentionGenerator(nn.Module):
    """G(x, c): image N x 3 x H x W in [-1, 1] and target attributes N x c_dim in {0, 1} to an image in [-1, 1].

    H and W are multiples of 2**layers. Labels enter as constant maps at the input, at the bottleneck and at every step
    of the decoder.
    """

    def __init__(self, width: int = 32, c_dim: int = 5, layers: int = 3, blocks: int = 3) -> None:
        super().__init__()
        self.architecture = {"width": width, "c_dim": c_dim, "layers": layers, "blocks": blocks}
        channels = [width * min(2**i, 6) for i in range(layers + 1)]
        self.first = conv_block(3 + c_dim, width)
        pairs = list(zip(channels, channels[1:], strict=False))
        self.down = nn.ModuleList(conv_block(a, b, kernel=4, stride=2) for a, b in pairs)
        self.middle = nn.Sequential(
            conv_block(channels[-1] + c_dim, channels[-1]), *(Residual(channels[-1]) for _ in range(blocks))
        )
        self.up = nn.ModuleList(conv_block(b + a + c_dim, a) for a, b in reversed(pairs))
        self.last = nn.Conv2d(width, 4, 3, padding=1)

    def parts(self, x: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """(content in [-1, 1], mask N x 1 x H x W in [0, 1])."""
        skips = [self.first(label_maps(x, c))]
        for down in self.down:
            skips.append(down(skips[-1]))
        h = self.middle(label_maps(skips.pop(), c))
        for up in self.up:
            h = interpolate(h, scale_factor=2, mode="bilinear", align_corners=False)
            h = up(label_maps(torch.cat([h, skips.pop()], dim=1), c))
        out = self.last(h)
        return out[:, :3].tanh(), out[:, 3:].sigmoid()

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        content, mask = self.parts(x, c)
        return mask * content + (1 - mask) * x
