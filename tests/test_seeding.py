"""Every draw hangs on its key alone."""

import pytest
import torch

from antidisrupt_lib.seeding import generator, image_generators, key_to_seed, numpy_generator, randn_like, uniform_like

IDS = ["a.jpg", "b.jpg", "c.jpg"]


def test_a_key_means_the_same_seed_on_every_machine():
    # printf 0/pgd/000007.jpg | b2sum -l 64, without its last bit
    assert key_to_seed(0, "pgd", "000007.jpg") == 0xFC8B5F993C19F573 >> 1


def test_same_key_same_draw_and_any_other_key_another():
    def draw(*key):
        return torch.randn(8, generator=generator(*key)).tolist()

    assert draw(0, "pgd", 7) == draw(0, "pgd", 7)
    assert len({tuple(draw(*key)) for key in [(0, "pgd", 7), (1, "pgd", 7), (0, "bim", 7), (0, "pgd", 8)]}) == 4
    assert numpy_generator(0, "x").random() == numpy_generator(0, "x").random() != numpy_generator(1, "x").random()


@pytest.mark.parametrize("noise", [randn_like, lambda x, generators: uniform_like(x, generators, 0.1)])
def test_an_image_gets_its_noise_in_whatever_batch_it_is(noise):
    together = noise(torch.zeros(3, 3, 8, 8), image_generators(0, "pgd", IDS))
    for order in (["b.jpg"], ["c.jpg", "b.jpg"]):
        apart = noise(torch.zeros(len(order), 3, 8, 8), image_generators(0, "pgd", order))
        assert torch.equal(apart, together[[IDS.index(name) for name in order]])
    assert not torch.equal(together[0], together[1])


def test_noise_has_the_stated_distribution():
    x = torch.zeros(2, 3, 64, 64)
    normal, uniform = (
        randn_like(x, image_generators(0, "n", "ab")),
        uniform_like(x, image_generators(0, "u", "ab"), 0.1),
    )
    assert abs(normal.mean()) < 0.03 and abs(normal.std() - 1) < 0.03
    assert uniform.abs().max() <= 0.1 and abs(uniform.mean()) < 0.003
    assert abs(uniform.std() - 0.1 / 3**0.5) < 0.002


def test_a_batch_with_too_few_generators_is_refused():
    with pytest.raises(ValueError, match="3 images need 3 generators"):
        randn_like(torch.zeros(3, 3, 8, 8), image_generators(0, "pgd", IDS[:2]))
