"""The purifiers are the diffusion of the paper, step by step, and cost what they say."""

import math
import re

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler

from antidisrupt_lib.purification.autoencoders import AUTOENCODERS, make_autoencoders
from antidisrupt_lib.purification.compose import Composed, trajectory
from antidisrupt_lib.purification.filters import Jpeg
from antidisrupt_lib.purification.purifiers import DDIM, Autoencoder, DiffPure, OneStep, ReverseDiffusion, to_unit
from antidisrupt_lib.purification.purify import load_denoiser, load_purifier, purifier_names, write_purified
from antidisrupt_lib.purification.schedule import add_noise, forward_std, remove_noise
from antidisrupt_lib.purification.train import (
    denoise_once,
    epsilon_loss,
    mean_epsilon_loss,
    train_autoencoder,
)
from antidisrupt_lib.purification.unets import PublishedUNet, make_network
from antidisrupt_lib.seeding import image_generators, randn_like
from antidisrupt_lib.weights import save_weights

BETA = np.concatenate([[0], np.linspace(1e-4, 0.02, 1000)])  # index t = 1..1000, as in Ho et al. 2020
ABAR = np.cumprod(1 - BETA)


DIFFUSIONS = [ReverseDiffusion, DiffPure, DDIM, OneStep]


def keys(n: int) -> list[torch.Generator]:
    return image_generators(0, "purify", range(n))


def photos(n: int = 3) -> torch.Tensor:
    return torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(4))


def curved(x, t):
    return torch.sin(3 * x) + t[:, None, None, None] / 1000


@pytest.fixture(scope="module")
def unet() -> PublishedUNet:
    torch.manual_seed(0)
    return PublishedUNet(n_feat=8).eval()


@pytest.fixture
def defence(tmp_path, unet):
    """A folder as notebook 03 leaves it, with a denoiser that knows the steps 1 to 20."""
    about = {"network": "published", "architecture": {"n_feat": 8}, "max_t": 20}
    save_weights(tmp_path / "denoiser.safetensors", unet, about)
    save_weights(tmp_path / "autoencoders.safetensors", make_autoencoders(0), {})
    return tmp_path


# The schedule


def test_the_forward_noise_is_that_of_the_linear_schedule():
    for t in (1, 5, 10, 100, 500, 1000):
        assert forward_std(t) == pytest.approx(math.sqrt(1 - ABAR[t]), abs=2e-6)


@pytest.mark.parametrize(
    ("t", "std"),
    [(1, 0.0148), (5, 0.030), (10, 0.0468), (15, 0.063), (20, 0.079), (30, 0.111), (50, 0.173), (100, 0.324),
     (150, 0.463), (200, 0.586), (300, 0.778), (500, 0.960)],
)  # fmt: skip
def test_the_noise_levels_are_the_protocols_counted_from_one(t, std):
    # Protocol 1.4 counts the published code's 1,001 betas from index 0: its t is step t + 1 of Ho et al.
    assert forward_std(t + 1) == pytest.approx(std, abs=0.0005 + 0.002 * std)


def test_noise_is_added_in_closed_form():
    x, noise, t = 2 * photos() - 1, torch.randn(3, 3, 32, 32), torch.tensor([1, 300, 1000])
    expected = [math.sqrt(ABAR[k]) * a + math.sqrt(1 - ABAR[k]) * e for k, a, e in zip(t, x, noise, strict=True)]
    torch.testing.assert_close(add_noise(x, noise, t), torch.stack(expected).float(), rtol=0, atol=1e-5)
    torch.testing.assert_close(remove_noise(add_noise(x, noise, 300), noise, 300), x)
    assert torch.equal(add_noise(x, noise, 0), x)


# The reverse process


@pytest.mark.parametrize("start", [1, 2, 12])
def test_the_reverse_process_is_ancestral_ddpm_with_no_noise_in_the_last_step(start):
    generators, expected = keys(3), 2 * photos() - 1
    for t in range(start, 0, -1):  # Ho et al. 2020, algorithm 2, sigma_t^2 = beta_t
        e = curved(expected, torch.full((3,), t))
        expected = (expected - BETA[t] / math.sqrt(1 - ABAR[t]) * e) / math.sqrt(1 - BETA[t])
        if t > 1:
            expected += math.sqrt(BETA[t]) * torch.stack([torch.randn(3, 32, 32, generator=g) for g in generators])
    *_, found = ReverseDiffusion(curved, start).states(photos(), keys(3))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)  # float32: 1 - abar is small


def oracle(x0):
    """The right answer if x0 is the only image in the world."""

    def e(x_t, t):
        abar = torch.tensor(ABAR[t.numpy()])[:, None, None, None]
        return ((x_t - abar.sqrt() * x0) / (1 - abar).sqrt()).float()

    return e


