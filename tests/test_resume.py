"""Every trainer: a training that is stopped and goes on ends where one that never stopped ends, bit for bit."""

import ast
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from antidisrupt_lib import training
from antidisrupt_lib.deepfakes.classifier import train_classifier
from antidisrupt_lib.deepfakes.patch import PatchConfig, patch_forger
from antidisrupt_lib.deepfakes.stargan import Generator, live_forger
from antidisrupt_lib.deepfakes.train import ForgerConfig, train_forger
from antidisrupt_lib.deepfakes.train_v2 import V2Config, train_stargan_v2
from antidisrupt_lib.detection.defences import PARTS, Defence
from antidisrupt_lib.detection.train import DetectorConfig, PlainSet, TrainingSet, train_detector
from antidisrupt_lib.disruption.adversarial import training_attack
from antidisrupt_lib.disruption.dadfi import DadfiConfig, train_dadfi
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.purification.autoencoders import flat_autoencoder, pooled_autoencoder
from antidisrupt_lib.purification.train import DenoiserConfig, train_autoencoder, train_denoiser
from antidisrupt_lib.purification.unets import DiffusersUNet, PublishedUNet

STEPS, SAVED_EVERY = 6, 2
Train = Callable[[FaceSet, Path], nn.Module]
STARGAN = {"architecture": {"conv_dim": 4, "blocks": 1}}
ATTENTION = {"network": "attention", "architecture": {"width": 4, "layers": 2, "blocks": 1}}
STGAN = {"network": "stgan", "architecture": {"width": 4, "layers": 2, "estimator_width": 2}, "estimator_steps": 4}
TRUTH = {"lambda_truth": 1.0, "lambda_adv": 0.0, "lambda_cls": 0.0}
V2 = {"size": 32, "width": 4, "max_width": 8, "hidden": 8, "attributes": (3, 4)}


def forger(faces, checkpoint, **options):
    small = {"d_conv_dim": 4, "d_layers": 3, "batch_size": 2, "n_critic": 2, "decay_steps": 3, "adv_steps": 2}
    config = ForgerConfig(**small | options, steps=STEPS)
    truth = faces.rows(np.repeat(np.arange(len(faces)), 5)) if config.lambda_truth else None
    disrupt = training_attack(config) if config.adversarial else None
    return train_forger(faces, config, truth=truth, disrupt=disrupt, checkpoint=checkpoint, save_every=SAVED_EVERY)[0]


def stargan_v2(faces, checkpoint):
    config = V2Config(V2, steps=STEPS, batch_size=2, ds_steps=4, ema=0.9)
    return train_stargan_v2(faces, config, checkpoint=checkpoint, save_every=SAVED_EVERY)[0]


def judge(faces, checkpoint):
    return train_classifier(faces, steps=STEPS, batch_size=4, width=4, checkpoint=checkpoint)


def denoiser(faces, checkpoint, network, ema):
    torch.manual_seed(0)
    config = DenoiserConfig(steps=STEPS, batch_size=2, ema=ema)
    return train_denoiser(faces, network(), config, checkpoint=checkpoint, save_every=SAVED_EVERY)[0]


def autoencoder(faces, checkpoint, network, **options):
    torch.manual_seed(0)
    return train_autoencoder(faces, network(), steps=STEPS, batch_size=4, checkpoint=checkpoint, **options)[0]


def detector(faces, checkpoint, treated=0.0, defence="weak", plain=False, **options):
    fakes = faces.rows(np.repeat(np.arange(len(faces)), 2))
    fakes.table["source_id"] = fakes.table["image_id"]
    other = FaceSet(255 - faces.images, faces.table, {}), FaceSet(255 - fakes.images, fakes.table, {})
    data = TrainingSet((faces, fakes), other, np.arange(len(faces)) < treated * len(faces))
    config = DetectorConfig("test_resnet", steps=STEPS, batch_size=4, **options)
    chosen = Defence(defence, steps=2, psi=1.0)
    data = PlainSet(faces, fakes) if plain else data
    return train_detector(data, config, defence=chosen, checkpoint=checkpoint)[0]


def disruptor(faces, checkpoint):
    torch.manual_seed(0)
    forgers = {"tiny": live_forger(Generator(conv_dim=4, blocks=1).eval())}
    small = {"architecture": {"width": 4, "blocks": 1}, "recogniser_width": 2, "teacher_steps": 2}
    config = DadfiConfig(**small, steps=STEPS, batch_size=2)
    return train_dadfi(faces, forgers, config, checkpoint=checkpoint, save_every=SAVED_EVERY)[0]


