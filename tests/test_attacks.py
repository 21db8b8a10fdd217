"""Every attack stays in its ball, reaches the known optimum, and treats each image as if it were alone."""

import pytest
import torch

from antidisrupt_lib.disruption.attacks import ATTACKS, EPS, STEP, STEPS, fgsm_as_published, mim, pgd, uniform_noise
from antidisrupt_lib.disruption.ball import SMALL_START
from antidisrupt_lib.disruption.objectives import away_from_output
from antidisrupt_lib.seeding import image_generators

PAPER = {"eps": EPS, "step": STEP, "steps": STEPS}
IN_THE_BALL = [attack for name, attack in ATTACKS.items() if name != "lab_chroma"] + [fgsm_as_published]


def photos(n: int = 4, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return low + (high - low) * torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def keys(n: int) -> list[torch.Generator]:
    return image_generators(0, "attack", range(n))


def linear(w: torch.Tensor):
    return lambda x: (w * x).flatten(1).sum(1)


W = torch.randn(3, 16, 16, generator=torch.Generator().manual_seed(3))


def curved(x: torch.Tensor) -> torch.Tensor:
    return (torch.sin(40 * x) * W + (9 * x * W).cos()).flatten(1).sum(1)


@pytest.mark.parametrize("attack", IN_THE_BALL)
@pytest.mark.parametrize("eps", [0.004, 0.025, 0.3])
def test_an_attack_stays_inside_its_ball_and_the_image_range(attack, eps):
    x = photos().round(decimals=1)  # with many pixels at 0 and 1
    x_adv = attack(x, curved, eps=eps, step=0.01, steps=5, generators=keys(4))
    assert (x_adv - x).abs().max() <= eps + 1e-6 and x_adv.min() >= 0 and x_adv.max() <= 1
    assert not torch.equal(x_adv, x) and not x_adv.requires_grad


@pytest.mark.parametrize(
    ("name", "tolerance"), [("fgsm", SMALL_START), ("bim", 1e-6), ("mim", 1e-6), ("pgd", 1e-6), ("apgd", 1e-6)]
)
def test_a_linear_objective_is_solved_in_closed_form(name, tolerance):
    x, long_enough = photos(low=0.1, high=0.9), {"eps": EPS, "step": STEP, "steps": 12}
    x_adv = ATTACKS[name](x, linear(W), **long_enough, generators=keys(4))
    torch.testing.assert_close(x_adv, x + EPS * W.sign(), rtol=0, atol=tolerance + 1e-7)


def test_fgsm_as_published_moves_by_its_step_and_not_by_eps():
    x = photos(low=0.1, high=0.9)
    x_adv = fgsm_as_published(x, linear(W), **PAPER, generators=keys(4))
    moved = (x_adv - x) * W.sign()
    assert moved.max() <= STEP + SMALL_START + 1e-6 and moved.min() >= STEP - SMALL_START - 1e-6
    assert 2 * moved.max() <= 0.011 + 1e-6  # protocol 1.5, in [-1, 1] units


def test_mim_accumulates_gradients_normalised_by_their_l1_norm():
    x, eps, step = photos(3, 0.1, 0.9), 0.03, 0.004
    expected = torch.stack([x[i] + _start(x, i) for i in range(3)])
    for i in range(3):  # image by image, Dong et al. 2018, algorithm 1 with mu = 1
        m = torch.zeros_like(x[i])
        for _ in range(6):
            here = expected[i].clone().requires_grad_()
            (g,) = torch.autograd.grad(curved(here[None]).sum(), here)
            m = m + g / g.abs().sum()
            expected[i] = (expected[i] + step * m.sign()).clamp(x[i] - eps, x[i] + eps).clamp(0, 1)
    found = mim(x, curved, eps=eps, step=step, steps=6, generators=keys(3))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    without = ATTACKS["bim"](x, curved, eps=eps, step=step, steps=6, generators=keys(3))
    assert (found - without).abs().max() > step


def _start(x: torch.Tensor, i: int) -> torch.Tensor:
    return SMALL_START * (2 * torch.rand(x.shape[1:], generator=keys(len(x))[i]) - 1)


def test_ten_steps_of_pgd_beat_one(forge):
    x, c = photos(), torch.ones(4, 5)
    for objective in (curved, away_from_output(forge, x, c)):
        one, ten = (
            objective(pgd(x, objective, eps=EPS, step=STEP, steps=steps, generators=keys(4))) for steps in (1, 10)
        )
        assert (ten > one).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_an_image_is_attacked_the_same_in_whatever_batch_it_is(name, forge):
    x, c, attack = photos(), torch.ones(4, 5), ATTACKS[name]
    together = attack(x, curved, **PAPER, generators=keys(4))
    assert torch.equal(attack(x[2:3], curved, **PAPER, generators=keys(4)[2:3]), together[2:3])
    alone = attack(x[2:3], away_from_output(forge, x[2:3], c[2:3]), **PAPER, generators=keys(4)[2:3])
    together = attack(x, away_from_output(forge, x, c), **PAPER, generators=keys(4))
    same = (alone - together[2:3]).abs() < 1e-5  # gradients next to 0 may change sign with rounding
    assert same.float().mean() > 0.99


@pytest.mark.parametrize("bad", [{"eps": 0}, {"eps": -0.1}, {"step": 0}, {"steps": 0}])
def test_an_attack_that_cannot_move_is_refused(bad):
    with pytest.raises(ValueError, match="must be positive"):
        pgd(photos(), curved, **PAPER | bad, generators=keys(4))


def test_images_outside_0_and_1_are_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\]; these reach from -1 to 1"):
        pgd(2 * photos().round() - 1, curved, **PAPER, generators=keys(4))


def test_uniform_noise_is_as_large_as_an_attack_may_be_and_asks_nothing():
    x = photos(low=0.1, high=0.9)
    moved = uniform_noise(x, None, **PAPER, generators=keys(4)) - x
    assert moved.abs().max() <= EPS + 1e-6 and abs(moved.abs().mean() - EPS / 2) < 1e-3 and abs(moved.mean()) < 1e-3
