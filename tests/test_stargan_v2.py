"""StarGAN v2 has the published layout, and forges by latents and by references."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from antidisrupt_lib.deepfakes import train_v2
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, forger
from antidisrupt_lib.deepfakes.stargan_v2 import (
    PARTS,
    AdaIN,
    DomainDiscriminator,
    ResBlk,
    StarGANv2,
    official_architecture,
)
from antidisrupt_lib.deepfakes.train_v2 import V2Batch, V2Config, critic_terms, generator_terms, train_stargan_v2
from antidisrupt_lib.training import update

SMALL = {"size": 32, "width": 4, "max_width": 8, "hidden": 8, "w_hpf": 0.0, "attributes": (3, 4)}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def conv(c_in: int, c_out: int, kernel: int = 3, bias: bool = True) -> int:
    return c_in * c_out * kernel**2 + c_out * bias


def blocks(pairs, style: int = 0) -> int:
    """Parameters of residual blocks from the paper's table, in closed form; with style, of those of the decoder."""
    total = 0
    for a, b in pairs:
        inner = b if style else a
        total += conv(a, inner) + conv(inner, b) + (conv(a, b, 1, bias=False) if a != b else 0)
        total += 2 * (a + b) * (style + 1) if style else 0
    return total


def test_the_official_celeba_hq_layout_has_its_parameters():
    with torch.device("meta"):
        g = StarGANv2()
        d = DomainDiscriminator(256, 2, 64, 512)
    down = [(64, 128), (128, 256), (256, 512), (512, 512), (512, 512)]
    same = [(512, 512)] * 2
    norms = sum(2 * 2 * a for a, _ in down + same)
    encoder = blocks(down + same) + norms
    decoder = blocks([(b, a) for a, b in down] + same, style=64)
    ends = conv(3, 64) + 2 * 64 + conv(64, 3, 1)
    assert count(g.generator) == encoder + decoder + ends
    trunk, head = 17 * 512 + 3 * 513 * 512, 3 * 513 * 512 + 513 * 64
    assert count(g.mapping_network) == trunk + 2 * head
    pyramid = conv(3, 64) + blocks([*down, (512, 512)]) + conv(512, 512, 4)
    assert count(g.style_encoder) == pyramid + 2 * 513 * 64
    assert count(d) == pyramid + conv(512, 2, 1)


def test_tensors_have_the_official_names():
    with torch.device("meta"):
        names = set(StarGANv2().state_dict())
    assert "latents" not in names
    for name in (
        "generator.from_rgb.weight", "generator.encode.0.conv1x1.weight", "generator.encode.6.norm2.bias",
        "generator.decode.0.norm1.fc.weight", "generator.decode.6.conv1x1.weight", "generator.to_rgb.2.bias",
        "mapping_network.shared.6.bias", "mapping_network.unshared.1.6.weight",
        "style_encoder.shared.6.conv2.weight", "style_encoder.shared.8.weight", "style_encoder.unshared.1.bias",
    ):  # fmt: skip
        assert name in names, name


OFFICIAL = {"size": 32, "width": 4, "max_width": 8, "hidden": 8, "attributes": (3,)}


def official_file(path, w_hpf: float, prefix: str = "", but: str = "", **architecture) -> StarGANv2:
    """A file as StarGAN v2's own code saves it: a table per network; returns what it was made of."""
    torch.manual_seed(0)
    ours = StarGANv2(w_hpf=w_hpf, **(OFFICIAL | architecture))
    tables = {part: {f"{prefix}{k}": v for k, v in getattr(ours, part).state_dict().items()} for part in PARTS}
    torch.save({name: {k: v for k, v in table.items() if k != but} for name, table in tables.items()}, path)
    return ours


