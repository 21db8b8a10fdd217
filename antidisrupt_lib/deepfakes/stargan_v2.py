"""StarGAN v2 (Choi et al., CVPR 2020) in its published layout: styles of a domain, made from latents or references.

A domain is a combination of attributes. A style s of a domain comes from a latent through the mapping network, or from
a reference image through the style encoder; the generator writes it into the photo by adaptive instance norm. Official
weights (`100000_nets_ema.ckpt`) fit by their names. The heat maps of landmarks that the official CelebA-HQ model may
add to its skips need a third network, and are left out, as its code permits.
"""

from math import log2, sqrt

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

PARTS = ("generator", "mapping_network", "style_encoder")  # the tables of an official checkpoint
STYLES = 64  # fixed latents whose mean style the forger uses
SLOPE = 0.2


class ResBlk(nn.Module):
    """(x + F(x)) / sqrt(2), halved in size if `downsample`; the second convolution changes the channels."""

    def __init__(self, c_in: int, c_out: int, normalize: bool = False, downsample: bool = False) -> None:
        super().__init__()
        self.downsample = downsample
        self.norm1 = nn.InstanceNorm2d(c_in, affine=True) if normalize else nn.Identity()
        self.norm2 = nn.InstanceNorm2d(c_in, affine=True) if normalize else nn.Identity()
        self.conv1 = nn.Conv2d(c_in, c_in, 3, padding=1)
        self.conv2 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv1x1 = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv1(leaky_relu(self.norm1(x), SLOPE))
        x = self.conv1x1(x)
        if self.downsample:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        return (x + self.conv2(leaky_relu(self.norm2(h), SLOPE))) / sqrt(2)


class AdaIN(nn.Module):
    """(1 + gamma(s)) instance_norm(h) + beta(s)."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels)
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, h: Tensor, s: Tensor) -> Tensor:
        gamma, beta = self.fc(s)[:, :, None, None].chunk(2, dim=1)
        return (1 + gamma) * self.norm(h) + beta


class AdainResBlk(nn.Module):
    """As ResBlk, with style; doubled in size if `upsample`. A model of high-pass skips has no shortcut here."""

    def __init__(self, c_in: int, c_out: int, style_dim: int, shortcut: bool, upsample: bool = False) -> None:
        super().__init__()
        self.shortcut, self.upsample = shortcut, upsample
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        self.norm1, self.norm2 = AdaIN(style_dim, c_in), AdaIN(style_dim, c_out)
        self.conv1x1 = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else nn.Identity()
        self.conv1x1.requires_grad_(shortcut)  # official weights hold it even where it isn't used

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        h = self._doubled(leaky_relu(self.norm1(x, s), SLOPE))
        h = self.conv2(leaky_relu(self.norm2(self.conv1(h), s), SLOPE))
        return (h + self.conv1x1(self._doubled(x))) / sqrt(2) if self.shortcut else h

    def _doubled(self, h: Tensor) -> Tensor:
        return interpolate(h, scale_factor=2, mode="nearest") if self.upsample else h


class StyleGenerator(nn.Module):
    """G(x, s): image N x 3 x H x W in about [-1, 1] and style N x style_dim to an image of the same size and units."""

    def __init__(self, size: int, style_dim: int, width: int, max_width: int, w_hpf: float) -> None:
        super().__init__()
        halvings = int(log2(size)) - (3 if w_hpf else 4)
        channels = [min(width * 2**i, max_width) for i in range(halvings + 1)]
        pairs = list(zip(channels, channels[1:], strict=False))
        deepest, straight = channels[-1], not w_hpf
        self.from_rgb = nn.Conv2d(3, width, 3, padding=1)
        down = [ResBlk(a, b, normalize=True, downsample=True) for a, b in pairs]
        self.encode = nn.ModuleList([*down, *(ResBlk(deepest, deepest, normalize=True) for _ in range(2))])
        up = [AdainResBlk(b, a, style_dim, straight, upsample=True) for a, b in reversed(pairs)]
        self.decode = nn.ModuleList([*(AdainResBlk(deepest, deepest, style_dim, straight) for _ in range(2)), *up])
        norm = nn.InstanceNorm2d(width, affine=True)
        self.to_rgb = nn.Sequential(norm, nn.LeakyReLU(SLOPE), nn.Conv2d(width, 3, 1))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        h = self.from_rgb(x)
        for block in self.encode:
            h = block(h)
        for block in self.decode:
            h = block(h, s)
        return self.to_rgb(h)


class MappingNetwork(nn.Module):
    """Latents N x latent_dim and domains N to styles N x style_dim: a shared trunk, and a head per domain."""

    def __init__(self, latent_dim: int, style_dim: int, domains: int, hidden: int) -> None:
        super().__init__()
        self.shared = _perceptron(latent_dim, hidden, layers=4)
        self.unshared = nn.ModuleList(
            nn.Sequential(*_perceptron(hidden, hidden, layers=3), nn.Linear(hidden, style_dim)) for _ in range(domains)
        )

    def forward(self, z: Tensor, domain: Tensor) -> Tensor:
        return _own(self.unshared, self.shared(z), domain)


class StyleEncoder(nn.Module):
    """Reference images N x 3 x size x size and domains N to styles N x style_dim."""

    def __init__(self, size: int, style_dim: int, domains: int, width: int, max_width: int) -> None:
        super().__init__()
        self.shared = nn.Sequential(*_pyramid(size, width, max_width))
        self.unshared = nn.ModuleList(nn.Linear(self.shared[-2].out_channels, style_dim) for _ in range(domains))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        return _own(self.unshared, self.shared(x).flatten(1), domain)


class DomainDiscriminator(nn.Module):
    """D(x, domain): realness logits N, of images N x 3 x size x size as members of a domain."""

    def __init__(self, size: int, domains: int, width: int, max_width: int) -> None:
        super().__init__()
        pyramid = _pyramid(size, width, max_width)
        self.main = nn.Sequential(*pyramid, nn.Conv2d(pyramid[-2].out_channels, domains, 1))

    def forward(self, x: Tensor, domain: Tensor) -> Tensor:
        return self.main(x).flatten(1).gather(1, domain[:, None]).squeeze(1)


class StarGANv2(nn.Module):
    """G(x, c): image N x 3 x H x W in [-1, 1] and target attributes N x c_dim in {0, 1} to an image in [-1, 1].

    The defaults are the official CelebA-HQ model, whose two domains are the values of `Male`, at place 3 of the labels.
    An edit of attributes that make no domain changes nothing that it was asked for.

    Args:
        size: pixels that the networks are built for; the style encoder takes no other.
        width: channels at full size; 2**14 / size as published.
        attributes: the places of the labels that tell the domain, as a binary number, the first the lowest bit.
        w_hpf: 1 for the official CelebA-HQ layout, 0 for that of AFHQ.
        seed: of the fixed latents.
    """

    def __init__(
        self, size: int = 256, c_dim: int = 5, attributes: tuple[int, ...] = (3,), style_dim: int = 64,
        latent_dim: int = 16, hidden: int = 512, width: int = 0, max_width: int = 512, w_hpf: float = 1.0,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        width = width or 2**14 // size
        self.architecture = {"size": size, "c_dim": c_dim, "attributes": list(attributes), "style_dim": style_dim}
        self.architecture |= {"latent_dim": latent_dim, "hidden": hidden, "width": width, "max_width": max_width}
        self.architecture |= {"w_hpf": w_hpf, "seed": seed}
        domains = 2 ** len(attributes)
        self.generator = StyleGenerator(size, style_dim, width, max_width, w_hpf)
        self.mapping_network = MappingNetwork(latent_dim, style_dim, domains, hidden)
        self.style_encoder = StyleEncoder(size, style_dim, domains, width, max_width)
        z = torch.randn(STYLES, latent_dim, generator=torch.Generator().manual_seed(seed), device="cpu")
        self.register_buffer("latents", z, persistent=False)

    def domain(self, c: Tensor) -> Tensor:
        """The number of each label's domain, N."""
        places = self.architecture["attributes"]
        bits = c[:, places].round().long()
        return (bits << torch.arange(len(places), device=c.device)).sum(1)

    def latent_style(self, domain: Tensor) -> Tensor:
        """The mean style of each domain over the fixed latents, N x style_dim."""
        z = self.latents.repeat(len(domain), 1)
        styles = self.mapping_network(z, domain.repeat_interleave(len(self.latents)))
        return styles.unflatten(0, (len(domain), -1)).mean(1)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        return self.generator(x, self.latent_style(self.domain(c))).clamp(-1, 1)

    def guided(self, x: Tensor, c: Tensor, reference: Tensor) -> Tensor:
        """As `forward`, in the style of reference images, N x 3 x size x size in [-1, 1], of c's domains."""
        return self.generator(x, self.style_encoder(reference, self.domain(c))).clamp(-1, 1)


