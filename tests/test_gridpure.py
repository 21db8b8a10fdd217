"""GrIDPure purifies the authors' windows, merges them by their mean, and keeps a share of what it was given."""

import numpy as np
import pytest
import torch

from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.gridpure import GrIDPure
from antidisrupt_lib.purification.purifiers import DiffPure
from antidisrupt_lib.purification.schedule import add_noise
from antidisrupt_lib.purification.unets import PublishedUNet
from antidisrupt_lib.seeding import image_generators

STARTS = [(y, x) for y in (0, 128, 256) for x in (0, 128, 256)]  # of the authors' windows of 256 in photos of 512


def keys(n: int) -> list[torch.Generator]:
    return image_generators(0, "gridpure", range(n))


def photos(n: int, side: int) -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(2))


def curved(x, t):
    return torch.sin(3 * x) * torch.linspace(0, 1, x.shape[3]) + t[:, None, None, None] / 1000


def cut(photo: torch.Tensor) -> list[torch.Tensor]:
    """The authors' windows of a photo of any side, scaled: nine, and the corners put together."""
    side, part = photo.shape[2], photo.shape[2] // 4
    found = [photo[:, y * side // 512 :, x * side // 512 :][:, : side // 2, : side // 2] for y, x in STARTS]
    top, bottom = (torch.cat([row[..., :part], row[..., -part:]], 2) for row in (photo[:, :part], photo[:, -part:]))
    return [*found, torch.cat([top, bottom], 1)]


def pasted(windows: list[np.ndarray], side: int) -> np.ndarray:
    total, count, part = np.zeros((3, side, side)), np.zeros((3, side, side)), side // 4
    places = [(slice(y * side // 512, y * side // 512 + side // 2), slice(x * side // 512, x * side // 512 + side // 2))
              for y, x in STARTS]  # fmt: skip
    for window, (rows, columns) in zip(windows, places, strict=False):
        total[:, rows, columns] += window
        count[:, rows, columns] += 1
    for rows in (slice(0, part), slice(-part, None)):
        for columns in (slice(0, part), slice(-part, None)):
            total[:, rows, columns] += windows[9][:, rows, columns]
            count[:, rows, columns] += 1
    return total / count


def test_an_iteration_is_diffpure_of_the_authors_windows_pasted_together():
    x, generators = photos(2, 16), keys(2)
    expected = []
    for photo, key in zip(x, generators, strict=True):
        for _ in range(2):
            pure = [*DiffPure(curved, 3)(torch.stack(cut(photo)), [key] * 10).numpy()]
            photo = 0.7 * torch.from_numpy(pasted(pure, 16)).float() + 0.3 * photo
        expected.append(photo)
    torch.testing.assert_close(GrIDPure(curved, 3, 2, 0.3)(x, keys(2)), torch.stack(expected), atol=1e-5, rtol=0)


def test_with_a_perfect_network_only_the_kept_share_of_the_disruption_is_left():
    x0 = photos(2, 16)
    clean = 2 * torch.stack([window for photo in x0 for window in cut(photo)]) - 1

    def oracle(x_t, t):  # the noise, if x0 are the only photos in the world
        return (x_t - add_noise(clean, 0 * clean, t)) / add_noise(0 * clean, 1 + 0 * clean, t)

    for iterations in (1, 3):
        left = GrIDPure(oracle, 5, iterations, 0.2)(x0 + 0.05, keys(2)) - x0
        torch.testing.assert_close(left, torch.full_like(x0, 0.05 * 0.2**iterations), atol=1e-4, rtol=0)


def test_every_pass_of_a_window_is_counted_and_every_iteration_is_shown():
    count, x = [], photos(1, 16)
    purify = GrIDPure(lambda x, t: count.append(len(x)) or 0 * x, 3, 2)
    way = list(purify.states(x, keys(1)))
    assert sum(count) == purify.network_calls == 60 and len(way) == 2
    assert GrIDPure(curved).network_calls == 2000
    assert torch.equal(way[-1] / 2 + 0.5, purify(x, keys(1)))


def test_the_attacker_who_knows_it_has_the_exact_gradient():
    x = photos(2, 4).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: as_transform(GrIDPure(curved, 2, 2), keys(2))(x), x, fast_mode=True)


def test_what_it_cannot_do_is_refused():
    for numbers, said in (((0,), "steps 1 to 1000"), ((5, 0), "1 iteration or more"), ((5, 1, 1.5), "not 1 and 1.5")):
        with pytest.raises(ValueError, match=said):
            GrIDPure(curved, *numbers)
    with pytest.raises(ValueError, match="multiple of 4 px, not 18"):
        GrIDPure(curved)(photos(1, 18), keys(1))
    with pytest.raises(ValueError, match="multiple of 64 px, not 32"):
        GrIDPure(PublishedUNet(8))(photos(1, 32), keys(1))