@pytest.mark.parametrize("w_hpf, prefix", [(1.0, ""), (0.0, ""), (1.0, "module.")])
def test_a_file_of_the_official_layout_is_read(tmp_path, w_hpf, prefix):
    ours = official_file(tmp_path / "100000_nets_ema.ckpt", w_hpf, prefix)
    theirs = load_generator(tmp_path / "100000_nets_ema.ckpt")
    assert theirs.architecture == ours.architecture
    x, c = torch.rand(2, 3, 32, 32), torch.tensor([[0.0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    assert torch.equal(forger(theirs)(x, c), forger(ours)(x, c))


def test_the_official_size_is_told_from_its_tensors():
    with torch.device("meta"):
        state = StarGANv2().state_dict()
    with torch.device("meta"):
        assert StarGANv2(**official_architecture(state, "x")).architecture == StarGANv2().architecture


@pytest.mark.kind("weights", "refused")
@pytest.mark.parametrize(
    "change, words",
    [
        ({"but": "from_rgb.weight"}, "layout"),
        ({"but": "shared.0.weight"}, "layout of StarGAN v2"),
        ({"attributes": (3, 4)}, "4 domains"),
        ({"but": "encode.0.conv2.bias"}, r"1 missing \(generator.encode.0.conv2.bias\)"),
    ],
)
def test_a_file_that_is_nearly_official_is_refused(tmp_path, change, words):
    official_file(tmp_path / "nets.ckpt", 1.0, **change)
    with pytest.raises(ValueError, match=words) as refused:
        load_generator(tmp_path / "nets.ckpt")
    assert "nets.ckpt" in str(refused.value)


def test_without_high_pass_skips_the_generator_stops_one_halving_earlier():
    with torch.device("meta"):
        assert [len(StarGANv2(w_hpf=w).generator.encode) for w in (0.0, 1.0)] == [6, 7]


def test_it_forges_each_image_by_itself_and_only_by_the_attributes_of_its_domains():
    torch.manual_seed(0)
    g = StarGANv2(**SMALL)
    forge, keyed = forger(g), torch.Generator().manual_seed(1)
    x, c = torch.rand(3, 3, 32, 32, generator=keyed), torch.randint(0, 2, (3, 5), generator=keyed).float()
    y = forge(x, c)
    assert y.shape == x.shape and y.min() >= 0 and y.max() <= 1
    torch.testing.assert_close(forge(x[1:2], c[1:2]), y[1:2], rtol=0, atol=1e-5)
    for i, name in enumerate(ATTRIBUTES):
        other = c.clone()
        other[:, i] = 1 - other[:, i]
        changed = (forge(x, other) - y).abs().amax((1, 2, 3)) > 1e-5
        assert changed.all() if name in ("Male", "Young") else not changed.any()


def test_domains_are_binary_numbers_of_their_attributes():
    c = torch.tensor([[1.0, 0, 0, 0, 0], [0, 1, 0, 1, 0], [0, 0, 1, 0, 1], [0, 0, 0, 1, 1]])
    assert StarGANv2(**SMALL).domain(c).tolist() == [0, 1, 2, 3]


def test_a_reference_gives_the_style_and_its_domain_the_head():
    torch.manual_seed(0)
    g = StarGANv2(**SMALL).eval()
    x, c = torch.rand(2, 3, 32, 32) * 2 - 1, torch.zeros(2, 5)
    y = g.guided(x, c, x)
    assert torch.equal(y, g.generator(x, g.style_encoder(x, torch.tensor([0, 0]))).clamp(-1, 1))
    assert not torch.equal(g.guided(x, c, -x), y) and not torch.equal(g.guided(x, 1 - c, x), y)


def test_adaptive_instance_norm_sets_mean_and_deviation():
    layer = AdaIN(4, 3)
    with torch.no_grad():
        layer.fc.weight.zero_()
        layer.fc.bias[:3], layer.fc.bias[3:] = 1.0, 5.0
    h = layer(torch.rand(2, 3, 64, 64), torch.rand(2, 4))
    assert h.mean().item() == pytest.approx(5, abs=1e-4) and h.std().item() == pytest.approx(2, rel=1e-2)


def test_a_block_that_adds_nothing_is_its_scaled_shortcut():
    block = ResBlk(3, 3, downsample=True)
    with torch.no_grad():
        block.conv2.weight.zero_()
        block.conv2.bias.zero_()
    x = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(block(x), torch.nn.functional.avg_pool2d(x, 2) / 2**0.5)


TINY = V2Config(architecture=SMALL, steps=6, batch_size=3, ds_steps=4, ema=0.9, mapping_lr=1e-4)


@pytest.fixture(scope="module")
def batch() -> V2Batch:
    keyed = torch.Generator().manual_seed(2)
    x = 2 * torch.rand(3, 3, 3, 32, 32, generator=keyed) - 1
    z = torch.randn(2, 3, 16, generator=keyed)
    return V2Batch(x[0], torch.tensor([0, 1, 2]), torch.tensor([3, 1, 0]), (z[0], z[1]), (x[1], x[2]))


def test_r1_of_a_linear_critic_is_half_its_squared_norm(batch):
    w = torch.randn(3, 32, 32)
    terms = critic_terms(lambda x, domain: (w * x).sum((1, 2, 3)), StarGANv2(**SMALL), batch, latent=True)
    assert terms["d_reg"].item() == pytest.approx(w.square().sum().item() / 2, rel=1e-4)


def test_the_terms_are_those_of_the_paper(batch):
    torch.manual_seed(0)
    g, d = StarGANv2(**SMALL), DomainDiscriminator(32, 4, 4, 8)
    for latent, network, of in ((True, g.mapping_network, batch.z), (False, g.style_encoder, batch.references)):
        terms = generator_terms(d, g, batch, latent)
        s, other = (network(one, batch.target) for one in of)
        fake = g.generator(batch.x, s)
        assert terms["g_ds"].item() == pytest.approx(
            -(fake - g.generator(batch.x, other)).abs().mean().item(), rel=1e-5
        )
        back = g.generator(fake, g.style_encoder(batch.x, batch.domain))
        assert terms["g_cyc"].item() == pytest.approx((back - batch.x).abs().mean().item(), rel=1e-5)
        logistic = -torch.log(torch.sigmoid(d(fake, batch.target))).mean()
        assert terms["g_adv"].item() == pytest.approx(logistic.item(), rel=1e-5)


def test_training_that_was_stopped_ends_where_one_that_was_not_does(faces, tmp_path):
    whole, history = train_stargan_v2(faces, TINY, checkpoint=tmp_path / "a", save_every=2)

    def stop(network, done):
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_stargan_v2(faces, TINY, checkpoint=tmp_path / "b", save_every=2, on_sample=stop)
    resumed, _ = train_stargan_v2(faces, TINY, checkpoint=tmp_path / "b", save_every=2)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), resumed.parameters(), strict=True))
    assert {"d_adv", "d_reg", "g_adv", "g_sty", "g_ds", "g_cyc"} < set(history) and history.notna().all(None)


@pytest.mark.parametrize("w_hpf", [0.0, 1.0])
def test_either_layout_trains(faces, w_hpf, tmp_path):
    config = replace(TINY, steps=2, bf16=True, architecture=TINY.architecture | {"w_hpf": w_hpf})
    assert train_stargan_v2(faces, config, checkpoint=tmp_path / "v2")[1].notna().all(None)


def test_references_train_the_generator_alone(faces, batch):
    torch.manual_seed(0)
    g, d = StarGANv2(**SMALL), DomainDiscriminator(32, 4, 4, 8)
    before = {name: value.clone() for name, value in g.state_dict().items()}
    optimizer = torch.optim.Adam(g.generator.parameters(), 1e-3)
    update(g.generator, train_v2._weighted(generator_terms(d, g, batch, latent=False), {}), optimizer)
    changed = {name.split(".")[0] for name, value in g.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"generator"}
