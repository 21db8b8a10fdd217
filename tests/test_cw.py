"""C&W finds the smallest perturbation where it is known, within its box, image by image."""

import pytest
import torch

from antidisrupt_lib.disruption.cw import DISRUPTED, cw_l2
from antidisrupt_lib.disruption.objectives import away_from_output
from antidisrupt_lib.metrics import distances
from antidisrupt_lib.seeding import image_generators

W = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
LONG = {"eps": 1.0, "step": 0.02, "steps": 60}


def photos(n: int = 3) -> torch.Tensor:
    return 0.3 + 0.4 * torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def keys(n: int = 3) -> list[torch.Generator]:
    return image_generators(0, "cw", range(n))


def rise(x: torch.Tensor) -> torch.Tensor:
    return (W * (x - photos()[: len(x)])).flatten(1).sum(1)


def test_a_linear_goal_is_reached_by_the_shortest_way():
    x, goal = photos(), 2.0
    x_adv = cw_l2(x, rise, **LONG, generators=keys(), threshold=goal, searches=8, initial_c=0.01, start=0.0)
    assert (rise(x_adv) >= goal).all() and x_adv.min() >= 0 and x_adv.max() <= 1
    distance, shortest = (x_adv - x).flatten(1).norm(dim=1), goal / W.norm()
    assert (distance >= shortest - 1e-6).all() and (distance <= 1.02 * shortest).all()
    along = torch.nn.functional.cosine_similarity((x_adv - x).flatten(1), W.flatten()[None])
    assert along.min() > 0.98


def test_a_nearer_goal_takes_a_smaller_perturbation():
    sizes = [
        (cw_l2(photos(), rise, **LONG, generators=keys(), threshold=goal, initial_c=0.01) - photos()).norm()
        for goal in (0.5, 1.0, 2.0)
    ]
    assert sizes[0] < sizes[1] < sizes[2]


def test_what_cannot_be_reached_within_the_box_is_approached_as_far_as_it_goes():
    x, eps = photos(), 0.02
    x_adv = cw_l2(x, rise, eps=eps, step=0.1, steps=60, generators=keys(), threshold=1e3, searches=4)
    assert (x_adv - x).abs().max() <= eps + 1e-6
    assert (rise(x_adv) > 0.9 * eps * W.abs().sum()).all()  # the best in the box, by signs


def test_images_of_one_batch_do_not_change_each_other():
    together = cw_l2(photos(), rise, **LONG, generators=keys(), threshold=1.0)
    alone = cw_l2(photos()[:1], rise, **LONG, generators=keys()[:1], threshold=1.0)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=1e-6)


def test_black_and_white_pixels_stay_finite_in_the_smallest_box():
    x = (torch.arange(256.0) / 255).repeat(3, 1).reshape(1, 3, 16, 16)
    for eps in (1 / 255, 0.0123, 0.3):
        x_adv = cw_l2(x, lambda x: x.flatten(1).sum(1), eps=eps, step=0.5, steps=9, generators=keys(1), threshold=1e3)
        assert x_adv.isfinite().all() and x_adv.min() >= 0 and x_adv.max() <= 1 and x_adv.sum() > x.sum()


@pytest.mark.parametrize("n", [9, 10])
def test_ten_searches_end_with_the_largest_c_that_may_be_needed(n):
    asked, goal = [], 1e6  # never reached: c grows tenfold, then jumps

    def objective(x):
        x.register_hook(lambda g: asked.append(g.norm().item()))
        return rise(x) + 0 * goal

    cw_l2(photos(1), objective, eps=1.0, step=1e-3, steps=1, generators=keys(1), threshold=goal, searches=n, start=0.0)
    growth = [b / a for a, b in zip(asked, asked[1:], strict=False)]
    assert growth[:8] == pytest.approx([10] * 8, rel=1e-3) and (n == 9 or growth[8] > 1e3)


def test_a_forgers_edit_is_disrupted_from_the_photo_on_with_little_change():
    x = photos()
    objective = away_from_output(lambda x, c: 2 * x, x, None)
    x_adv = cw_l2(x, objective, eps=1.0, step=0.02, steps=100, generators=keys(), initial_c=100.0)
    assert DISRUPTED == distances.DISRUPTED
    least = (DISRUPTED / 16 * x[0].numel()) ** 0.5  # L2 of 2x is 16 times the mean square of delta
    distance = (x_adv - x).flatten(1).norm(dim=1)
    assert (objective(x_adv) >= DISRUPTED).all() and (distance < 1.1 * least).all()
