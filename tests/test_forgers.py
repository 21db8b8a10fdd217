"""Every forger of the family keeps one contract: forge(x, c) -> y in [0, 1], image by image, with gradients to x."""

import numpy as np
import pytest
import torch

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.forgers import NETWORKS, card, forger_name, load_generator, make_generator
from antidisrupt_lib.deepfakes.losses import truth_loss
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, forger
from antidisrupt_lib.deepfakes.stgan import SelectiveTransferUnit, STGANGenerator
from antidisrupt_lib.deepfakes.train import ForgerConfig, train_forger
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.weights import save_weights

SMALL = {
    "stargan": {"conv_dim": 4, "blocks": 1},
    "attention": {"width": 4, "layers": 2, "blocks": 1},
    "stgan": {"width": 4, "layers": 3, "estimator_width": 4},
    "stargan_v2": {"size": 32, "width": 4, "max_width": 8, "hidden": 8, "w_hpf": 0.0, "attributes": [0, 1, 2, 3, 4]},
}
TRAINING = {"d_conv_dim": 4, "d_layers": 3, "batch_size": 4, "n_critic": 1, "decay_steps": 2, "estimator_steps": 3}
every_network = pytest.mark.parametrize("network", NETWORKS)
every_trained = pytest.mark.parametrize("network", [name for name in NETWORKS if name != "stargan_v2"])


