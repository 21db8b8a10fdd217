"""APGD follows Croce & Hein 2020: its checkpoints, its step sizes, and a best loss that never falls."""

import torch

from antidisrupt_lib.disruption.apgd import apgd, checkpoint_steps
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.seeding import image_generators

EPS = 0.03


def photos(n: int = 4) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(2))


def run(attack, objective, steps, x=None):
    x = photos() if x is None else x
    return attack(
        x, objective, eps=EPS, step=0.25 * EPS, steps=steps, generators=image_generators(0, "a", range(len(x)))
    )


def rugged(x: torch.Tensor) -> torch.Tensor:
    w = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    return (torch.sin(400 * x * w) + 3 * w * x).flatten(1).sum(1)


class Noted:
    """An objective that notes where it is asked and what it answers."""

    def __init__(self, objective) -> None:
        self.objective, self.asked, self.losses = objective, [], []

    def __call__(self, x):
        self.asked.append(x.detach().clone())
        self.losses.append(self.objective(x))
        return self.losses[-1]


def test_checkpoints_are_those_of_the_paper():
    assert checkpoint_steps(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoint_steps(10) == [3, 5, 6, 7, 8, 9, 10] and checkpoint_steps(1) == [1]


def test_the_best_iterate_is_returned_and_its_loss_never_falls_with_more_steps():
    goal = Noted(rugged)
    found = run(apgd, goal, 25)
    assert len(goal.losses) == 26
    torch.testing.assert_close(rugged(found), torch.stack(goal.losses).amax(0), rtol=0, atol=0)
    assert (rugged(found) > rugged(run(pgd, rugged, 25))).float().mean() >= 0.75


def test_the_first_step_is_as_long_as_the_ball_is_wide_and_the_next_keep_momentum():
    w = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(3))
    goal, x = Noted(lambda x: (w * x).flatten(1).sum(1)), photos()
    run(apgd, goal, 2)
    torch.testing.assert_close(goal.asked[1], x + EPS * w.sign())
    corner, start = goal.asked[1], goal.asked[0]
    expected = (corner + 0.25 * (corner - start)).clamp(x - EPS, x + EPS)
    torch.testing.assert_close(goal.asked[2], expected)


def test_an_image_that_stops_rising_goes_back_to_its_best_point_with_half_the_step():
    peak = photos() + 0.1 * EPS  # a step of 2 eps jumps over it, to and fro
    goal = Noted(lambda x: -(x - peak).abs().flatten(1).sum(1))
    run(apgd, goal, 50)
    after = checkpoint_steps(50)[0]
    best = torch.stack(goal.losses[: after + 1]).argmax(0)
    back = torch.stack([goal.asked[k][i] for i, k in enumerate(best.tolist())])
    z = (back + EPS * (peak - back).sign()).clamp(photos() - EPS, photos() + EPS)
    expected = back + 0.75 * (z - back) + 0.25 * (back - goal.asked[after - 1])  # x_(k-1) stays
    torch.testing.assert_close(goal.asked[after + 1], expected.clamp(photos() - EPS, photos() + EPS))
    assert (goal.objective(goal.asked[-1]) > goal.losses[0]).all()


def test_every_image_has_a_step_size_of_its_own():
    flat_or_steep = torch.tensor([0.0, 1.0])
    goal = lambda x: (x - photos(2)).flatten(1).sum(1) * flat_or_steep[: len(x)]  # noqa: E731
    together = run(apgd, goal, 20, photos(2))
    alone = apgd(
        photos(2)[1:], lambda x: (x - photos(2)[1:]).flatten(1).sum(1), eps=EPS, step=1, steps=20,
        generators=image_generators(0, "a", [1]),
    )  # fmt: skip
    assert torch.equal(together[1:], alone)
