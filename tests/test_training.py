"""A training that is stopped and resumed ends where it would have ended, and says on the way how far it is."""

import json

import numpy as np
import pytest
import torch

from antidisrupt_lib import training
from antidisrupt_lib.deepfakes.classifier import train_classifier
from antidisrupt_lib.deepfakes.train import ForgerConfig, train_forger
from antidisrupt_lib.detection.train import DetectorConfig, TrainingSet, train_detector
from antidisrupt_lib.purification.autoencoders import flat_autoencoder
from antidisrupt_lib.purification.train import DenoiserConfig, train_autoencoder, train_denoiser
from antidisrupt_lib.purification.unets import PublishedUNet

STEPS = 8


def stargan(faces, checkpoint, lr):
    small = {
        "architecture": {"conv_dim": 4, "blocks": 1},
        "d_conv_dim": 4,
        "d_layers": 3,
        "batch_size": 4,
        "n_critic": 2,
    }
    config = ForgerConfig(**small, steps=STEPS, decay_steps=4, lambda_id=1.0, id_steps=4, ema=0.9, lr=lr)
    return train_forger(faces, config, checkpoint=checkpoint, save_every=3)[0]


def denoiser(faces, checkpoint, lr):
    torch.manual_seed(0)
    config = DenoiserConfig(steps=STEPS, batch_size=4, lr=lr, ema=0.9)
    return train_denoiser(faces, PublishedUNet(n_feat=8), config, checkpoint=checkpoint, save_every=3)[0]


def autoencoder(faces, checkpoint, lr):
    torch.manual_seed(0)
    return train_autoencoder(faces, flat_autoencoder(), steps=STEPS, batch_size=4, lr=lr, checkpoint=checkpoint)[0]


def classifier(faces, checkpoint, lr):
    return train_classifier(faces, steps=STEPS, batch_size=4, width=4, lr=lr, checkpoint=checkpoint)


def detector(faces, checkpoint, lr):
    fakes = faces.rows(np.repeat(np.arange(len(faces)), 2))
    fakes.table["source_id"] = fakes.table["image_id"]
    data = TrainingSet((faces, fakes), (faces, fakes), np.zeros(len(faces), bool))
    config = DetectorConfig("test_efficientnet", steps=STEPS, batch_size=4, lr=lr)
    return train_detector(data, config, checkpoint=checkpoint)[0]


TRAININGS = [stargan, denoiser, autoencoder, classifier, detector]


@pytest.mark.parametrize("train", TRAININGS)
def test_a_checkpoint_of_other_hyperparameters_is_refused(train, faces, tmp_path):
    train(faces, tmp_path / "c", 1e-3)
    with pytest.raises(ValueError, match="made with other hyperparameters .* Delete it to start anew"):
        train(faces, tmp_path / "c", 2e-3)


@pytest.mark.parametrize("train", [stargan, denoiser, detector])
def test_training_on_other_sized_faces_does_not_resume(train, faces, make_faces, tmp_path):
    train(faces, tmp_path / "c", 1e-3)
    with pytest.raises(ValueError, match="made with other hyperparameters"):
        train(make_faces(size=64), tmp_path / "c", 1e-3)


def counted(steps, tmp_path, **options):
    weight = torch.nn.Linear(1, 1)
    return training.run_training(
        lambda i: {"loss": torch.tensor(float(i))}, {"net": weight}, steps=steps, checkpoint=tmp_path / "c",
        about={}, what="test", **options,
    )  # fmt: skip


def diverging(tmp_path, at: int, weights: bool = False, value: float = float("nan")):
    """A training of 9 steps, saved every 3, whose loss (or one of whose weights) is `value` from step `at` on."""
    network = torch.nn.Linear(1, 1)

    def step(i: int) -> dict[str, torch.Tensor]:
        torch.nn.init.constant_(network.weight, value if weights and i >= at else float(i))
        return {"d_adv": torch.tensor(1.0), "d_gp": torch.tensor(value if i >= at and not weights else 0.5)}

    training.run_training(
        step, {"critic": network}, steps=9, checkpoint=tmp_path / "c", about={}, what="StarGAN", save_every=3
    )