def small(network: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return make_generator(network, SMALL[network])


def random_batch(n: int = 3, size: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    keyed = torch.Generator().manual_seed(1)
    return torch.rand(n, 3, size, size, generator=keyed), torch.randint(0, 2, (n, 5), generator=keyed).float()


@pytest.fixture(scope="module")
def truth(faces) -> FaceSet:
    """Stand-ins of the true edits, easily learned: one grey for each edit."""
    images = np.zeros((5 * len(faces), *faces.images.shape[1:]), np.uint8)
    images += np.tile(np.arange(5, dtype=np.uint8) * 50, len(faces))[:, None, None, None]
    return FaceSet(images, faces.table.loc[faces.table.index.repeat(5)], faces.axes)


@every_network
def test_a_forger_keeps_the_contract(network):
    forge = forger(small(network))
    x, c = random_batch()
    y = forge(x.requires_grad_(), c)
    assert y.shape == x.shape and y.min() >= 0 and y.max() <= 1
    (gradient,) = torch.autograd.grad(y.square().sum(), x)
    assert gradient.abs().flatten(1).sum(1).min() > 0
    torch.testing.assert_close(forge(x[1:2], c[1:2]), y[1:2], rtol=0, atol=1e-5)  # batch mates don't count
    assert (forge(x, 1 - c) - y).abs().amax((1, 2, 3)).min() > 1e-4


@every_network
def test_weights_come_back_by_their_card(network, tmp_path):
    ours = small(network)
    save_weights(tmp_path / "g.safetensors", ours, card(ours, name="mine", steps=3))
    assert forger_name(tmp_path / "g.safetensors") == "mine" == card(ours, tmp_path / "g.safetensors")["name"]
    x, c = random_batch()
    assert torch.equal(forger(load_generator(tmp_path / "g.safetensors"))(x, c), forger(ours)(x, c))


@every_trained
def test_training_near_the_truth_comes_nearer(network, faces, truth, tmp_path):
    alone = {"lambda_adv": 0.0, "lambda_cls": 0.0, "lambda_rec": 0.0, "lambda_truth": 1.0, "lr": 5e-3}
    config = ForgerConfig(network=network, architecture=SMALL[network], steps=60, **TRAINING, **alone)
    history = train_forger(faces, config, truth=truth, checkpoint=tmp_path / "c")[1]
    assert set(history) == {"step", "g_truth"}  # no critic
    assert history["g_truth"].tail(15).mean() < 0.8 * history["g_truth"].head(15).mean()


@every_trained
def test_every_forger_but_stargan_v2_trains_with_a_critic_too(network, faces, tmp_path):
    config = ForgerConfig(network=network, architecture=SMALL[network], steps=2, **TRAINING)
    history = train_forger(faces, config, checkpoint=tmp_path / "c")[1]
    assert {"d_adv", "d_cls", "d_gp", "g_adv", "g_cls", "g_rec"} < set(history) and history.notna().all(None)


def test_the_truth_term_needs_the_truth(faces, truth, tmp_path):
    config = ForgerConfig(lambda_truth=1.0, architecture=SMALL["stargan"], steps=1, **TRAINING)
    for wrong in (None, truth.first(5)):
        with pytest.raises(ValueError, match="five true edits of each photo"):
            train_forger(faces, config, truth=wrong, checkpoint=tmp_path / "c")


def test_the_truth_loss_is_its_closed_form_and_an_edit_of_nothing_has_no_region():
    x = torch.zeros(2, 3, 16, 16)
    t, y = x.clone(), x.clone()
    t[0, :, :8] = 0.5  # half of the first image is edited
    y[0, :, :8] = 0.1
    y[1] = 0.2
    assert truth_loss(y, t, x).item() == pytest.approx((0.4 * 0.5 + 0.2) / 2 + 0.4, rel=1e-4)
    assert truth_loss(y, x, x).item() == pytest.approx((0.1 * 0.5 + 0.2) / 2, rel=1e-4)


def test_an_attention_forger_leaves_alone_what_its_mask_leaves_out():
    g = AttentionGenerator(**SMALL["attention"])
    x, c = random_batch()
    with torch.no_grad():
        g.last.bias[3] = -100.0
        assert torch.equal(g(x, c), x)
        g.last.bias[3] = 100.0
        assert torch.equal(g(x, c), g.parts(x, c)[0])


def test_a_selective_transfer_unit_gates_between_its_state_and_the_features():
    unit = SelectiveTransferUnit(4, 8, 5)
    f, s, d = torch.rand(2, 4, 8, 8), torch.rand(2, 8, 4, 4), torch.rand(2, 5)
    with torch.no_grad():
        unit.gates.weight.zero_()
        unit.gates.bias[4:] = -100.0  # update gate shut: the upsampled state passes
        unit.gates.bias[:4] = 100.0  # reset gate open: it is handed on whole
        f_t, state = unit(f, s, d)
        torch.testing.assert_close(f_t, state)
        unit.gates.bias[4:] = 100.0  # open: the candidate alone, in (-1, 1)
        assert unit(f, s, d)[0].abs().max() < 1


def test_stgan_at_its_published_size_has_five_layers_up_to_1024_channels():
    with torch.device("meta"):
        g = STGANGenerator()
        y = g(torch.empty(1, 3, 128, 128), torch.empty(1, 5))
    assert [encode[0].out_channels for encode in g.encoder] == [64, 128, 256, 512, 1024]
    assert len(g.units) == 4 and y.shape == (1, 3, 128, 128)


def test_stgan_asked_for_what_it_sees_is_told_to_change_nothing():
    g = small("stgan")
    x, c = random_batch()
    seen = g.own_attributes(2 * x - 1)
    told = []
    g.units[0].register_forward_hook(lambda module, inputs, output: told.append(inputs[2]))
    g(2 * x - 1, seen)
    g(2 * x - 1, 1 - seen)
    assert told[0].abs().max() == 0 and told[1].abs().min() == 1
    assert len(ATTRIBUTES) == told[0].shape[1]


def test_a_network_that_there_is_not_is_refused_with_those_that_there_are():
    with pytest.raises(ValueError, match="no forger 'gan'. Choose from: stargan, attention, stgan, stargan_v2"):
        make_generator("gan", {})
    with pytest.raises(ValueError, match="can't be built of {'depth': 3}"):
        make_generator("stgan", {"depth": 3})


def test_stargan_v2_is_sent_to_its_own_training():
    with pytest.raises(ValueError, match="train_stargan_v2"):
        ForgerConfig(network="stargan_v2")
