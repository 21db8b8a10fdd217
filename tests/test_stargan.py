"""StarGAN has the published layout, reads the official weights, and trains by the published losses."""

from collections import OrderedDict

import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn

from antidisrupt_lib.deepfakes import train
from antidisrupt_lib.deepfakes.adversarial import Batch
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.losses import attribute_loss, generator_losses, gradient_penalty
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Discriminator, Generator, forger
from antidisrupt_lib.deepfakes.train import ForgerConfig
from antidisrupt_lib.training import update
from antidisrupt_lib.weights import save_weights

SMALL = {"conv_dim": 4, "blocks": 1}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def random_batch(n: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    keyed = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, size, size, generator=keyed), torch.randint(0, 2, (n, 5), generator=keyed).float()


def test_the_networks_have_the_published_parameters_and_layout():
    with torch.device("meta"):
        g, d = Generator(), Discriminator()
    assert (count(g), count(d)) == (8_430_528, 44_762_048)  # protocol 1.3
    shapes = {name: tuple(value.shape) for name, value in g.state_dict().items()}
    assert shapes["main.0.weight"] == (64, 8, 7, 7) and shapes["main.21.weight"] == (3, 64, 7, 7)
    assert shapes["main.14.main.3.weight"] == (256, 256, 3, 3) and shapes["main.15.weight"] == (256, 128, 4, 4)
    assert tuple(d.conv2.weight.shape) == (5, 2048, 2, 2) and tuple(d.conv1.weight.shape) == (1, 2048, 3, 3)


def test_outputs_have_the_shapes_and_ranges_stated():
    x, c = random_batch()
    y = Generator(**SMALL)(2 * x - 1, c)
    realness, logits = Discriminator(32, 4, layers=3)(x)
    assert y.shape == x.shape and y.abs().max() <= 1
    assert realness.shape == (3, 1, 4, 4) and logits.shape == (3, 5)
    with pytest.raises(ValueError, match="size divisible by 64, not 96"):
        Discriminator(96)


def test_labels_change_the_forgers_output_and_batch_mates_do_not(forge):
    x, c = random_batch()
    y = forge(x, c)
    assert y.min() >= 0 and y.max() <= 1
    for i in range(5):
        other = c.clone()
        other[:, i] = 1 - other[:, i]
        assert (forge(x, other) - y).abs().amax((1, 2, 3)).min() > 1e-3
    torch.testing.assert_close(forge(x[1:2], c[1:2]), y[1:2], rtol=0, atol=1e-5)


def test_a_forger_is_frozen_but_passes_gradients_to_the_image():
    generator = Generator(**SMALL)
    x, c = random_batch()
    forger(generator)(x.requires_grad_(), c).square().sum().backward()
    assert x.grad.abs().flatten(1).sum(1).min() > 0
    assert all(p.grad is None for p in generator.parameters())


def official_checkpoint(g: Generator) -> OrderedDict:
    """The generator's state as StarGAN's own code saves it: with the running statistics of its norms."""
    norms = {name for name, module in g.named_modules() if isinstance(module, nn.InstanceNorm2d)}
    state = OrderedDict()
    for name, value in g.state_dict().items():
        state[name] = value
        if (norm := name.removesuffix(".bias")) in norms:
            state |= {
                f"{norm}.running_mean": torch.full_like(value, 7),
                f"{norm}.running_var": torch.full_like(value, 9),
            }
            state[f"{norm}.num_batches_tracked"] = torch.tensor(200_000)
    return state


def test_official_weights_load_and_their_running_statistics_are_dropped(tmp_path):
    torch.manual_seed(1)
    ours = Generator(conv_dim=8, blocks=2)
    state = official_checkpoint(ours)
    assert len(state) == len(ours.state_dict()) + 3 * 9
    torch.save(state, tmp_path / "200000-G.ckpt")
    theirs = load_generator(tmp_path / "200000-G.ckpt")
    x, c = random_batch()
    assert theirs.architecture == {"conv_dim": 8, "c_dim": 5, "blocks": 2}
    assert torch.equal(forger(theirs)(x, c), forger(ours)(x, c))
    assert not [name for name in theirs.state_dict() if "running" in name or "num_batches" in name]


def test_our_own_weights_load_by_their_card(tmp_path):
    ours = Generator(**SMALL)
    save_weights(tmp_path / "g.safetensors", ours, {"network": "stargan generator", "architecture": ours.architecture})
    x, c = random_batch()
    assert torch.equal(forger(load_generator(tmp_path / "g.safetensors"))(x, c), forger(ours)(x, c))