@pytest.mark.kind("undefined numbers", "refused, at its step")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 4, 8])
def test_a_loss_that_is_not_finite_stops_the_training_and_says_where(at, value, tmp_path):
    with pytest.raises(
        FloatingPointError, match=f"training of StarGAN broke down at step {at}: d_gp is {value}.*Lower"
    ):
        diverging(tmp_path, at, value=value)
    saved = 3 * (at // 3)
    assert (tmp_path / "c").exists() == (saved > 0)
    assert not saved or torch.load(tmp_path / "c")["done"] == saved


@pytest.mark.kind("undefined numbers", "refused, at its step")
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_no_checkpoint_holds_weights_that_are_not_finite(value, tmp_path):
    with pytest.raises(FloatingPointError, match="at step 5: critic.weight isn't finite"):
        diverging(tmp_path, 4, weights=True, value=value)
    assert torch.load(tmp_path / "c")["done"] == 3
    with pytest.raises(FloatingPointError, match="at step 5: critic.weight isn't finite"):
        diverging(tmp_path, 4, weights=True, value=value)  # the resumed run ends where the first one did


@pytest.mark.kind("undefined numbers", "refused")
def test_a_checkpoint_that_holds_undefined_weights_is_not_resumed(tmp_path):
    broken = {"critic": {"weight": torch.tensor([[torch.nan]]), "bias": torch.zeros(1)}}
    torch.save({"state": broken, "about": "{}", "done": 3, "history": []}, tmp_path / "c")
    with pytest.raises(ValueError, match="c can't be resumed: its critic.weight isn't finite. Delete it to start anew"):
        diverging(tmp_path, 99)


@pytest.mark.kind("undefined numbers", "refused, at its step")
@pytest.mark.parametrize("train", [detector, denoiser])
def test_a_learning_rate_beyond_all_bounds_is_found_out(train, faces, tmp_path):
    with pytest.raises(FloatingPointError, match="broke down at step"):
        train(faces, tmp_path / "c", 1e30)


def test_half_precision_changes_a_training_by_rounding_alone(faces, tmp_path):
    """Losses of the first step differ by bfloat16's 8 bits; the gradient penalty, of second order, is in float32."""
    small = {"architecture": {"conv_dim": 8, "blocks": 1}, "d_conv_dim": 8, "d_layers": 3, "batch_size": 4, "steps": 1}
    whole, half = (
        train_forger(faces, ForgerConfig(**small, n_critic=1, bf16=bf16), checkpoint=tmp_path / f"{bf16}")[1].iloc[0]
        for bf16 in (False, True)
    )
    assert not whole.equals(half)
    assert half.to_numpy() == pytest.approx(whole.to_numpy(), rel=0.03, abs=0.03)


def test_samples_are_asked_for_at_every_checkpoint_and_at_the_end(tmp_path):
    done = []
    counted(7, tmp_path, save_every=3, on_save=done.append)
    assert done == [3, 6, 7]
    training.clear_checkpoint(tmp_path / "c")
    training.clear_checkpoint(tmp_path / "c")
    assert not list(tmp_path.iterdir())


def test_the_study_can_read_how_far_a_training_is(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIDISRUPT_PROGRESS", str(tmp_path / "progress.json"))
    steps = training.progress(range(4), "denoiser", total=10, done=6)
    next(steps), next(steps)
    told = json.loads((tmp_path / "progress.json").read_text())
    assert (told["what"], told["done"], told["total"]) == ("denoiser", 7, 10)
    assert told["seconds_left"] >= 0


def test_flips_mirror_about_half_of_the_images_whole():
    x = torch.rand(200, 3, 4, 4)
    flipped = training.random_flip(x, 0, "flip", 1)
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(flipped, x, strict=True)]
    assert all(m or torch.equal(a, b) for m, a, b in zip(mirrored, flipped, x, strict=True))
    assert 70 < sum(mirrored) < 130