def official_architecture(state: dict[str, Tensor], path: object) -> dict:
    """The arguments of StarGANv2, read off the tensors of an official checkpoint, their names behind those of PARTS.

    Raises:
        ValueError: tensors are missing, or its domains aren't CelebA-HQ's two, female and male.
    """
    try:
        halvings = sum(name.startswith("style_encoder.shared.") and name.endswith(".conv1.weight") for name in state)
        blocks = sum(name.startswith("generator.encode.") and name.endswith(".conv1.weight") for name in state)
        domains = sum(name.startswith("mapping_network.unshared.") and name.endswith(".6.bias") for name in state)
        hidden, latent_dim = state["mapping_network.shared.0.weight"].shape
        architecture = {
            "size": 2 ** (halvings + 2),
            "style_dim": state["generator.decode.0.norm1.fc.weight"].shape[1],
            "latent_dim": latent_dim,
            "hidden": hidden,
            "width": state["generator.from_rgb.weight"].shape[0],
            "max_width": state["generator.decode.0.conv1.weight"].shape[0],
            "w_hpf": float(blocks > halvings),
        }
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError(f"{path} doesn't have the layout of StarGAN v2 ({error}): give another file.") from error
    if domains != 2:
        raise ValueError(f"{path} has {domains} domains; only CelebA-HQ's two, female and male, are attributes here.")
    return architecture


def _perceptron(c_in: int, hidden: int, layers: int) -> nn.Sequential:
    pairs = zip([c_in] + [hidden] * (layers - 1), [hidden] * layers, strict=True)
    return nn.Sequential(*(layer for a, b in pairs for layer in (nn.Linear(a, b), nn.ReLU())))


def _pyramid(size: int, width: int, max_width: int) -> list[nn.Module]:
    """From an image to 1 x 1: halved down to 4 x 4, then one convolution over that."""
    channels = [min(width * 2**i, max_width) for i in range(int(log2(size)) - 1)]
    blocks = [ResBlk(a, b, downsample=True) for a, b in zip(channels, channels[1:], strict=False)]
    last = nn.Conv2d(channels[-1], channels[-1], 4)
    return [nn.Conv2d(3, width, 3, padding=1), *blocks, nn.LeakyReLU(SLOPE), last, nn.LeakyReLU(SLOPE)]


def _own(heads: nn.ModuleList, h: Tensor, domain: Tensor) -> Tensor:
    """Row i of what head domain[i] makes of h."""
    return torch.stack([head(h) for head in heads], dim=1)[torch.arange(len(h), device=h.device), domain]
