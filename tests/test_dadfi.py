"""Disruptors made beforehand: DADFI's networks, losses and training, the universal one, and what they do as attacks."""

import numpy as np
import pytest
import torch

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.disruption import dadfi
from antidisrupt_lib.disruption.attacks import uniform_noise
from antidisrupt_lib.disruption.dadfi import DadfiConfig, Recogniser, as_published_config, train_dadfi
from antidisrupt_lib.disruption.disrupt import attack_name, disrupt, find_attack, make_objective, write_disrupted
from antidisrupt_lib.disruption.disruptor import Disruptor, Universal, as_attack, card, refined
from antidisrupt_lib.disruption.effects import Recipe, cost, effects, recipes_of, treat
from antidisrupt_lib.disruption.fusion import fuse, make_fused
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.weights import save_weights

EPS = 0.05
SMALL = {"architecture": {"width": 4, "blocks": 1}, "recogniser_width": 2, "batch_size": 4, "teacher_steps": 2}
HOW = {"eps": EPS, "step": 0.02, "steps": 3}


@pytest.fixture(scope="module")
def trained(faces, forge, tmp_path_factory):
    config = DadfiConfig(**SMALL, steps=60, lr=5e-3, lambda_x=0, lambda_y=0)
    return train_dadfi(faces, {"tiny": forge}, config, checkpoint=tmp_path_factory.mktemp("dadfi") / "checkpoint")


def distance(faces, forge, attack) -> float:
    x_adv = treat(faces, attack, forge, eps=EPS, steps=1, seed=0)
    x, c = faces.x(), faces.labels(ATTRIBUTES)
    with torch.no_grad():
        return float((forge(x_adv, c) - forge(x, c)).square().mean())


