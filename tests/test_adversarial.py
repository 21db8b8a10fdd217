"""Adversarial training shows the networks disrupted images, and is the vanilla training where nothing is disrupted."""

from dataclasses import replace

import pytest
import torch

from antidisrupt_lib import training
from antidisrupt_lib.deepfakes.adversarial import Batch, disrupt_batch
from antidisrupt_lib.deepfakes.losses import critic_losses, generator_losses
from antidisrupt_lib.deepfakes.stargan import Discriminator, Generator, forger, live_forger
from antidisrupt_lib.deepfakes.train import ForgerConfig, train_forger
from antidisrupt_lib.disruption.adversarial import training_attack
from antidisrupt_lib.disruption.objectives import squared_distance
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.weights import save_weights

SMALL = {
    "architecture": {"conv_dim": 4, "blocks": 1},
    "d_conv_dim": 4,
    "d_layers": 3,
    "batch_size": 4,
    "n_critic": 2,
    "decay_steps": 2,
}
CONFIG = ForgerConfig(**SMALL, steps=5, adv_eps=0.03, adv_step=0.01, adv_steps=3, ema=0.9)


def nothing(forge, x, c, generators):
    return x


@pytest.fixture(scope="module")
def networks() -> tuple[Generator, Discriminator]:
    torch.manual_seed(0)
    return Generator(conv_dim=4, blocks=1), Discriminator(32, 4, layers=3)


@pytest.fixture(scope="module")
def batch() -> Batch:
    keyed = torch.Generator().manual_seed(1)
    c = torch.randint(0, 2, (3, 5), generator=keyed).float()
    return Batch(2 * torch.rand(3, 3, 32, 32, generator=keyed) - 1, c, 1 - c)


def disrupted(batch, g, form, attack=None, seed=0):
    return disrupt_batch(batch, form, g, attack or training_attack(CONFIG), image_generators(seed, "eta", range(3)))


def all_losses(d, g, batch):
    return critic_losses(d, g, batch, torch.full((3,), 0.3)) | generator_losses(
        d, g, batch, {"g_adv", "g_cls", "g_rec", "g_id"}
    )


@pytest.mark.parametrize("form", ["g", "gd"])
def test_perturbations_stay_in_their_ball_and_in_the_image_range(form, networks, batch):
    seen = disrupted(batch, networks[0], form)
    for image, clean in [(seen.source, batch.x), (seen.fake(networks[0]), networks[0](seen.source, batch.target))]:
        assert (image - clean).abs().max() <= 2 * CONFIG.adv_eps + 1e-6 and image.abs().max() <= 1 + 1e-6
    assert seen.eta_source.abs().mean() > CONFIG.adv_eps / 2


@pytest.mark.parametrize("objective", ["away", "grey"])
def test_a_perturbation_does_what_its_objective_asks(objective, networks, batch):
    g = networks[0]
    attack = training_attack(replace(CONFIG, adv_objective=objective))
    seen, forge = disrupted(batch, g, "g", attack), live_forger(g)
    before, after = (forge(x / 2 + 0.5, batch.target) for x in (batch.x, seen.source))
    if objective == "away":
        assert (squared_distance(after, before) > 1e-4).all()
    else:
        assert (squared_distance(after, 0.5) < squared_distance(before, 0.5)).all()


def test_the_attack_leaves_the_generator_trainable_and_without_gradients(networks, batch):
    disrupted(batch, networks[0], "gd")
    assert all(p.requires_grad and p.grad is None for p in networks[0].parameters())


@pytest.mark.parametrize("form", ["g", "gd"])
def test_with_nothing_disrupted_the_losses_are_exactly_the_vanilla_ones(form, networks, batch):
    g, d = networks
    vanilla, same = all_losses(d, g, batch), all_losses(d, g, disrupted(batch, g, form, nothing))
    assert vanilla.keys() == same.keys() and all(torch.equal(vanilla[name], same[name]) for name in vanilla)


def test_g_disrupts_what_the_generator_edits_alone_and_gd_all_that_the_critic_sees(networks, batch):
    g = networks[0]
    only_g, both = disrupted(batch, g, "g"), disrupted(batch, g, "gd")
    assert torch.equal(only_g.real, batch.x) and torch.equal(only_g.fake(g), g(only_g.source, batch.target))
    assert torch.equal(both.real, batch.x + both.eta_source) and torch.equal(both.source, only_g.source)
    assert torch.equal(both.fake(g), g(both.source, batch.target) + both.eta_fake) and both.eta_fake.abs().max() > 0