def patch(faces, checkpoint):
    torch.manual_seed(0)
    attack = training_attack(ForgerConfig(adv_steps=2))
    config, small = PatchConfig(steps=STEPS, batch_size=2), Generator(conv_dim=4, blocks=1)
    return patch_forger(small, faces, config, disrupt=attack, checkpoint=checkpoint, save_every=SAVED_EVERY)[0]


TRAINERS: dict[str, Train] = {
    "stargan": partial(forger, **STARGAN, lambda_id=1.0, id_steps=4, ema=0.9),
    "stargan, adversarial g": partial(forger, **STARGAN, adversarial="g"),
    "stargan, adversarial gd": partial(forger, **STARGAN, adversarial="gd", adv_objective="grey"),
    "stargan, by the truth": partial(forger, **STARGAN, **TRUTH),
    "stargan, a critic that begins": partial(forger, **STARGAN, critic_first=3),
    "attention": partial(forger, **ATTENTION, **TRUTH, lambda_mask=0.1, ema=0.9),
    "stgan with its estimator": partial(forger, **STGAN, **TRUTH),
    "stargan_v2": stargan_v2,
    "judge": judge,
    "a patched forger": patch,
    "disruptor": disruptor,
    "denoiser": partial(denoiser, network=lambda: PublishedUNet(8), ema=0.9),
    "denoiser of diffusers": partial(denoiser, network=lambda: DiffusersUNet((8, 16), 1), ema=0.0),
    "autoencoder 1": partial(autoencoder, network=pooled_autoencoder),
    "autoencoder 2": partial(autoencoder, network=flat_autoencoder),
    "autoencoder as published": partial(autoencoder, network=flat_autoencoder, as_published=True),
    "detector, clean": detector,
    "detector, poisoned or purified": partial(detector, treated=1.0),
    "detector, a share poisoned": partial(detector, treated=0.5),
    "detector of videos, sgd": partial(detector, plain=True, optimizer="sgd"),
    **{f"detector, {part}": partial(detector, defence=part) for part in (*PARTS, "adversarial+lipschitz+strong")},
}


def stop_after(count: int) -> Callable:
    """Stands for `progress`: Ctrl-C after so many steps of all trainings together."""
    left = iter(range(count))

    def progress(items, *args, **kwargs):
        for item in items:
            if next(left, None) is None:
                raise KeyboardInterrupt
            yield item

    return progress


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(other.state_dict()[name], value) for name, value in one.state_dict().items())


@pytest.mark.fault(
    "a training is killed between two checkpoints, and goes on", "the weights of one that never was, bit for bit"
)
@pytest.mark.parametrize("name", TRAINERS)
def test_a_training_that_was_stopped_ends_at_the_very_same_weights(name, faces, tmp_path, monkeypatch):
    train = TRAINERS[name]
    monkeypatch.setitem(training.run_training.__kwdefaults__, "save_every", SAVED_EVERY)
    whole = train(faces, tmp_path / "whole")
    for stop in (3, 5, 7, 9) if "estimator" in name else (5,):
        stopped_and_resumed(train, faces, tmp_path / f"{stop}", stop, whole, monkeypatch)


def stopped_and_resumed(train, faces, checkpoint, stop, whole, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "progress", stop_after(stop))
        train(faces, checkpoint)
    assert list(checkpoint.parent.glob(f"{checkpoint.name}*"))
    torch.manual_seed(123)  # whatever the new process's global state is
    np.random.seed(123)
    assert same(train(faces, checkpoint), whole)


def test_every_trainer_of_the_library_is_tried_here():
    sources = Path(training.__file__).parent.rglob("*.py")
    functions = (node for path in sources for node in ast.walk(ast.parse(path.read_text())))
    trainers = {node.name for node in functions if isinstance(node, ast.FunctionDef) and _trains(node)}
    assert trainers and trainers <= globals().keys()


def _trains(function: ast.FunctionDef) -> bool:
    calls = (node.func for node in ast.walk(function) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Name) and called.id == "run_training" for called in calls)


def test_another_seed_gives_other_weights(faces, tmp_path):
    """Else the test above could not fail."""
    one, other = (detector(faces, tmp_path / f"{seed}", seed=seed) for seed in (0, 1))
    assert not same(one, other)
