"""The filters are those of SciPy, scikit-image and Pillow; the soft JPEG is near the real one and has a gradient."""

import re
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio
from skimage.restoration import denoise_tv_chambolle

from antidisrupt_lib.faces.faceset import to_uint8
from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.faces.sketch import draw
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.everyday import Crop, NoisyBicubic, Rescale
from antidisrupt_lib.purification.filters import (
    AverageBlur,
    BitDepth,
    GaussianBlur,
    Jpeg,
    MedianBlur,
    TotalVariation,
    soft_jpeg,
)
from antidisrupt_lib.purification.purify import UNTRAINED, load_purifier
from antidisrupt_lib.seeding import generator, image_generators

FILTERS = [name for name in UNTRAINED if not name.startswith(("deep_image_prior", "noisy"))]


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Three drawn faces of 64 px, whose edges and surfaces are those that filters meet."""
    faces = [draw(sample_look(0, i, 0)).resize((64, 64), Image.Resampling.LANCZOS) for i in range(3)]
    return torch.from_numpy(np.stack([np.asarray(face) for face in faces])).permute(0, 3, 1, 2).float() / 255


def pillow_jpeg(image: torch.Tensor, quality: int) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(to_uint8(image[None])[0]).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).transpose(2, 0, 1) / np.float32(255)


def pillow_bicubic(image: np.ndarray, size: int) -> np.ndarray:
    planes = [Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC) for plane in image]
    return np.stack([np.asarray(plane) for plane in planes]).clip(0, 1 if size == 64 else None)


OTHERS = {  # the same filter of one image C x H x W by another library; "mirror" is what torch calls reflect
    GaussianBlur(1.2): lambda x: ndimage.gaussian_filter(x, (0, 1.2, 1.2), mode="mirror", radius=(0, 5, 5)),
    AverageBlur(5): lambda x: ndimage.uniform_filter(x, (0, 5, 5), mode="mirror"),
    MedianBlur(5): lambda x: ndimage.median_filter(x, (1, 5, 5), mode="mirror"),
    TotalVariation(0.2): lambda x: denoise_tv_chambolle(x, 0.2, channel_axis=0),
    BitDepth(3): lambda x: np.rint(x * 7) / 7,
    Jpeg(60): lambda x: pillow_jpeg(torch.from_numpy(x), 60),
    Rescale(2.0): lambda x: pillow_bicubic(pillow_bicubic(x, 32), 64),
    Crop(4): lambda x: pillow_bicubic(x[:, 4:-4, 4:-4], 64),
}


@pytest.mark.parametrize(("purify", "other"), OTHERS.items(), ids=lambda value: type(value).__name__)
def test_a_filter_is_that_of_other_libraries(purify, other, x):
    expected = np.stack([other(image) for image in x.numpy()])
    assert np.abs(purify(x, []).numpy() - expected).max() < 1e-5


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_needs_no_folder_no_network_and_no_luck(name, x):
    purify = load_purifier(name, "")
    y = purify(x, [])
    assert purify.network_calls == 0 and y.shape == x.shape and y.dtype == x.dtype and 0 <= y.min() <= y.max() <= 1
    torch.testing.assert_close(purify(x[1:2], []), y[1:2], rtol=0, atol=1e-6)
    assert torch.equal(y, x) == (name == "none")


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_is_differentiable_if_it_says_so(name, x):
    purify, x = load_purifier(name, ""), x[:1, :, 20:32, 20:32].double().requires_grad_()
    smooth = ("none", "gaussian_blur", "average_blur", "median_blur", "rescale", "crop", "shift", "gamma")
    assert purify.differentiable == (name in smooth)
    if purify.differentiable:
        unequal = (x + 1e-3 * torch.rand(x.shape, generator=generator("ties"))).detach().requires_grad_()
        assert torch.autograd.gradcheck(lambda x: purify(x, []), unequal, fast_mode=True)


# JPEG for attacks


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
def test_the_soft_jpeg_is_near_the_real_one(quality, x):
    real, soft = Jpeg(quality)(x, []).numpy(), soft_jpeg(quality)(x).numpy()
    loss = peak_signal_noise_ratio(x.numpy(), real, data_range=1)
    assert peak_signal_noise_ratio(real, soft, data_range=1) > max(35, loss + 5)


def test_the_soft_jpeg_has_a_gradient_almost_everywhere(x):
    x = x.clone().requires_grad_()
    (g,) = torch.autograd.grad((soft_jpeg(75)(x) - 0.5).square().sum(), x)
    assert g.isfinite().all() and (g != 0).float().mean() > 0.95
    part = x[:1, :, 8:24, 8:24].detach().double().requires_grad_()
    assert torch.autograd.gradcheck(soft_jpeg(75), part, fast_mode=True)


def test_the_soft_jpeg_takes_any_size_and_refuses_qualities_that_do_not_exist(x):
    assert soft_jpeg(75)(x[..., :37, :50]).shape == (3, 3, 37, 50)
    for quality in (0, 101):
        with pytest.raises(ValueError, match=re.escape(f"1 to 100, not {quality}")):
            soft_jpeg(quality)


# The attacker who knows the purifier


def test_what_is_not_differentiable_is_in_the_attackers_eyes_the_identity(x):
    x = x.clone().requires_grad_()
    direction = torch.randn(x.shape, generator=generator("direction"))
    transform = as_transform(load_purifier("bit_depth_3", ""), [])
    (g,) = torch.autograd.grad((transform(x) * direction).sum(), x)
    torch.testing.assert_close(transform(x).detach(), load_purifier("bit_depth_3", "")(x, []).detach())
    assert torch.equal(g, direction)


def test_the_attacker_looks_through_a_jpeg_by_its_soft_form(x):
    transform = as_transform(load_purifier("jpeg_50", ""), [])
    assert torch.equal(transform(x), soft_jpeg(50)(x))


def test_in_a_composition_only_the_parts_without_a_gradient_are_approximated(x):
    x = x.clone().requires_grad_()
    direction = torch.randn(x.shape, generator=generator("direction"))
    purify = load_purifier("total_variation+gaussian_blur+bit_depth", "")
    y = as_transform(purify, [])(x)
    (g,) = torch.autograd.grad((y * direction).sum(), x)
    (of_the_blur,) = torch.autograd.grad((GaussianBlur()(x, []) * direction).sum(), x)
    torch.testing.assert_close(y.detach(), purify(x, []).detach())
    torch.testing.assert_close(g, of_the_blur)


def test_noise_comes_from_each_photos_own_generator_and_before_the_bicubic(x):
    keys = lambda: image_generators(0, "noise", "abc")  # noqa: E731
    noise = np.stack([torch.randn(3, 64, 64, generator=key).numpy() for key in keys()])
    noisy = (x.numpy() + np.float32(0.2) * noise).clip(0, 1)
    expected = np.stack([pillow_bicubic(pillow_bicubic(image, 16), 64) for image in noisy])
    purify = load_purifier("noisy_bicubic_0.2x4", "")
    assert np.abs(purify(x, keys()).numpy() - expected).max() < 1e-5 and purify.network_calls == 0
    part = x[:1, :, 20:32, 20:32].double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: NoisyBicubic(0.01)(x, keys()[:1]), part, fast_mode=True)


def test_a_shift_moves_the_photo_and_a_gamma_is_pillows(x):
    moved = load_purifier("shift_3", "")(x, [])
    assert torch.equal(moved[..., 3:, 3:], x[..., :-3, :-3]) and torch.equal(
        moved[..., :3, 3:], x[..., :1, :-3].expand_as(moved[..., :3, 3:])
    )
    levels = (x * 255).round() / 255
    image = Image.fromarray((levels[0] * 255).byte().permute(1, 2, 0).numpy())
    expected = np.asarray(image.point([255 * (level / 255) ** 0.8 for level in range(256)] * 3)) / 255
    assert np.abs(load_purifier("gamma_0.8", "")(levels, [])[0].permute(1, 2, 0).numpy() - expected).max() < 1 / 255


@pytest.mark.parametrize(
    ("name", "text"),
    [("rescale_0.5", "from 1 on"), ("crop_32", "no 32 px to lose"), ("noisy_bicubic_0", "above 0"),
     ("noisy_bicubic_0.1x0", "from 1 on"), ("gamma_0", "above 0")],
)  # fmt: skip
def test_what_would_leave_no_photo_is_refused(name, text, x):
    with pytest.raises(ValueError, match=text):
        load_purifier(name, "")(x, [])