class Recorder:
    """A discriminator that keeps what it was shown."""

    def __init__(self, d):
        self.d, self.shown = d, []

    def __call__(self, x):
        self.shown.append(x)
        return self.d(x)


def test_the_critic_is_shown_the_perturbed_reals_and_fakes_and_the_cycle_comes_back_to_the_clean_photo(networks, batch):
    g, d = networks[0], Recorder(networks[1])
    seen = disrupted(batch, g, "gd")
    critic_losses(d, g, seen, torch.ones(3))
    real, fake, at_real = d.shown
    assert torch.equal(real, seen.real) and torch.equal(fake, seen.fake(g)) and torch.equal(at_real, seen.real)
    losses = generator_losses(d, g, seen, {"g_adv", "g_cls", "g_rec"})
    assert torch.equal(d.shown[-1], seen.fake(g))
    assert torch.equal(losses["g_rec"], (g(seen.fake(g), batch.c) - batch.x).abs().mean())


def test_perturbations_are_keyed_by_image(networks, batch):
    g, alone = networks[0], Batch(batch.x[1:2], batch.c[1:2], batch.target[1:2])
    seen = disrupt_batch(alone, "g", g, training_attack(CONFIG), image_generators(0, "eta", [1]))
    together = disrupted(batch, g, "g").eta_source[1:2]
    assert ((seen.eta_source - together).abs() > 1e-4).float().mean() < 0.02  # a sign may flip where a gradient is ~ 0
    assert not torch.equal(disrupted(batch, g, "g", seed=1).eta_source[1:2], together)


# Training


def trained(faces, checkpoint, config, disrupt=None):
    attack = disrupt or training_attack(config)
    return train_forger(faces, config, checkpoint=checkpoint, save_every=3, disrupt=attack)[0].state_dict()


def equal(one, other):
    return all(torch.equal(one[name], value) for name, value in other.items())


@pytest.mark.parametrize("form", ["g", "gd"])
def test_a_stopped_adversarial_training_ends_at_the_very_same_weights(form, faces, tmp_path, monkeypatch):
    config = replace(CONFIG, adversarial=form)
    whole = trained(faces, tmp_path / "whole", config)

    def stop_after_four(items, *args, **kwargs):
        yield from list(items)[:4]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "progress", stop_after_four)
        trained(faces, tmp_path / "parts", config)
    assert torch.load(tmp_path / "parts")["done"] == 3
    assert equal(trained(faces, tmp_path / "parts", config), whole)
    assert not equal(trained(faces, tmp_path / "vanilla", CONFIG), whole)
    assert equal(trained(faces, tmp_path / "nothing", config, nothing), trained(faces, tmp_path / "vanilla", CONFIG))


def test_a_checkpoint_of_another_attack_is_refused(faces, tmp_path):
    config = replace(CONFIG, adversarial="g", steps=1)
    trained(faces, tmp_path / "c", config)
    with pytest.raises(ValueError, match="made with other hyperparameters"):
        trained(faces, tmp_path / "c", replace(config, adv_eps=0.02))


def test_unknown_forms_and_a_missing_attack_are_refused(faces, tmp_path):
    with pytest.raises(ValueError, match="no adversarial training 'both'. Choose from: '', 'g', 'gd'"):
        replace(CONFIG, adversarial="both")
    with pytest.raises(ValueError, match="needs an attack"):
        train_forger(faces, replace(CONFIG, adversarial="gd"), checkpoint=tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_training_goes_on_from_given_weights_after_the_critic_has_had_its_start(faces, tmp_path):
    torch.manual_seed(7)
    given = Generator(conv_dim=4, blocks=1)
    path = tmp_path / "g.safetensors"
    save_weights(path, given, {"network": "stargan generator", "architecture": given.architecture})
    config = replace(CONFIG, start_weights=str(path), critic_first=4, steps=3, ema=0.0)
    assert equal(trained(faces, tmp_path / "a", config), given.state_dict())
    assert equal(trained(faces, tmp_path / "b", replace(config, steps=4)), given.state_dict())
    assert not equal(trained(faces, tmp_path / "c", replace(config, steps=6)), given.state_dict())
    with pytest.raises(ValueError, match=r"g.safetensors don't fit Generator"):
        trained(faces, tmp_path / "d", replace(config, architecture={"conv_dim": 8, "blocks": 1}))


def test_a_live_forger_forges_as_a_frozen_one_does(networks, batch):
    g = Generator(conv_dim=4, blocks=1)
    x = batch.x / 2 + 0.5
    live = live_forger(g)(x, batch.c)
    assert live.requires_grad and torch.equal(live, forger(g)(x, batch.c))
