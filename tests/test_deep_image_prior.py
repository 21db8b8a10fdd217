"""The deep image prior learns every photo on its own, and stops where its outputs are steadiest."""

import pytest
import torch

from antidisrupt_lib.purification.deep_image_prior import DeepImagePrior, back_track, grouped_network, steadiest
from antidisrupt_lib.purification.purify import load_purifier
from antidisrupt_lib.seeding import image_generators

SMALL = {"channels": (4, 6), "skips": (0, 2), "depth": 4}


def keys(n: int) -> list[torch.Generator]:
    return image_generators(0, "prior", range(n))


def photos(n: int = 3, size: int = 16) -> torch.Tensor:
    ramp = torch.linspace(0.1, 0.9, size)
    return torch.stack([torch.stack([ramp.expand(size, size).rot90(i + c) for c in range(3)]) for i in range(n)])


def test_a_photo_is_learned_the_same_in_whatever_batch_it_is():
    x, prior = photos().double(), DeepImagePrior(30, **SMALL, window=5)
    together = prior(x, keys(3))
    torch.testing.assert_close(prior(x[1:2], keys(3)[1:2]), together[1:2], rtol=0, atol=1e-6)


def test_each_photo_is_learned():
    x = photos()
    *_, y = DeepImagePrior(100, **SMALL).outputs(x, keys(3))
    assert ((y - x).abs().mean((1, 2, 3)) < (0.5 - x).abs().mean((1, 2, 3)) / 2).all()


def test_it_learns_without_gradients_outside_and_leaves_none():
    with torch.no_grad():
        y = DeepImagePrior(3, **SMALL)(photos(), keys(3))
    assert y.shape == (3, 3, 16, 16) and not y.requires_grad and 0 <= y.min() <= y.max() <= 1


@pytest.mark.parametrize("shape", [(64, 64), (16, 16), (37, 50)])
def test_the_published_network_adapts_its_depth_to_the_photo(shape):
    x = torch.rand(2, 3, *shape)
    network = grouped_network(x, 32, (8, 16, 32, 64, 128), (0, 0, 0, 4, 4), keys(2))
    assert network(torch.rand(1, 64, *shape)).shape == (1, 6, *shape)


def test_an_image_has_a_network_of_its_own():
    x = torch.rand(2, 3, 16, 16)
    network = grouped_network(x, 4, (4, 6), (2, 2), keys(2))
    z = torch.rand(1, 8, 16, 16).requires_grad_()
    (g,) = torch.autograd.grad(network(z)[:, :3].square().sum(), z)
    assert g[:, :4].abs().max() > 0 and (g[:, 4:] == 0).all()


def test_the_steadiest_moment_of_each_image_is_kept():
    path = torch.tensor([[5.0, 1, 1.1, 1.0, 7, 7, 7, 7, 0], [9, 5, 1, 8, 3, 3.2, 3.1, 9, 1]])  # 7 comes too late
    outputs = iter(path.T[:, :, None, None, None])
    y = steadiest(outputs, window=3, patience=3, decay=0.0)
    assert y.flatten().tolist() == pytest.approx([1.0, 3.1])


def test_the_watch_ends_when_the_last_image_is_finished_and_averages_on_the_way():
    seen = []
    outputs = (seen.append(i) or torch.full((1, 1, 1, 1), float(v)) for i, v in enumerate([4, 0, 0, 9, 2, 7, 1, 5]))
    assert steadiest(outputs, window=2, patience=2, decay=0.5).item() == 1.0  # 4, 2, 1
    assert seen == [0, 1, 2, 3, 4]
    few = iter(torch.tensor([4.0, 0.0])[:, None, None, None, None])
    assert steadiest(few, window=5, patience=2, decay=0.5).item() == 2.0


def test_only_the_image_that_fell_is_sent_back():
    network = torch.nn.Conv2d(2, 4, 1, groups=2)
    then = [p.detach().clone() for p in network.parameters()]
    look = back_track(network, torch.tensor([0.01, 0.01]), None, 5.0)
    for p in network.parameters():
        p.data += 1
    error, _ = back_track(network, torch.tensor([0.1, 0.02]), look, 5.0)  # 10 dB and 3 dB worse
    for now, before in zip(network.parameters(), then, strict=True):
        assert torch.equal(now[:2], before[:2]) and torch.equal(now[2:], before[2:] + 1)
    assert error.tolist() == pytest.approx([0.01, 0.02])


def test_its_cost_is_stated_as_the_most_it_can_be():
    prior = load_purifier("deep_image_prior_200", "")
    assert prior == DeepImagePrior(200) and prior.network_calls == 200 and not prior.differentiable


def test_as_published_the_average_over_all_outputs_is_read_at_the_last_iteration():
    prior = load_purifier("deep_image_prior_as_published_9", "")
    x, average = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)), None
    for y in prior.outputs(x, image_generators(0, "dip", [0, 1])):
        average = y if average is None else 0.99 * average + 0.01 * y
    assert torch.equal(prior(x, image_generators(0, "dip", [0, 1])), average) and prior.network_calls == 9
    assert load_purifier("deep_image_prior_as_published", "").iterations == 6000


def test_the_shallow_prior_draws_a_fine_pattern_before_the_published_one_does():
    x = photos(2) * 0.8 + 0.2 * (torch.arange(16) % 2)  # stripes one pixel wide
    published, shallow = (
        (load_purifier(f"deep_image_prior_{name}_60", "")(x, keys(2)) - x).square().mean()
        for name in ("as_published", "shallow")
    )
    assert shallow < published / 4
