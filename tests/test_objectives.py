"""Objectives measure the papers' L2 through transforms, and combine in turn or jointly."""

from itertools import product

import pytest
import torch
from torch import nn

from antidisrupt_lib.deepfakes.stargan import Generator, layer_outputs
from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.disruption.disrupt import choose_conditions, diagonally, make_objective
from antidisrupt_lib.disruption.objectives import away_from_output, in_turn, jointly, towards_target

C = torch.tensor([[0.0, 1, 0, 1, 1], [1, 0, 0, 0, 1]])


def photos(n: int = 2, seed: int = 2) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def mean_square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return ((2 * a - 2 * b) ** 2).mean((1, 2, 3))


def linear_forge(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return x * (1 + c @ torch.arange(1.0, 6))[:, None, None, None] / 20 + 0.1


def darker(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x


def test_the_objectives_measure_the_papers_l2():
    x, x_adv = photos(), photos(seed=3)
    y, y_adv = linear_forge(x, C), linear_forge(x_adv, C)
    torch.testing.assert_close(away_from_output(linear_forge, x, C)(x_adv), mean_square(y_adv, y))
    torch.testing.assert_close(towards_target(linear_forge, x, C)(x_adv), -mean_square(y_adv, x))
    levels = {"grey": torch.full_like(x, 0.5), "black": torch.zeros_like(x), "white": torch.ones_like(x), "identity": x}
    for name, target in levels.items():
        found = make_objective(name, linear_forge, x, C, conditioning="own")(x_adv)
        torch.testing.assert_close(found, -mean_square(y_adv, target))


def test_a_transform_changes_what_the_forger_sees_but_not_the_clean_reference():
    x, x_adv = photos(), photos(seed=3)
    seen, y = linear_forge(darker(x_adv), C), linear_forge(x, C)
    torch.testing.assert_close(away_from_output(linear_forge, x, C, darker)(x_adv), mean_square(seen, y))
    torch.testing.assert_close(towards_target(linear_forge, 0.5, C, darker)(x_adv), -mean_square(seen, y * 0 + 0.5))


def test_in_turn_cycles_and_jointly_gives_the_mean_gradient():
    x, goals = photos(), [away_from_output(linear_forge, photos(seed=4), c) for c in (C, 1 - C, C * 0)]
    turns = in_turn(goals)
    for goal in goals + goals[:2]:
        assert torch.equal(turns(x), goal(x))

    def gradient(goal):
        here = x.clone().requires_grad_()
        return torch.autograd.grad(goal(here).sum(), here)[0]

    torch.testing.assert_close(gradient(jointly(goals)), torch.stack([gradient(goal) for goal in goals]).mean(0))


def test_conditionings_are_the_own_labels_all_five_translations_or_one_by_name():
    assert torch.equal(choose_conditions(C, "own")[0], C)
    assert torch.equal(torch.stack(choose_conditions(C, "jointly")), translations(C))
    assert torch.equal(torch.stack(choose_conditions(C, "Male")), translations(C)[3:4])
    with pytest.raises(ValueError, match="no conditioning 'all'. Choose from: own, in_turn, jointly, Black_Hair"):
        make_objective("away", lambda x, c: x, torch.ones(2, 3, 4, 4), C, conditioning="all")


class Recorder:
    """A forger that notes the brightness and the labels it is given."""

    def __init__(self) -> None:
        self.seen = []

    def __call__(self, x, c):
        self.seen.append((x.mean().item(), c.tolist()))
        return x


def seen_in(calls: int, **how) -> list[tuple[int, int]]:
    """(translation, transform) of every look at a white photo, transforms being its brightness 1, 1/2, 1/4."""
    forge, x = Recorder(), torch.ones(1, 3, 4, 4)
    goal = make_objective("grey", forge, x, C[:1], transforms=[lambda x, s=s: x / 2**s for s in range(3)], **how)
    for _ in range(calls):
        goal(x)
    five = translations(C[:1]).tolist()
    return [(five.index(labels), {1.0: 0, 0.5: 1, 0.25: 2}[level]) for level, labels in forge.seen]


def test_conditions_and_transforms_combine_in_turn_and_jointly():
    conditions = [0, 1, 2, 3, 4]
    in_both = seen_in(15, conditioning="in_turn")
    assert in_both[:4] == [(0, 0), (1, 1), (2, 2), (3, 0)] and set(in_both) == set(product(conditions, range(3)))
    assert seen_in(2, conditioning="in_turn", expectation=True) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert seen_in(2, conditioning="jointly") == [(c, 0) for c in conditions] + [(c, 1) for c in conditions]
    assert len(seen_in(1, conditioning="jointly", expectation=True)) == 15


@pytest.mark.parametrize(("rows", "columns"), [(5, 9), (5, 5), (4, 6), (1, 3), (3, 1)])
def test_going_diagonally_meets_every_pair_once_and_all_of_both_early(rows, columns):
    path = diagonally([[(r, c) for c in range(columns)] for r in range(rows)])
    assert sorted(path) == list(product(range(rows), range(columns)))
    assert len({c for _, c in path[:columns]}) == columns and len({r for r, _ in path[:rows]}) == rows


def test_a_layers_output_is_that_of_the_forward_pass_up_to_it():
    torch.manual_seed(0)
    generator, x = Generator(conv_dim=4, blocks=2), photos()
    maps = C[:, :, None, None].expand(-1, -1, 16, 16)
    h = torch.cat([2 * x - 1, maps], dim=1)
    for i, module in enumerate(generator.main):
        h = (nn.functional.relu if isinstance(module, nn.ReLU) else module)(h)  # norms before a ReLU in place, too
        torch.testing.assert_close(layer_outputs(generator, f"main.{i}")(x, C), h)
    assert not any(module._forward_hooks for module in generator.modules())
    with pytest.raises(ValueError, match="no layer 'main.99'. It has: main, main.0, main.1"):
        layer_outputs(generator, "main.99")


def test_features_can_be_pushed_away_but_not_towards_an_image():
    torch.manual_seed(0)
    features, x = layer_outputs(Generator(conv_dim=4, blocks=1), "main.9.main.0"), photos()
    x_adv = (x + 0.01).requires_grad_()
    loss = make_objective("away", features, x, C)(x_adv)
    assert loss.shape == (2,) and torch.autograd.grad(loss.sum(), x_adv)[0].abs().amax((1, 2, 3)).min() > 0
    for name in ("grey", "identity"):
        with pytest.raises(ValueError, match="can only be pushed away from the clean ones"):
            make_objective(name, features, x, C)(x_adv)
