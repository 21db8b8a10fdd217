"""STGAN (Liu et al., CVPR 2019): selective transfer units in the skips, driven by the change of attributes.

The generator is told what is to change, d = c - s, not how the result should look: s are the photo's own attributes.
A forger knows the target only, so the network carries a small estimator of s; its verdict is taken as 0 or 1 and passes
no gradient on.

A selective transfer unit is a gated recurrent unit of convolutions. At layer l it takes the encoder's features f and
the unit's state from the layer below, s_(l+1), upsampled together with d (the paper's eqs. 2 to 7):

    s^  = W_t * [up(s_(l+1)), d]
    r   = sigmoid(W_r * [f, s^])          reset
    z   = sigmoid(W_z * [f, s^])          update
    s_l = r . s^                          handed on to the layer above
    f^  = tanh(W_h * [f, s_l])
    f_t = (1 - z) . s^ + z . f^           what the decoder gets
"""

import torch
from torch import Tensor, nn

from antidisrupt_lib.deepfakes.attention import label_maps
from antidisrupt_lib.deepfakes.classifier import AttributeClassifier


class SelectiveTransferUnit(nn.Module):
    """(f, s_below, d) -> (f_t, s_l); f is N x channels x h x w, s_below N x state x h/2 x w/2."""

    def __init__(self, channels: int, state: int, c_dim: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(state + c_dim, channels, 4, 2, 1)
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, f: Tensor, s: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        s_hat = self.up(label_maps(s, d))
        r, z = self.gates(torch.cat([f, s_hat], dim=1)).sigmoid().chunk(2, dim=1)
        s = r * s_hat
        f_hat = self.candidate(torch.cat([f, s], dim=1)).tanh()
        return (1 - z) * s_hat + z * f_hat, s


class STGANGenerator(nn.Module):
    """G(x, c): image N x 3 x H x W in [-1, 1] and target attributes N x c_dim in {0, 1} to an image in [-1, 1].

    The published layout is width 64 and layers 5, at 128 px: encoder of 4 x 4 convolutions of stride 2 with batch norm
    and leaky ReLU, decoder of their transposes with batch norm and ReLU, a unit in each skip, channels up to 1,024.
    Batch norm is instance norm here, so that an image's edit doesn't depend on its batch. H and W are multiples of
    2**layers.
    """

    def __init__(self, width: int = 64, c_dim: int = 5, layers: int = 5, estimator_width: int = 16) -> None:
        super().__init__()
        self.architecture = {"width": width, "c_dim": c_dim, "layers": layers, "estimator_width": estimator_width}
        channels = [width * min(2**i, 16) for i in range(layers)]
        self.estimator = AttributeClassifier(estimator_width, c_dim)
        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b, affine=True), nn.LeakyReLU(0.2))
            for a, b in zip([3, *channels], channels, strict=False)
        )
        self.units = nn.ModuleList(
            SelectiveTransferUnit(a, b, c_dim) for a, b in zip(channels, channels[1:], strict=False)
        )
        # Each step of the decoder but the first reads what came up and the skip beside it.
        inputs = [channels[-1] + c_dim, *(2 * a for a in reversed(channels[:-1]))]
        self.decoder = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1), nn.InstanceNorm2d(b, affine=True), nn.ReLU())
            for a, b in zip(inputs, [*reversed(channels[:-1]), width], strict=True)
        )
        self.last = nn.Conv2d(width, 3, 3, padding=1)

    @torch.no_grad()
    def own_attributes(self, x: Tensor) -> Tensor:
        """s, N x c_dim in {0, 1}, as the estimator sees them."""
        training = self.estimator.training
        own = (self.estimator.eval()(x / 2 + 0.5) > 0).to(x.dtype)
        self.estimator.train(training)
        return own

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        d = c - self.own_attributes(x)
        features = [x]
        for encode in self.encoder:
            features.append(encode(features[-1]))
        state = features[-1]
        h = self.decoder[0](label_maps(state, d))
        for decode, unit, f in zip(self.decoder[1:], reversed(self.units), reversed(features[1:-1]), strict=True):
            f_t, state = unit(f, state, d)
            h = decode(torch.cat([h, f_t], dim=1))
        return self.last(h).tanh()