def test_weights_of_another_network_are_refused(tmp_path):
    torch.save(Discriminator(32, 4, layers=3).state_dict(), tmp_path / "200000-D.ckpt")
    with pytest.raises(ValueError, match="200000-D.ckpt doesn't have the layout of a StarGAN generator"):
        load_generator(tmp_path / "200000-D.ckpt")
    state = official_checkpoint(Generator(**SMALL))
    del state["main.3.weight"]
    torch.save(state, tmp_path / "G.ckpt")
    with pytest.raises(ValueError, match=r"1 missing \(main.3.weight\)"):
        load_generator(tmp_path / "G.ckpt")
    about = {"network": "attribute classifier", "architecture": {"width": 4}}
    save_weights(tmp_path / "c.safetensors", nn.Linear(1, 1), about)
    with pytest.raises(ValueError, match=r"another kind \(attribute classifier\), no generator"):
        load_generator(tmp_path / "c.safetensors")


# Training


def test_the_gradient_penalty_of_a_linear_critic_is_its_closed_form():
    w, x = torch.randn(3, 8, 8), torch.randn(4, 3, 8, 8)
    penalty = gradient_penalty(lambda image: (w * image).sum((1, 2, 3)), x, torch.randn_like(x), torch.rand(4))
    assert penalty.item() == pytest.approx((w.norm().item() - 1) ** 2, rel=1e-5)


def test_the_attribute_loss_is_log_loss_summed_over_attributes():
    logits, c = torch.randn(6, 5), torch.cat([torch.zeros(3, 5), torch.ones(3, 5)])
    expected = sum(log_loss(c[:, i], logits[:, i].sigmoid()) for i in range(5))
    assert attribute_loss(logits, c).item() == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_is_constant_then_falls_linearly():
    config = ForgerConfig(steps=10, decay_steps=4)
    assert [train._decay(i, config) for i in range(10)] == [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_the_loss_terms_are_weighted_by_their_lambdas():
    config = ForgerConfig(lambda_cls=2, lambda_rec=3, lambda_gp=5, lambda_id=7, id_steps=2)
    critic = {"d_adv": torch.tensor(1.0), "d_cls": torch.tensor(10.0), "d_gp": torch.tensor(100.0)}
    forging = {"g_adv": torch.tensor(1.0), "g_rec": torch.tensor(10.0), "g_id": torch.tensor(100.0)}
    assert train._weighted(critic, config, 0) == 1 + 20 + 500
    assert [train._weighted(forging, config, i) for i in range(3)] == [1 + 30 + 700, 1 + 30 + 350, 1 + 30]


def test_a_generator_step_changes_the_generator_alone():
    g, d = Generator(**SMALL), Discriminator(32, 4, layers=3)
    before = [{name: value.clone() for name, value in net.state_dict().items()} for net in (g, d)]
    x, c = random_batch()
    losses = generator_losses(d, g, Batch(2 * x - 1, c, 1 - c), {"g_adv", "g_cls", "g_rec", "g_id"})
    update(g, train._weighted(losses, ForgerConfig(lambda_id=1), 0), torch.optim.Adam(g.parameters(), 1e-3))
    assert set(losses) == {"g_adv", "g_cls", "g_rec", "g_id"}
    assert all(not torch.equal(value, before[0][name]) for name, value in g.state_dict().items() if "weight" in name)
    assert all(torch.equal(value, before[1][name]) for name, value in d.state_dict().items())
    assert all(p.grad is None for p in d.parameters())


def test_the_generator_trains_once_in_n_critic_steps(faces, tmp_path):
    config = {"architecture": SMALL, "d_conv_dim": 4, "d_layers": 3, "batch_size": 4, "decay_steps": 1, "n_critic": 3}
    g, history = train.train_forger(faces, ForgerConfig(**config, steps=2), checkpoint=tmp_path / "a")
    torch.manual_seed(0)
    untrained = Generator(**SMALL, c_dim=len(ATTRIBUTES))
    assert torch.equal(g.main[0].weight, untrained.main[0].weight) and "g_adv" not in history
    g, history = train.train_forger(faces, ForgerConfig(**config, steps=3), checkpoint=tmp_path / "b")
    assert not torch.equal(g.main[0].weight, untrained.main[0].weight)
    assert history["g_adv"].notna().tolist() == [False, False, True]