@pytest.mark.parametrize("purifier", DIFFUSIONS)
def test_with_a_perfect_network_every_purifier_returns_the_clean_photo(purifier):
    x0 = photos()
    disrupted = (x0 + 0.02 * torch.randn(x0.shape).sign()).clamp(0, 1)
    purified = purifier(oracle(2 * x0 - 1), 20)(disrupted, keys(3))
    torch.testing.assert_close(purified, x0, rtol=0, atol=1e-3)


def test_the_paper_denoises_the_photo_itself_and_diffpure_noises_it_first():
    seen = []

    def note(x_t, t):
        seen.append((x_t.clone(), t.tolist()))
        return torch.zeros_like(x_t)

    x = photos()
    ReverseDiffusion(note)(x, keys(3))
    DiffPure(note, 10)(x, keys(3))
    assert [t for _, t in seen] == [[t] * 3 for t in [*range(10, 0, -1)] * 2]
    assert torch.equal(seen[0][0], 2 * x - 1)
    noised = add_noise(2 * x - 1, randn_like(x, keys(3)), torch.full((3,), 10))
    torch.testing.assert_close(seen[10][0], noised)


@pytest.mark.parametrize(("start", "steps"), [(30, 3), (40, 20), (300, 1)])
def test_ddim_takes_the_steps_of_diffusers(start, steps):
    scheduler = DDIMScheduler(1000, 1e-4, 0.02, "linear", clip_sample=False)
    scheduler.set_timesteps(1000 * steps // start)
    x_t = add_noise(2 * photos() - 1, randn_like(photos(), keys(3)), start)
    for t in range(start, 0, -start // steps):
        x_t = scheduler.step(curved(x_t, torch.full((3,), t)), t - 1, x_t).prev_sample
    torch.testing.assert_close(DDIM(curved, start, steps)(photos(), keys(3)), to_unit(x_t), rtol=0, atol=1e-4)


def test_one_step_is_the_clean_photo_that_the_predicted_noise_implies():
    x, t = photos(), 50
    noise = torch.stack([torch.randn(3, 32, 32, generator=g) for g in keys(3)])
    x_t = math.sqrt(ABAR[t]) * (2 * x - 1) + math.sqrt(1 - ABAR[t]) * noise
    x_0 = (x_t - math.sqrt(1 - ABAR[t]) * curved(x_t, torch.full((3,), t))) / math.sqrt(ABAR[t])
    torch.testing.assert_close(OneStep(curved, t)(x, keys(3)), to_unit(x_0), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("start", "steps", "times"), [(30, 3, [30, 20, 10]), (7, 3, [7, 5, 2]), (4, 4, [4, 3, 2, 1])])
def test_ddim_spreads_its_steps_evenly(start, steps, times):
    seen = []
    DDIM(lambda x, t: seen.append(t[0].item()) or 0 * x, start, steps)(photos(1), keys(1))
    assert seen == times


@pytest.mark.parametrize(("purifier", "calls"), [(ReverseDiffusion, 10), (DiffPure, 300), (DDIM, 3), (OneStep, 1)])
def test_purifiers_make_as_many_network_calls_as_they_say(purifier, calls):
    count = []
    purify = purifier(lambda x, t: count.append(1) or torch.zeros_like(x))
    purify(photos(1), keys(1))
    assert purify.network_calls == len(count) == calls


@pytest.mark.parametrize("purifier", DIFFUSIONS)
def test_a_photo_is_purified_the_same_in_whatever_batch_it_is(purifier, unet, faces, tmp_path):
    purify = purifier(unet, 5)
    together = purify(photos(), keys(3))
    torch.testing.assert_close(purify(photos()[1:2], keys(3)[1:2]), together[1:2], rtol=0, atol=1e-5)
    written = [write_purified(tmp_path / f"{n}", faces, purify, "p", seed=0, batch_size=n)[0] for n in (5, 12)]
    assert np.abs(np.subtract(*(w.images.astype(int) for w in written))).max() <= 1
    assert written[0].axes == {"faces": "random", "purifier": "p"} and written[0].table.equals(faces.table)


@pytest.mark.parametrize("start", [0, -1, 1001])
def test_a_start_outside_the_diffusion_is_refused(start):
    for purifier in DIFFUSIONS:
        with pytest.raises(ValueError, match=f"steps 1 to 1000, not {start}"):
            purifier(curved, start)


@pytest.mark.parametrize("steps", [0, 6])
def test_more_ddim_steps_than_there_are_are_refused(steps):
    with pytest.raises(ValueError, match=f"there are 1 to 5 steps, not {steps}"):
        DDIM(curved, 5, steps)


# Gradients


@pytest.mark.parametrize("purifier", [ReverseDiffusion, DiffPure, DDIM, OneStep])
def test_gradients_are_exact_through_every_step(purifier):
    x = (0.3 + 0.4 * torch.rand(2, 1, 2, 2, generator=torch.Generator().manual_seed(0))).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: purifier(curved, 3)(x, keys(2)), x)


@pytest.mark.parametrize("purifier", [ReverseDiffusion, DDIM])
def test_a_gradient_asks_the_network_twice_to_keep_none_of_its_activations(purifier, unet):
    count, x = [], photos(2).requires_grad_()
    purify = purifier(lambda x, t: count.append(1) or unet(x, t), 3)
    (spared,) = torch.autograd.grad(purify(x, keys(2)).square().sum(), x)
    assert len(count) == 6

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("antidisrupt_lib.purification.purifiers.checkpoint", lambda e, x, t, use_reentrant: e(x, t))
        (plain,) = torch.autograd.grad(purify(x, keys(2)).square().sum(), x)
    assert len(count) == 9 and spared.abs().max() > 0
    torch.testing.assert_close(spared, plain)


# Compositions and ways


def test_compositions_work_from_left_to_right_and_add_their_costs(defence):
    x, double = photos(), load_purifier("average_blur+ddim_10x2+jpeg_50", defence)
    one, two, three = (load_purifier(name, defence) for name in ("average_blur", "ddim_10x2", "jpeg_50"))
    generators = keys(3)
    assert torch.equal(double(x, keys(3)), three(two(one(x, generators), generators), generators))
    assert not torch.equal(double(x, keys(3)), Composed((three, two, one))(x, keys(3)))
    assert double.network_calls == 2 and not double.differentiable
    assert load_purifier("gaussian_blur+reverse_diffusion", defence).differentiable


def test_the_way_of_a_photo_begins_with_it_and_ends_with_the_purified_one(unet):
    x, half = photos(2), Jpeg(50)
    for purify, length in (
        (ReverseDiffusion(unet, 4), 5),  # x_4, which is the photo, to x_0
        (DiffPure(unet, 4), 6),  # the photo, x_4 to x_0
        (DDIM(unet, 4, 2), 4),
        (half, 2),
        (Composed((half, OneStep(unet, 4), half)), 5),
    ):
        way = trajectory(purify, x, keys(2))
        assert len(way) == length and all(y.min() >= 0 and y.max() <= 1 for y in way)
        assert torch.equal(way[0], x) and torch.equal(way[-1], purify(x, keys(2)))


# Purifiers by name


@pytest.mark.parametrize(
    ("name", "kind", "calls"),
    [("reverse_diffusion", ReverseDiffusion, 10), ("reverse_diffusion_20", ReverseDiffusion, 20),
     ("diffpure_10", DiffPure, 10), ("ddim_8", DDIM, 3), ("ddim_8x4", DDIM, 4), ("one_step", OneStep, 1),
     ("none+one_step_5", Composed, 1), ("autoencoder_1", Autoencoder, 1),
     ("autoencoder_2_as_published", Autoencoder, 1)],
)  # fmt: skip
def test_a_name_says_which_purifier_and_from_where(defence, name, kind, calls):
    purify = load_purifier(name, defence)
    assert type(purify) is kind and purify.network_calls == calls
    assert getattr(purify, "as_published", None) in (None, name.endswith("as_published"))
    y = purify(photos(), keys(3))
    assert y.shape == (3, 3, 32, 32) and y.min() >= 0 and y.max() <= 1


@pytest.mark.parametrize(
    "name",
    ["blur", "", "none+", "none_1", "jpeg_7.5", "jpeg_75x2", "ddim_30x", "ddim_x3", "one_step_-1", "diffpure_10x2",
     "autoencoder_3", "autoencoder", "jpeg_as_published", "Jpeg", "reverse_diffusion+blur"],
)  # fmt: skip
def test_a_name_that_is_none_is_refused_with_the_names_that_are_before_any_weights_are_read(name, tmp_path):
    wrong = name.rpartition("+")[2]
    with pytest.raises(ValueError, match=f"no purifier '{re.escape(wrong)}'") as error:
        load_purifier(name, tmp_path)  # where there are no weights
    assert all(known in str(error.value) for known in purifier_names())


@pytest.mark.parametrize(
    ("name", "text"),
    [("reverse_diffusion_0", "steps 1 to 1000, not 0"), ("ddim_5x6", "1 to 5 steps, not 6"), ("jpeg_0", "1 to 100"),
     ("diffpure+median_blur_4", "odd number of pixels, not 4"), ("average_blur_0", "odd"), ("bit_depth_9", "1 to 8"),
     ("gaussian_blur_0", "above 0"), ("total_variation_0.0", "above 0"), ("deep_image_prior_0", "at least 1")],
)  # fmt: skip
def test_numbers_out_of_range_are_refused_before_any_weights_are_read(name, text, tmp_path):
    with pytest.raises(ValueError, match=text):
        load_purifier(name, tmp_path)


def test_steps_that_the_denoiser_never_saw_are_refused(defence):
    for name, start in {"diffpure": 300, "reverse_diffusion_21": 21, "none+ddim_30x3": 30}.items():
        with pytest.raises(ValueError, match=f"starts at step {start}, but its denoiser knows steps 1 to 20"):
            load_purifier(name, defence)
    with pytest.raises(ValueError, match="another kind .unknown., not an epsilon network"):
        load_denoiser(defence / "autoencoders.safetensors")


# Networks


def test_the_published_unet_has_the_published_parameters():
    with torch.device("meta"):
        network = PublishedUNet()
    assert sum(p.numel() for p in network.parameters()) == 11_349_635  # protocol 1.4


@pytest.mark.parametrize(
    ("name", "architecture"), [("published", {"n_feat": 8}), ("diffusers", {"channels": [8, 8, 16], "layers": 1})]
)
def test_epsilon_networks_keep_the_shape_and_heed_the_step(name, architecture):
    network = make_network(name, architecture).eval()
    x = photos()
    first, last = (network(x, torch.full((3,), t)) for t in (1, 1000))
    assert first.shape == x.shape and not torch.allclose(first, last)
    assert make_network(name, network.architecture).state_dict().keys() == network.state_dict().keys()


# Autoencoders


@pytest.mark.parametrize(("name", "parameters"), [("autoencoder_1", 5 * 84), ("autoencoder_2", 3 * 84)])
def test_the_autoencoders_are_so_many_convolutions_of_three_channels(name, parameters):
    network = AUTOENCODERS[name]()
    assert sum(p.numel() for p in network.parameters()) == parameters  # 84 = 3 * 3 * 3 * 3 + 3
    assert network(photos()).shape == (3, 3, 32, 32)


@pytest.mark.parametrize("make", AUTOENCODERS.values())
def test_an_autoencoder_as_published_cannot_go_below_mid_grey(make):
    network, black = make(), torch.zeros(1, 3, 32, 32)
    for p in network.parameters():
        torch.nn.init.constant_(p, -3.0)  # as dark as it can
    assert Autoencoder(network, as_published=True)(black, keys(1)).min() >= 0.5
    assert Autoencoder(network)(black, keys(1)).max() < 0.5


# Training


def test_the_training_loss_is_that_of_the_noise():
    x, noise, t = 2 * photos() - 1, torch.randn(3, 3, 32, 32), torch.tensor([5, 50, 500])
    assert epsilon_loss(oracle(x), x, t, noise) < 1e-5
    assert epsilon_loss(lambda x, t: 0 * x, x, t, noise).item() == pytest.approx(noise.square().mean().item())


def test_denoising_in_one_call_undoes_the_noise_that_was_predicted(faces):
    x, t = photos(), 50
    noisy = add_noise(2 * x - 1, torch.randn(x.shape), torch.full((3,), t))
    torch.testing.assert_close(denoise_once(oracle(2 * x - 1), noisy, t), x, rtol=0, atol=1e-4)
    nothing = mean_epsilon_loss(lambda x, t: torch.zeros_like(x), faces, 50, seed=0)
    noise = randn_like(faces.x(), image_generators(0, "epsilon-loss", faces.image_ids))
    assert nothing == pytest.approx(noise.square().mean().item(), rel=1e-4)


def test_a_corrected_autoencoder_learns_and_the_published_one_is_given_clipped_photos(faces, tmp_path):
    torch.manual_seed(0)
    seen = []
    for as_published in (False, True):
        network = AUTOENCODERS["autoencoder_2"]()
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        trained, history = train_autoencoder(
            faces, network, steps=30, batch_size=8, lr=0.05, as_published=as_published, what=f"{as_published}",
            checkpoint=tmp_path / f"{as_published}",
        )  # fmt: skip
        assert history["loss"].iloc[-5:].mean() < history["loss"].iloc[0] and not trained.training
    corrected, published = torch.stack(seen[:30]), torch.stack(seen[30:])
    assert (published == 0).float().mean() > 0.45 > 0.05 > (corrected == 0).float().mean()  # protocol 1.4, defects
