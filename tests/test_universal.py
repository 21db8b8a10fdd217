"""One perturbation raises the objectives of all faces, and fits them all."""

import pytest
import torch

from antidisrupt_lib.disruption.universal import fixed_perturbation, universal_perturbation
from antidisrupt_lib.seeding import generator, image_generators

HOW = {"eps": 0.03, "step": 0.01}


def photos(n: int, seed: int) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_the_sum_of_all_photos_gradients_decides_in_closed_form():
    w = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    batches = [photos(5, 1), photos(5, 2)]
    objectives = [lambda x: (w * x).flatten(1).sum(1)] * 2
    delta = universal_perturbation(batches, objectives, **HOW, steps=6, generator=generator(0))
    torch.testing.assert_close(delta, 0.03 * w.sum(0).sign())


def test_it_is_added_to_every_photo_within_the_ball_and_the_image_range():
    delta = 0.03 * torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(4)).sign()
    attack, x, keys = fixed_perturbation(delta), photos(4, 5), image_generators(0, "u", range(4))
    torch.testing.assert_close(attack(x, None, **HOW, steps=1, generators=keys), x + delta)
    half = attack(x.round(), None, eps=0.015, step=1, steps=1, generators=keys)
    torch.testing.assert_close(half, (x.round() + delta / 2).clamp(0, 1))


def test_wrong_sizes_and_no_photos_are_refused():
    attack = fixed_perturbation(torch.zeros(3, 8, 8))
    with pytest.raises(ValueError, match=r"is \(3, 8, 8\), the photos are \(3, 16, 16\)"):
        attack(torch.zeros(1, 3, 16, 16), None, **HOW, steps=1, generators=[])
    with pytest.raises(ValueError, match="needs photos to be made of"):
        universal_perturbation([], [], **HOW, steps=1, generator=generator(0))
