"""The attacks of those who know a purifier: from a given start, in coarse patterns, without gradients."""

import pytest
import torch
from scipy.fft import dctn

from antidisrupt_lib.disruption.ascent import ascend, low_frequency, low_pass
from antidisrupt_lib.disruption.attacks import ATTACKS, pgd
from antidisrupt_lib.disruption.objectives import in_turn
from antidisrupt_lib.disruption.square import share_covered, square
from antidisrupt_lib.seeding import image_generators

EPS = 0.05


def photos(n: int = 3, side: int = 16) -> torch.Tensor:
    return 0.2 + 0.6 * torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(1))


def slope(x: torch.Tensor) -> torch.Tensor:
    """A loss whose steepest direction has all frequencies."""
    w = torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(2))
    return (x * w).flatten(1).sum(1)


def run(attack, objective=slope, x=None, steps: int = 20, **how):
    x = photos() if x is None else x
    keys = image_generators(0, "strong", range(len(x)))
    return attack(x, objective, eps=EPS, step=0.25 * EPS, steps=steps, generators=keys, **how)


@pytest.mark.parametrize("attack", [low_frequency, square, lambda x, goal, **how: ascend(x, goal, start=x + 1, **how)])
def test_attacks_stay_in_the_ball_and_raise_the_loss(attack):
    x = photos()
    x_adv = run(attack, x=x)
    assert (x_adv - x).abs().max() <= EPS + 1e-6 and x_adv.min() >= 0 and x_adv.max() <= 1
    assert (slope(x_adv) > slope(x)).all()


def test_a_low_frequency_attack_has_its_energy_in_low_frequencies():
    x = photos()
    energy = dctn((run(low_frequency) - x).double().numpy(), axes=(2, 3), norm="ortho") ** 2
    assert energy[:, :, :4, :4].sum() > 0.999 * energy.sum()
    fine = dctn((run(pgd) - x).double().numpy(), axes=(2, 3), norm="ortho") ** 2
    assert fine[:, :, :4, :4].sum() < 0.2 * fine.sum()


def test_the_low_pass_is_a_projection_and_keeps_a_plane():
    x = photos(side=12)
    torch.testing.assert_close(low_pass(low_pass(x)), low_pass(x), atol=1e-5, rtol=0)
    plane = torch.full((1, 3, 12, 8), 0.3)
    torch.testing.assert_close(low_pass(plane, 0.1), plane, atol=1e-6, rtol=0)


def test_an_ascent_begins_where_it_is_told_and_never_ends_below_on_a_slope():
    x, start = photos(), run(pgd, steps=3)
    assert (slope(run(ascend, start=start, steps=1, x=x)) >= slope(start)).all()
    torch.testing.assert_close(run(ascend, start=start, steps=50), x + EPS * (run(pgd, steps=50) - x).sign())


def test_square_asks_for_no_gradient_and_finds_a_coarse_slope_that_noise_does_not():
    def coarse(x):
        assert not torch.is_grad_enabled()
        return x[:, :, :8].mean((1, 2, 3)) - x[:, :, 8:].mean((1, 2, 3))

    x = photos()
    found, noise = run(square, coarse, x, steps=300), run(ATTACKS["uniform_noise"], coarse, x)
    with torch.no_grad():
        gain, by_noise = (coarse(each) - coarse(x) for each in (found, noise))
    assert gain.min() > 0.6 * EPS and by_noise.max() < 0.1 * EPS  # the best there is: 2 EPS


def test_squares_shrink_as_published_and_a_changing_objective_is_refused():
    assert [share_covered(k, 10_000) for k in (0, 9, 10, 50, 8000)] == [0.8, 0.8, 0.4, 0.2, 0.8 / 512]
    with pytest.raises(ValueError, match="Square compares losses"):
        run(square, in_turn([slope, slope]))


def test_both_can_be_called_by_name():
    assert ATTACKS["low_frequency"] is low_frequency and ATTACKS["square"] is square