@pytest.mark.parametrize("size", [30, 64, 300])
def test_the_generator_has_the_papers_layers_and_takes_any_size(size):
    gen, seen = Disruptor(width=4), []
    gen.blocks.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[-1]))
    u = gen(torch.rand(1, 3, size, size))
    assert u.shape == (1, 3, size, size) and u.abs().max() <= 1
    assert seen == [-(-size // 8)] and (len(gen.down), len(gen.blocks), len(gen.up)) == (3, 4, 3)
    norms = [module for module in gen.modules() if isinstance(module, torch.nn.InstanceNorm2d)]
    assert len(norms) == 3 + 2 * 4 + 3 + 1  # and one before the colours


def test_the_coarse_generator_keeps_its_energy_to_low_frequencies():
    x = torch.rand(4, 3, 64, 64)

    def high(coarse: int) -> float:
        torch.manual_seed(0)
        power = torch.fft.fft2(Disruptor(4, 1, coarse)(x).detach()).abs().square()
        near = torch.fft.fftfreq(64).abs() <= 1 / 8
        return float(1 - power[..., near, :][..., near].sum() / power.sum())

    assert high(4) < 0.1 < 0.3 < high(1)


def test_as_an_attack_it_stays_in_the_ball_and_asks_nobody(faces):
    attack = as_attack(Disruptor(4, 1))
    x, c = faces.x(), faces.labels(ATTRIBUTES)
    x_adv = disrupt(x, c, None, attack=attack, generators=image_generators(0, "test", faces.image_ids), **HOW)
    assert 0.5 * EPS < (x_adv - x).abs().max() <= EPS + 1e-6
    assert torch.equal((255 * x_adv).round() / 255, x_adv)
    free = find_attack(attack, as_published=True)(x, None, **HOW, generators=())
    assert (free - x).abs().max() > 2 * EPS and free.min() >= 0 and free.max() <= 1


def test_losses_are_the_papers():
    torch.manual_seed(0)
    ide, real, fake = Recogniser(2), torch.rand(5, 3, 16, 16), torch.rand(5, 3, 16, 16)
    p_real, p_fake = (1 / (1 + np.exp(-ide(x).detach().double().numpy())) for x in (real, fake))
    eq3 = np.log(p_real).mean() + np.log(1 - p_fake).mean()
    assert dadfi.recogniser_loss(ide, real, fake).item() == pytest.approx(-eq3, rel=1e-5)
    assert dadfi.fooling_loss(ide, fake, True).item() == pytest.approx(np.log(1 - p_fake).mean(), rel=1e-5)
    assert dadfi.fooling_loss(ide, fake).item() == pytest.approx(-np.log(p_fake).mean(), rel=1e-5)
    change = torch.tensor([0.02, -0.09, 0.06]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    assert float(dadfi.hinge_loss(change, 0.05)) == pytest.approx((0 + 0.04 + 0.01) / 3)


def test_training_makes_it_break_more_than_noise_of_its_size(trained, faces, forge):
    gen, history = trained
    assert history["gen_away"].iloc[-1] < history["gen_away"].iloc[0]
    assert distance(faces, forge, as_attack(gen)) > 3 * distance(faces, forge, uniform_noise)


def test_a_few_gradients_from_there_break_more(trained, faces, forge):
    first = as_attack(trained[0])
    x, c = faces.x(), faces.labels(ATTRIBUTES)
    objective = make_objective("away", forge, x, c, conditioning="own")
    keys = image_generators(0, "test", faces.image_ids)
    one, more = (attack(x, objective, **HOW, generators=keys) for attack in (first, refined(first)))
    assert (objective(more) > objective(one)).all() and (more - x).abs().max() <= EPS + 1e-6


@pytest.mark.parametrize("published", [False, True])
def test_a_resumed_training_ends_at_the_same_weights(published, faces, forge, tmp_path):
    config = DadfiConfig(**SMALL, steps=4, forgers_per_step=1)
    config = as_published_config(config) if published else config
    family = {"one": forge, "other": lambda x, c: forge(1 - x, c)}

    def run(folder, stop_at=None):
        calls = iter(range(100))

        def through(generators):
            if next(calls) == stop_at:
                raise KeyboardInterrupt
            return [lambda x: x.clamp(0.1, 0.9)]

        where = tmp_path / folder
        return train_dadfi(faces, family, config, checkpoint=where, seen_through=through, save_every=1)

    whole, history = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("cut", stop_at=2)
    for one, other in zip(whole.parameters(), run("cut")[0].parameters(), strict=True):
        assert torch.equal(one, other)
    assert {"ide_x", "ide_y", "gen_x", "gen_y", "gen_hinge" if published else "gen_away"} < set(history)


def test_each_step_meets_as_many_forgers_as_it_is_told(faces, forge, tmp_path):
    met = {name: [] for name in "abc"}

    def watched(name):
        return lambda x, c: met[name].append(len(x)) or forge(x, c)

    config = DadfiConfig(**SMALL, steps=12, forgers_per_step=1, lambda_x=0, lambda_y=0)
    train_dadfi(faces, {name: watched(name) for name in met}, config, checkpoint=tmp_path / "checkpoint")
    assert sum(map(len, met.values())) == 2 * 12 and all(met.values())  # the clean edit and the disrupted one


def test_with_nothing_to_learn_from_or_for_it_is_refused(faces, tmp_path):
    with pytest.raises(ValueError, match="Give at least one"):
        train_dadfi(faces, {}, DadfiConfig(), checkpoint=tmp_path / "checkpoint")
    with pytest.raises(ValueError, match="something to learn"):
        DadfiConfig(lambda_x=0, lambda_y=0, lambda_away=0)


@pytest.mark.parametrize("disruptor", [Disruptor(4, 1), Universal(32)], ids=["dadfi", "universal"])
def test_weights_are_an_attack_by_their_path_called_as_their_card_says(disruptor, faces, tmp_path):
    path = tmp_path / "mine.safetensors"
    save_weights(path, disruptor, card(disruptor, name="quick_one"))
    made = write_disrupted(tmp_path / "out", faces, None, attack=str(path), seed=0, **HOW)
    assert made.axes["attack"] == attack_name(str(path)) == "quick_one"
    expected = treat(faces, as_attack(disruptor), None, eps=EPS, steps=3, seed=0)
    assert torch.equal(made.x(), expected)


def test_weights_trained_without_a_bound_come_without_one(faces, tmp_path):
    disruptor = Disruptor(4, 1)
    save_weights(tmp_path / "free.safetensors", disruptor, card(disruptor, name="free", bounded=False))
    x_adv = treat(faces, str(tmp_path / "free.safetensors"), None, eps=EPS, steps=1, seed=0)
    assert (x_adv - faces.x()).abs().max() > 2 * EPS


def test_weights_that_are_not_there_or_no_disruptor_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing at"):
        find_attack(str(tmp_path / "none.safetensors"))
    with pytest.raises(ValueError, match="not a disruptor"):
        find_attack("zoo/judge.safetensors")


def test_fusion_is_cmuas():
    rng = np.random.default_rng(0)
    x, delta, w = rng.uniform(0.2, 0.8, (4, 3, 5, 5)), rng.uniform(-EPS, EPS, (3, 5, 5)), rng.normal(size=(4, 3, 5, 5))
    moved = np.clip(delta + 0.02 * np.sign(w), -EPS, EPS).mean(0)
    tensors = [torch.tensor(a, dtype=torch.float32) for a in (delta, x, w)]
    found = fuse(*tensors[:2], lambda here: (tensors[2] * here).flatten(1).sum(1), EPS, 0.02, 0.3)
    assert np.allclose(found.numpy(), 0.3 * delta + 0.7 * moved, atol=1e-6)


def test_one_perturbation_breaks_all_faces_more_than_noise(faces, forge):
    family = {"one": forge, "other": lambda x, c: forge(x.flip(-1), c)}
    universal = make_fused(faces, family, eps=EPS, step=0.02, steps=4, passes=3, seed=0, batch_size=6)
    assert universal.u.abs().max() <= 1
    assert distance(faces, forge, as_attack(universal)) > 2 * distance(faces, forge, uniform_noise)
    with pytest.raises(ValueError, match="photos are"):
        as_attack(universal)(torch.rand(1, 3, 16, 16), None, **HOW, generators=())


def test_effects_of_nothing_are_none_whatever_way_the_photos_go(faces, forge):
    ways = {"": lambda x, generators: x, "crop": lambda x, generators: x.roll(3, -1)}
    treated = {"none": faces.x(), "noise": treat(faces, "uniform_noise", forge, eps=EPS, steps=1, seed=0)}
    measures = {"l2": lambda y, y0, x: (y - y0).square().flatten(1).mean(1)}
    table = effects(faces, treated, {"a": forge, "b": forge}, measures, ways, seed=0, batch_size=5)
    assert len(table) == 2 * 2 * 2 * 5 * len(faces)
    by = table.groupby(["disruptor", "way"])["l2"].max()
    assert (by["none"] == 0).all() and (by["noise"] > 0).all()
    one = table.query("disruptor == 'noise' and way == '' and forger == 'a' and edit == 'Male'")
    assert one["image_id"].tolist() == faces.image_ids


def test_its_cost_is_one_pass_of_its_own_and_none_of_a_forger(faces, forge):
    how = {"eps": EPS, "batch_size": 2}
    _, passes = cost(faces, Recipe(as_attack(Disruptor(4, 1)), forge, 3), **how)
    seconds, gradients = cost(faces, Recipe("pgd", forge, 3), **how)
    assert (passes, gradients) == (0, 3) and seconds > 0


def test_recipes_are_of_all_forgers_and_of_each_and_no_two_have_one_name(forge, tmp_path):
    paths = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for path in paths:
        save_weights(path, Disruptor(4, 1), card(Disruptor(4, 1), name="mine"))
    family = {"a": forge, "b": forge}
    recipes = recipes_of(paths[:1], {"pgd": 5, "bim": 3}, family)
    assert list(recipes) == ["uniform_noise", "mine", "pgd_for_all", "pgd_for_a", "pgd_for_b", "bim_for_all"]
    assert recipes["pgd_for_b"].steps == 5
    with pytest.raises(ValueError, match="called mine"):
        recipes_of(paths, {}, family)
