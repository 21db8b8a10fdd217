"""No stage leaves a tensor on another device than its photos: found without a GPU, with fake tensors.

Torch's FakeTensorMode computes devices and shapes, and refuses an operation on two devices as CUDA would. The device
that stands for the GPU here is called "meta": autograd doesn't run on "cuda" where there is no driver.
"""

import gc
from contextlib import contextmanager
from functools import _lru_cache_wrapper

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode, is_fake
from torch.utils._python_dispatch import TorchDispatchMode

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.stargan import Generator, forger
from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.detection.attack import CarliniWagner, attack_detector, parse_attack
from antidisrupt_lib.detection.detectors import Detector, detect_with
from antidisrupt_lib.disruption.attacks import ATTACKS
from antidisrupt_lib.disruption.disrupt import disrupt
from antidisrupt_lib.metrics.distances import l1, l2, masked_l2, psnr, ssim
from antidisrupt_lib.purification.purifiers import DDIM, DiffPure, OneStep, ReverseDiffusion
from antidisrupt_lib.purification.schedule import _abar
from antidisrupt_lib.purification.unets import PublishedUNet
from antidisrupt_lib.seeding import image_generators

GPU = "meta"
FORGERS = {"stargan": lambda: Generator(conv_dim=4, blocks=1), "attention": lambda: AttentionGenerator(width=16)}
SIZES = {"eps": 0.1, "step": 0.01, "steps": 2, "generators": image_generators(0, "devices", range(2))}


class Yes(TorchDispatchMode):
    """Fake tensors hold no numbers: whoever asks for one is told 1, and whether a condition holds, yes."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            return 1
        return func(*args, **(kwargs or {}))


@contextmanager
def gpu():
    try:
        with FakeTensorMode(allow_non_fake_inputs=True), Yes():
            yield
    finally:
        forget_constants()


def forget_constants() -> None:
    """A schedule or a basis that was first made here is fake: kept, it would meet the real photos of the next test."""
    for kept in gc.get_objects():
        if type(kept) is _lru_cache_wrapper and kept.__module__.startswith("antidisrupt_lib"):
            kept.cache_clear()


def photos() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.empty(2, 3, 32, 32, device=GPU), torch.empty(2, 5, device=GPU)


def on_gpu(make) -> nn.Module:
    with torch.device(GPU):
        return make()


def test_a_tensor_on_the_wrong_device_is_found():
    with gpu(), pytest.raises(RuntimeError, match="same device"):
        photos()[0] + torch.empty(2, 3, 32, 32)


def test_no_fake_constant_outlives_the_fake_gpu():
    with gpu():
        assert is_fake(_abar())
    assert not is_fake(_abar())


@pytest.mark.parametrize("attack", [name for name in ATTACKS if name != "square"])  # which places squares by numbers
def test_disruptions_stay_on_their_photos_device(attack):
    with gpu():
        (x, c), forge = photos(), forger(on_gpu(FORGERS["stargan"]))
        assert disrupt(x, c, forge, attack=attack, **SIZES).device.type == GPU


@pytest.mark.parametrize("kind", FORGERS)
def test_deepfakes_stay_on_their_photos_device(kind):
    with gpu():
        assert forge_all(forger(on_gpu(FORGERS[kind])), *photos()).device.type == GPU


@pytest.mark.parametrize("make", [ReverseDiffusion, DiffPure, DDIM, OneStep])
def test_diffusions_stay_on_their_photos_device(make):
    with gpu():
        purify = make(on_gpu(lambda: PublishedUNet(n_feat=8)), 4)
        assert purify(photos()[0], SIZES["generators"]).device.type == GPU


@pytest.mark.parametrize("attack", ["fgsm_4_255", "pgd_4_255", "apgd_4_255", "cw_l2"])
def test_attacks_on_detectors_stay_on_their_fakes_device(attack):
    with gpu():
        detector = on_gpu(lambda: Detector("test_resnet")).eval().requires_grad_(False)
        x, about = photos()[0], parse_attack(attack)
        short = {"steps": 2, "cw": CarliniWagner(searches=1, steps=2), "generators": SIZES["generators"]}
        found = attack_detector(x, detector, about, **short)
        assert found.device.type == GPU and detect_with(detector)(x).device.type == GPU


@pytest.mark.parametrize("measure", [l1, l2, psnr, ssim, lambda y, y0: masked_l2(y, y0, y)])
def test_measures_stay_on_their_images_device(measure):
    with gpu():
        assert measure(*(photos()[0] for _ in range(2))).device.type == GPU
