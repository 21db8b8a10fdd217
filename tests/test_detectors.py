"""Detectors come from timm by name, are trained on the world they are told to, and survive the disk."""

import numpy as np
import pytest
import torch
from scipy.fft import dct

from antidisrupt_lib.detection.detectors import Detector, check_detector, detect_with, load_detector, score
from antidisrupt_lib.detection.train import DetectorConfig, TrainingSet, score_table, train_detector, treated_photos
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.weights import save_weights

SMALL = "test_efficientnet"


@pytest.fixture(scope="module")
def worlds(make_faces) -> list[tuple[FaceSet, FaceSet]]:
    """(photos, fakes), two fakes a photo, clean and treated: other pixels in the same rows."""
    photos = make_faces(count=10)
    fakes = make_faces(count=20, seed=1, fakes_of=photos)
    inverted = [FaceSet(255 - faces.images, faces.table, faces.axes) for faces in (photos, fakes)]
    return [(photos, fakes), tuple(inverted)]


def test_an_unknown_network_is_refused_and_the_nearest_named():
    with pytest.raises(ValueError, match=r"no network called 'resnet19'. Did you mean .*resnet1?8"):
        check_detector("resnet19")


def test_xception_is_the_fields_own():
    assert check_detector("xception") == "legacy_xception" and check_detector("resnet18") == "resnet18"
    with torch.device("meta"):
        parameters = sum(p.numel() for p in Detector("xception").parameters())
    assert parameters == 20_806_952 + 2048 + 1  # Chollet's, without its classifier, and one logit


def test_a_detector_of_low_frequencies_sees_no_fine_pattern(faces, tmp_path):
    wave = torch.tensor(dct(np.eye(32), axis=0, norm="ortho"), dtype=torch.float32)  # a row per frequency
    fine, coarse = (9 * torch.outer(wave[row], wave[3]) for row in (9, 6))  # of 32, the lowest quarter are 0 to 7
    detector = Detector(f"low_frequencies+{SMALL}").eval()
    plain = Detector(SMALL).eval()
    plain.load_state_dict(detector.state_dict())
    x = faces.x()
    torch.testing.assert_close(detector(x + fine), detector(x))
    assert (detector(x + coarse) - detector(x)).abs().max() > 1e-3 < (plain(x + fine) - plain(x)).abs().max()
    save_weights(tmp_path / "d.safetensors", detector, {"architecture": detector.architecture})
    assert torch.equal(load_detector(tmp_path / "d.safetensors").eval()(x), detector(x))
    assert check_detector(f"low_frequencies+{SMALL}", 32) == SMALL


def test_a_card_can_not_hide_code_behind_low_frequencies(tmp_path):
    detector = Detector(SMALL)
    card = {"architecture": {"name": "low_frequencies+os:getcwd"}}
    save_weights(tmp_path / "d.safetensors", detector, card)
    with pytest.raises(ValueError, match="goes before a network of timm's"):
        load_detector(tmp_path / "d.safetensors")


def test_a_detector_gives_probabilities_and_is_frozen(faces):
    detector = Detector(SMALL)
    p = detect_with(detector)(faces.x())
    assert p.shape == (12,) and p.min() >= 0 and p.max() <= 1
    assert not detector.training and not any(parameter.requires_grad for parameter in detector.parameters())


def test_a_saved_detector_gives_the_same_scores(faces, tmp_path):
    detector = Detector(SMALL)
    save_weights(tmp_path / "d.safetensors", detector, {"architecture": detector.architecture})
    before, after = (score(detect_with(d), faces) for d in (detector, load_detector(tmp_path / "d.safetensors")))
    assert torch.equal(before, after)
    torch.testing.assert_close(score(detect_with(detector), faces, batch_size=5), before)


def test_a_larger_poisoned_share_holds_every_smaller_one(make_faces):
    photos = make_faces(count=200)
    chosen = {ratio: treated_photos(photos, ratio, seed=0) for ratio in (0, 0.1, 0.25, 0.5, 1)}
    assert [mask.sum() for mask in chosen.values()] == [0, 20, 50, 100, 200]
    masks = list(chosen.values())
    assert all((larger | ~smaller).all() for smaller, larger in zip(masks, masks[1:], strict=False))
    assert np.array_equal(treated_photos(photos, 0.5, seed=0), chosen[0.5])
    assert not np.array_equal(treated_photos(photos, 0.5, seed=1), chosen[0.5])
    with pytest.raises(ValueError, match="share from 0 to 1, not 50"):
        treated_photos(photos, 50, seed=0)


def test_a_treated_photo_brings_its_treated_fakes_and_no_others(worlds):
    treated = np.arange(10) % 3 == 0
    data = TrainingSet(*worlds, treated)
    index = torch.tensor([7, 3, 0, 3])
    for position, i in enumerate(index.tolist()):
        expected = worlds[int(treated[i])][0].x([i])[0]
        assert torch.equal(data.x(index, False, "cpu")[position], expected)
    for fake in range(20):  # fake k was made of photo k // 2
        expected = worlds[int(treated[fake // 2])][1].x([fake])
        assert torch.equal(data.x(torch.tensor([fake]), True, "cpu"), expected)


def test_worlds_that_do_not_match_are_refused(worlds, make_faces):
    (photos, fakes), other = worlds
    none = np.zeros(10, bool)
    with pytest.raises(ValueError, match="clean and the treated faces differ in their rows"):
        TrainingSet((photos, fakes), (photos.rows(range(9)), other[1]), none)
    with pytest.raises(ValueError, match="clean and the treated faces differ in their rows"):
        TrainingSet((photos, fakes), (other[0], other[1].rows(range(20)[::-1])), none)
    strangers = make_faces(count=20, fakes_of=photos.rows(range(10)[::-1]))
    with pytest.raises(ValueError, match="fakes were not made from these photos"):
        TrainingSet((photos, strangers), (photos, strangers), none)


def test_a_detector_learns_what_sets_fakes_apart(worlds, tmp_path):
    photos, fakes = worlds[0]
    dark, bright = FaceSet(photos.images // 3, photos.table, {}), FaceSet(255 - fakes.images // 3, fakes.table, {})
    data = TrainingSet((dark, bright), (dark, bright), np.zeros(10, bool))
    config = DetectorConfig(SMALL, steps=30, batch_size=16, lr=5e-3)
    detector, history = train_detector(data, config, checkpoint=tmp_path / "c")
    assert history["loss"].iloc[-1] < 0.2 < history["loss"].iloc[0]
    table = score_table(detect_with(detector), dark, bright)
    assert table["fake"].tolist() == [0] * 10 + [1] * 20
    assert table["source_id"].tolist() == photos.image_ids + np.repeat(photos.image_ids, 2).tolist()
    assert ((table["score"] > 0.5) == table["fake"]).mean() > 0.9
