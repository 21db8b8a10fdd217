"""At the edges of an attack nothing is changed in silence: sizes, images and objectives are taken or refused."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from antidisrupt_lib.detection.attack import attack_detector, parse_attack
from antidisrupt_lib.disruption.attacks import ATTACKS, pgd
from antidisrupt_lib.disruption.ball import nearest_in_ball, whole_levels
from antidisrupt_lib.disruption.disrupt import disrupt, make_universal, write_disrupted
from antidisrupt_lib.disruption.universal import universal_perturbation
from antidisrupt_lib.seeding import generator, image_generators

HOW = {"eps": 0.03, "step": 0.01, "steps": 3}
ASKING = [name for name in ATTACKS if name != "uniform_noise"]
ASCENDING = [name for name in ASKING if name != "square"]  # which asks for no gradient
C = torch.tensor([[0.0, 1, 0, 1, 1]])


def photos(n: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(2)) / 255


def keys(n: int = 2) -> list[torch.Generator]:
    return image_generators(0, "edges", range(n))


def curved(x: torch.Tensor) -> torch.Tensor:
    return (9 * x).sin().flatten(1).sum(1)


def darker(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return x.square()


# Sizes


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("name", ["eps", "step"])
@pytest.mark.parametrize("value", [0, 0.0, -0.01, math.nan, math.inf, True, "0.03", None, torch.tensor(0.03)], ids=repr)
def test_an_eps_or_step_that_is_no_positive_number(name, value):
    with pytest.raises(ValueError, match=rf"{name} must be a number|{name} .*must be positive"):
        pgd(photos(), curved, **HOW | {name: value}, generators=keys())


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("steps", [0, -1, 2.0, math.nan, math.inf, True, "3", None], ids=repr)
def test_steps_that_are_no_positive_whole_number(steps):
    with pytest.raises(ValueError, match="steps must be a whole number|steps .*must be positive"):
        pgd(photos(), curved, **HOW | {"steps": steps}, generators=keys())
    with pytest.raises(ValueError, match="steps must be a whole number|steps .*must be positive"):
        attack_detector(photos(), curved, parse_attack("pgd_2_255"), steps=steps, generators=keys())


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize(("eps", "meant"), [(8, "8/255 = 0.031373"), (2.5, "2.5/255"), (1.01, "1.01/255")])
def test_an_eps_in_grey_levels(eps, meant):
    with pytest.raises(ValueError, match=f"above 1. Did you mean {meant}"):
        pgd(photos(), curved, **HOW | {"eps": eps}, generators=keys())


@pytest.mark.kind("attack edges", "read")
@pytest.mark.parametrize("number", [np.float32, np.float64, float], ids=lambda kind: kind.__name__)
def test_sizes_as_numpys_numbers(number):
    how = {"eps": number(0.03), "step": number(0.01), "steps": np.int64(3)}
    torch.testing.assert_close(
        pgd(photos(), curved, **how, generators=keys()), pgd(photos(), curved, **HOW, generators=keys())
    )


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("attack", ["fgsm", "pgd", "apgd", "uniform_noise"])
@pytest.mark.parametrize(
    ("eps", "hint"), [(0.0039, "People write 0.0039 for 1/255: give 0.00393"), (0.001, "Give 0.00393")]
)
def test_an_eps_below_one_8_bit_level(attack, eps, hint, faces, tmp_path):
    how = {"attack": attack, "eps": eps, "step": eps / 2, "steps": 3}
    with pytest.raises(ValueError, match=f"less than one 8-bit level, 1/255 = 0.00392157.*{hint}"):
        disrupt(photos(), C.repeat(2, 1), darker, **how, generators=keys())
    with pytest.raises(ValueError, match=hint):
        write_disrupted(tmp_path / "a", faces, darker, **how, seed=0)
    with pytest.raises(ValueError, match=hint):
        make_universal(faces, darker, eps=eps, step=eps / 2, steps=3, seed=0)
    assert not list(tmp_path.iterdir())


@pytest.mark.kind("attack edges", "read")
@pytest.mark.parametrize("eps", [1 / 255, 0.00393, 0.00392], ids=str)
def test_an_eps_of_one_8_bit_level_moves_by_one_level(eps):
    x = photos()
    moved = 255 * (
        disrupt(x, C.repeat(2, 1), darker, attack="pgd", eps=eps, step=eps / 2, steps=5, generators=keys()) - x
    )
    assert 0.5 < moved.abs().max() < 1.001 and (moved - moved.round()).abs().max() < 1e-3


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize(
    ("how", "text"),
    [({"step": 0.5}, r"step 0.5 leaves the ball of eps 0.03 at once"), ({"step": 0.076}, "at most 2.5 eps = 0.075"),
     ({"step": 1e-6}, "3 steps of 1e-06 move no value by half an 8-bit level"), ({"step": 0.0019, "steps": 1}, "half")],
)  # fmt: skip
def test_a_step_that_leaves_the_ball_or_is_lost_in_rounding(how, text):
    given = {"attack": "pgd"} | HOW | how
    with pytest.raises(ValueError, match=f"{text}.*attack.own_step = True"):
        disrupt(photos(), C.repeat(2, 1), darker, **given, generators=keys())


@pytest.mark.kind("attack edges", "read")
@pytest.mark.parametrize(
    ("attack", "how"),
    [("pgd", {"step": 0.075, "steps": 1}), ("pgd", {"step": 0.002, "steps": 1}), ("fgsm", {"step": 1}),
     ("apgd", {"step": 1e-6}), ("uniform_noise", {"step": 1e-6}),
     ("lab_chroma", {"eps": 0.002, "step": 4.3e-5}), ("cw_l2", {"eps": 0.001})],
)  # fmt: skip
def test_sizes_at_the_limit_and_those_of_attacks_with_a_step_or_ball_of_their_own(attack, how):
    found = disrupt(photos(), C.repeat(2, 1), darker, attack=attack, **HOW | how, generators=keys())
    assert found.shape == (2, 3, 8, 8) and found.isfinite().all()


# Rounding


@pytest.mark.kind("attack edges", "inside the ball")
@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    eps=st.one_of(st.floats(1 / 255, 1), st.integers(1, 255).map(lambda k: k / 255), st.just(0.00392)),
    x=st.one_of(st.sampled_from([0.0, 1.0]), st.integers(0, 255).map(lambda k: k / 255), st.floats(0, 1)),
    toward=st.one_of(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-2, 2)),
)
def test_rounding_to_8_bits_stays_in_the_ball_at_any_eps_and_photo(eps, x, toward):
    photo = torch.full((1, 3, 2, 2), x)
    moved = (photo + toward * eps).clamp(0, 1)
    found = nearest_in_ball(moved, photo, eps)
    assert (255 * found - (255 * found).round()).abs().max() < 1e-3 and found.min() >= 0 and found.max() <= 1
    assert (found - photo).abs().max() <= eps + 5e-6  # 1e-3 of a level: float32's 1/255, and people's 0.00392
    levels = torch.arange(256) / 255  # by hand: of all levels in the ball, none is nearer
    inside = levels[(levels - photo[0, 0, 0, 0]).abs() <= eps - 5e-6]
    wished = moved[0, 0, 0, 0].clamp(x - eps, x + eps)
    if len(inside):
        assert (found[0, 0, 0, 0] - wished).abs() <= (inside - wished).abs().min() + 1e-5


@pytest.mark.kind("attack edges", "inside the ball")
@settings(deadline=None, max_examples=12, derandomize=True)
@given(levels=st.integers(1, 40), between=st.floats(0, 0.99), attack=st.sampled_from(["fgsm", "pgd", "mim", "apgd"]))
def test_a_disrupted_photo_is_in_8_bits_inside_the_ball(levels, between, attack):
    eps = (levels + between) / 255
    x = torch.cat([photos(), torch.zeros(1, 3, 8, 8), torch.ones(1, 3, 8, 8)])
    how = {"attack": attack, "eps": eps, "step": eps / 2, "steps": 3}
    moved = 255 * (disrupt(x, C.repeat(4, 1), darker, **how, generators=keys(4)) - x)
    assert (moved - moved.round()).abs().max() < 1e-2 and moved.abs().max() <= whole_levels(eps) + 1e-2


# Images


@pytest.mark.kind("attack edges", "read")
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("off", [-2.9802e-08, -9e-5, 9e-5], ids=str)
def test_photos_a_rounding_error_outside_0_and_1(attack, off):
    x = photos().round()
    there = x + off * (x == (off > 0))
    expected = ATTACKS[attack](x, curved, **HOW, generators=keys())
    assert torch.equal(ATTACKS[attack](there, curved, **HOW, generators=keys()), expected)
    assert expected.min() >= 0 and expected.max() <= 1


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (photos() - 2e-4, r"reach from -0.0002 to"),
        (photos() * 1.001, "to 1.001"),
        (2 * photos() - 1, r"Give x / 2 \+ 0.5 of images in \[-1, 1\]"),
        (255 * photos(), "x / 255 of 8-bit ones"),
        ((255 * photos()).byte(), r"these are uint8. Give x.float\(\) / 255"),
        ((255 * photos()).long(), "these are int64"),
        (photos().double(), r"these are float64. Give x.float\(\)"),
        (photos().half(), "these are float16"),
        (photos() > 0.5, "these are bool"),
        (photos().permute(0, 2, 3, 1), r"\(2, 8, 8, 3\), channels last. Give x.permute\(0, 3, 1, 2\)"),
        (photos()[0], r"a single image, \(3, 8, 8\). Give a batch: x\[None\]"),
        (photos()[:, :1], r"these are \(2, 1, 8, 8\)"),
        (photos()[:0], r"there are none: \(0, 3, 8, 8\)"),
        (photos()[None], r"these are \(1, 2, 3, 8, 8\)"),
        (photos().numpy(), "this is a ndarray"),
        (photos().index_fill(2, torch.tensor(5), math.nan), "image 0 has nan in channel 0, row 5, column 0"),
        (photos().index_fill(0, torch.tensor(1), math.inf), "image 1 has inf in channel 0, row 0, column 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_are_no_images(x, text):
    for attack in ("pgd", "lab_chroma", "cw_l2", "uniform_noise"):
        with pytest.raises(ValueError, match=text):
            ATTACKS[attack](x, curved, **HOW, generators=keys())
    with pytest.raises(ValueError, match=text):
        attack_detector(x, curved, parse_attack("pgd_2_255"), steps=2, generators=keys())
    with pytest.raises(ValueError, match=text):
        universal_perturbation([x], [curved], **HOW, generator=generator(0))


@pytest.mark.kind("attack edges", "read")
@pytest.mark.parametrize("attack", ATTACKS)
def test_views_photos_with_gradients_and_calls_without_make_no_difference(attack):
    x = photos()
    expected = ATTACKS[attack](x, curved, **HOW, generators=keys())
    view = x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
    asked = x.clone().requires_grad_()
    with torch.no_grad():
        without = ATTACKS[attack](x, curved, **HOW, generators=keys())
    for found in (without, *(ATTACKS[attack](one, curved, **HOW, generators=keys()) for one in (view, asked))):
        assert torch.equal(found, expected) and not found.requires_grad
    assert asked.grad is None and torch.equal(x, photos())


# Objectives


def scalar_loss(x: torch.Tensor) -> torch.Tensor:
    return x.sum()


def column_loss(x: torch.Tensor) -> torch.Tensor:
    return curved(x)[:, None]


def nan_loss(x: torch.Tensor) -> torch.Tensor:
    return curved(x) * torch.tensor([1.0, math.nan])


def constant_loss(x: torch.Tensor) -> torch.Tensor:
    return torch.ones(len(x))


def detached_loss(x: torch.Tensor) -> torch.Tensor:
    return curved(x.detach())


def number_loss(x: torch.Tensor) -> float:
    return curved(x).sum().item()


class Squares:
    """An objective that is an object."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return x.square().sum()


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("attack", ASKING)
@pytest.mark.parametrize(
    ("objective", "text"),
    [(scalar_loss, r"scalar_loss gives \(\) for 2 images; it must give one loss per image, \(2,\)"),
     (column_loss, r"column_loss gives \(2, 1\) for 2 images"), (nan_loss, "nan_loss is nan for image 1"),
     (number_loss, "number_loss gives a float"), (Squares(), r"Squares gives \(\)")],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_an_objective_that_gives_no_loss_per_image_by_its_name(attack, objective, text):
    with pytest.raises(ValueError, match=f"The objective {text}"):
        ATTACKS[attack](photos(), objective, **HOW, generators=keys())


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("attack", ASCENDING)
@pytest.mark.parametrize("objective", [constant_loss, detached_loss])
def test_an_objective_that_does_not_hang_on_the_photos(attack, objective):
    with pytest.raises(ValueError, match=f"The objective {objective.__name__} doesn't hang on x"):
        ATTACKS[attack](photos(), objective, **HOW, generators=keys())


@pytest.mark.kind("attack edges", "refused")
def test_an_objective_whose_gradient_is_not_finite():
    def root(x: torch.Tensor) -> torch.Tensor:
        return (x - x.detach()).flatten(1).sum(1).abs().sqrt()

    with pytest.raises(ValueError, match="root has no finite gradient at image 0"):
        pgd(photos(), root, **HOW, generators=keys())


@pytest.mark.kind("attack edges", "refused")
@pytest.mark.parametrize("result", ["nan", "smaller", "double", "outside"])
def test_an_attack_of_ones_own_that_gives_no_photos_by_its_name(result, faces, tmp_path):
    def mine(x, objective, **how):
        broken = {"nan": x * math.nan, "smaller": x[:, :, 1:], "double": x.double(), "outside": x + 1}
        return broken[result]

    with pytest.raises(ValueError, match="What mine makes of photos"):
        write_disrupted(tmp_path / "a", faces, darker, attack=mine, **HOW, seed=0)
    assert not list(tmp_path.iterdir())
