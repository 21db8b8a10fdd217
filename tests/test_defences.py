"""Defences do what they say: augmentation can be resumed, attacks leave no trace, gradients become smaller."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from antidisrupt_lib.detection.defences import (
    Defence,
    adversarial,
    evaluating,
    gradient_size,
    lipschitz,
    pgd_as_published,
    plain_loss,
    strong_augmentation,
)
from antidisrupt_lib.detection.detectors import Detector, load_detector
from antidisrupt_lib.detection.smooth import HalfHuberReLU, smooth_relus
from antidisrupt_lib.detection.train import DetectorConfig, TrainingSet, train_detector
from antidisrupt_lib.weights import save_weights

PGD = {"eps": 8 / 255, "step": 2 / 255, "steps": 5}
X = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
LABEL = torch.tensor([0.0, 0, 0, 1, 1, 1])


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, 2), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 1),
        nn.Flatten(0),
    )  # fmt: skip


def buffers(module: nn.Module) -> list[torch.Tensor]:
    return [buffer.clone() for buffer in module.buffers()]


def same(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def data(make_faces) -> TrainingSet:
    photos = make_faces(count=8, size=16)
    world = photos, make_faces(count=8, size=16, seed=1, fakes_of=photos)
    return TrainingSet(world, world, np.zeros(8, bool))


@pytest.mark.parametrize("delta", [0.1, 0.5, 2.0])
def test_half_huber_relu_has_the_published_value_and_gradient(delta):
    x = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    y = HalfHuberReLU(delta)(x)
    (g,) = torch.autograd.grad(y.sum(), x)
    value = torch.where(x <= delta, x**2 / (2 * delta), x - delta / 2).where(x > 0, 0)
    torch.testing.assert_close(y, value)
    torch.testing.assert_close(g, (x / delta).clamp(0, 1))
    with pytest.raises(ValueError, match="above 0, not 0"):
        HalfHuberReLU(0)


def test_every_relu_becomes_smooth_and_is_so_after_a_reload(tmp_path):
    detector = Detector("resnet10t", half_huber=True)
    kinds = [type(module) for module in detector.modules()]
    assert nn.ReLU not in kinds and kinds.count(HalfHuberReLU) > 8
    save_weights(tmp_path / "d.safetensors", detector, {"architecture": detector.architecture})
    again = load_detector(tmp_path / "d.safetensors").eval()
    assert torch.equal(again(X), detector.eval()(X)) and detector.architecture["half_huber"]
    with pytest.raises(ValueError, match="has no ReLU to smooth"):
        smooth_relus(nn.Sequential(nn.GELU()))


def test_strong_augmentation_is_the_same_for_the_same_step_and_image():
    x = torch.rand(400, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    one, again, other = (strong_augmentation(x, 0, step) for step in (3, 3, 4))
    assert torch.equal(one, again) and not torch.equal(one, other) and one.min() >= 0 and one.max() <= 1
    untouched = [torch.equal(a, b) or torch.equal(a, b.flip(-1)) for a, b in zip(one, x, strict=True)]
    assert abs(np.mean(untouched) - 0.5 * 0.9 * 0.95) < 0.08  # neither JPEG, nor noise, nor blur


def test_the_input_gradient_is_that_of_the_deployed_network_and_can_be_descended():
    detector, w = nn.Sequential(nn.Flatten(), nn.Linear(768, 1), nn.Flatten(0)), None
    w = detector[1].weight
    for z in (1.0, 2.0, 3.0):
        assert gradient_size(detector, X, z).item() == pytest.approx(w.abs().pow(z).mean().item(), rel=1e-5)
    net = network().train()
    before = buffers(net)
    loss = lipschitz(plain_loss, 50.0, 2.0)(net, X, LABEL, 0)
    expected = plain_loss(copy.deepcopy(net), X, LABEL, 0) + 50 * gradient_size(net, X)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-3)
    optimizer, first = torch.optim.Adam(net.parameters(), 1e-3), gradient_size(net, X).item()
    for _ in range(20):
        optimizer.zero_grad()
        gradient_size(net, X).backward()
        optimizer.step()
    assert gradient_size(net, X).item() < 0.8 * first
    assert not same(before, buffers(net))  # by plain_loss, once
    assert net[1].num_batches_tracked == 1


def test_adversarial_training_leaves_batch_statistics_to_its_own_pass():
    net, x = network().train(), X
    seen = []
    loss = adversarial(lambda *a: seen.append(a[1]) or plain_loss(*a), **PGD, clean_weight=0.0, seed=0)(
        net, x, LABEL, 0
    )
    assert net.training and net[1].num_batches_tracked == 1
    assert 0 < (seen[0] - x).abs().max() <= PGD["eps"] + 1e-6
    with evaluating(net):
        assert plain_loss(net, seen[0], LABEL, 0) > plain_loss(net, x, LABEL, 0)
    reference = network().train()
    assert loss.item() == pytest.approx(plain_loss(reference, seen[0], LABEL, 0).item())


def test_the_clean_term_has_its_weight():
    values = [adversarial(plain_loss, **PGD, clean_weight=w, seed=0)(network().train(), X, LABEL, 0) for w in (0, 0.25)]
    clean = plain_loss(network().train(), X, LABEL, 0)
    assert values[1].item() == pytest.approx((0.75 * values[0] + 0.25 * clean).item(), rel=1e-4)


def test_as_published_forty_steps_are_one_and_spoil_image_and_statistics():
    net = network().train()
    forty, one = (pgd_as_published(X, copy.deepcopy(net), LABEL, steps=steps) for steps in (40, 1))
    torch.testing.assert_close(forty, one, rtol=0, atol=1e-6)  # the iterate never moves
    assert forty.min() >= 0.5  # [0, 1] in units of [-1, 1]: mid-grey to white
    bright = X > 0.51
    assert (forty - X)[bright].abs().max() <= 0.5 / 255 + 1e-6  # half of the stated eps
    assert ((forty - 0.5).abs() < 1e-6)[X < 0.49].all()
    pgd_as_published(X, net, LABEL, steps=40)
    assert net[1].num_batches_tracked == 40


@pytest.mark.parametrize("name", ["weak", "strong+adversarial+lipschitz", "adversarial_as_published", "half_huber"])
def test_a_stopped_defended_training_ends_at_the_same_weights(name, data, tmp_path, monkeypatch):
    config = DetectorConfig("own", steps=3, batch_size=4, lr=1e-2, optimizer="sgd")
    defence = Defence(name, steps=2, clean_weight=0.5, psi=1.0)
    whole, _ = train_detector(data, config, defence=defence, detector=network(), checkpoint=tmp_path / "a")
    calls, augment = [], Defence.augment

    def stops(self, x, seed, step):
        calls.append(step)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return augment(self, x, seed, step)

    from antidisrupt_lib.detection import train

    run_training = train.run_training
    monkeypatch.setattr(train, "run_training", lambda *a, **k: run_training(*a, **k, save_every=1))
    monkeypatch.setattr(Defence, "augment", stops)
    with pytest.raises(KeyboardInterrupt):
        train_detector(data, config, defence=defence, detector=network(), checkpoint=tmp_path / "b")
    resumed, _ = train_detector(data, config, defence=defence, detector=network(), checkpoint=tmp_path / "b")
    assert calls == [0, 1, 2, 2]
    assert same(list(whole.state_dict().values()), list(resumed.state_dict().values()))
    with pytest.raises(ValueError, match="other hyperparameters"):
        train_detector(data, config, defence=Defence("none"), detector=network(), checkpoint=tmp_path / "b")


def test_defences_that_do_not_exist_are_refused_with_those_that_do():
    for bad in ({"name": "bravery"}, {"clean_weight": 1.0}, {"name": "adversarial+adversarial_as_published"}):
        with pytest.raises(ValueError, match="weak, strong, lipschitz"):
            Defence(**bad)
    with pytest.raises(ValueError, match="no optimizer 'adagrad' here. Choose from: adam, sgd"):
        DetectorConfig(optimizer="adagrad")
