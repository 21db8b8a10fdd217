"""Lab chroma converts as scikit-image does, moves a and b only, and ascends."""

import numpy as np
import pytest
import torch
from skimage import color

from antidisrupt_lib.disruption.chroma import WIDTH, lab_chroma, lab_to_rgb, rgb_to_lab
from antidisrupt_lib.disruption.objectives import away_from_output
from antidisrupt_lib.seeding import image_generators


def photos(n: int = 3, low: float = 0.0, high: float = 1.0) -> torch.Tensor:
    return low + (high - low) * torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def keys(n: int = 3) -> list[torch.Generator]:
    return image_generators(0, "chroma", range(n))


def test_conversions_agree_with_scikit_image_and_invert_each_other():
    x = torch.cat([photos(), torch.zeros(1, 3, 16, 16), torch.ones(1, 3, 16, 16), 0.02 * photos(1)])
    lab = rgb_to_lab(x)
    expected = color.rgb2lab(x.permute(0, 2, 3, 1).double().numpy())
    np.testing.assert_allclose(lab.permute(0, 2, 3, 1).numpy(), expected, atol=2e-3)
    back = color.lab2rgb(lab.permute(0, 2, 3, 1).double().numpy())
    np.testing.assert_allclose(lab_to_rgb(lab).permute(0, 2, 3, 1).numpy(), back, atol=1e-4)
    torch.testing.assert_close(lab_to_rgb(lab), x, rtol=0, atol=1e-4)


def test_gradients_are_right_and_finite_at_black_and_white():
    x = photos(1, 0.1, 0.9)[:, :, :2, :2].double().requires_grad_()
    assert torch.autograd.gradcheck(rgb_to_lab, x, atol=1e-3)
    assert torch.autograd.gradcheck(lambda x: lab_to_rgb(rgb_to_lab(x)), x, atol=1e-3)
    for level in (0.0, 1.0):
        lab = rgb_to_lab(torch.full((1, 3, 2, 2), level)).requires_grad_()
        assert torch.autograd.grad(lab_to_rgb(lab).sum(), lab)[0].isfinite().all()


@pytest.mark.parametrize("eps", [0.005, 0.025])
def test_lightness_stays_and_the_colours_stay_within_eps(eps):
    x = photos(low=0.35, high=0.6)  # far from the border of sRGB
    objective = lambda x: (x * torch.tensor([1.0, -2, 1])[:, None, None]).flatten(1).sum(1)  # noqa: E731
    x_adv = lab_chroma(x, objective, eps=eps, step=eps / 5, steps=12, generators=keys())
    moved = rgb_to_lab(x_adv) - rgb_to_lab(x)
    assert moved[:, 0].abs().max() < 1e-2 and moved[:, 1:].abs().max() <= WIDTH * eps + 1e-2
    assert moved[:, 1].min() > WIDTH * eps - 1e-2  # less green, more red: a rises to its bound
    assert (objective(x_adv) > objective(x)).all() and x_adv.min() >= 0 and x_adv.max() <= 1


def test_it_leaves_the_flat_start_of_away_from_output_and_stays_in_srgb():
    x = photos().round()  # the corners of the colour cube
    objective = away_from_output(lambda x, c: x, x, None)
    x_adv = lab_chroma(x, objective, eps=0.05, step=0.005, steps=10, generators=keys())
    assert (objective(x_adv) > 1e-4).all() and x_adv.min() >= 0 and x_adv.max() <= 1
