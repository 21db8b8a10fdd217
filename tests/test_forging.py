"""The five translations, the fakes that are made of photos, and whether an edit took."""

import numpy as np
import pytest
import torch

from antidisrupt_lib.deepfakes.classifier import (
    AttributeClassifier,
    load_classifier,
    predict_attributes,
    train_classifier,
)
from antidisrupt_lib.deepfakes.editing import attribute_accuracy, edits_that_took
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.deepfakes.translations import forge_all, translations, write_fakes
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8
from antidisrupt_lib.weights import save_weights


def test_hair_is_set_one_hot_and_gender_and_age_are_flipped():
    blond_young_man, bald_old_woman = [0, 1, 0, 1, 1], [0, 0, 0, 0, 0]
    made = translations(torch.tensor([blond_young_man, bald_old_woman]).float()).transpose(0, 1).tolist()
    assert made[0] == [[1, 0, 0, 1, 1], [0, 1, 0, 1, 1], [0, 0, 1, 1, 1], [0, 1, 0, 0, 1], [0, 1, 0, 1, 0]]
    assert made[1] == [[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1]]


def test_every_fake_says_what_it_was_made_of_and_into(faces, forge, tmp_path):
    fakes = write_fakes(tmp_path / "fakes", faces, forge, batch_size=5)
    table = fakes.table
    assert len(fakes) == 60 and table["source_id"].tolist() == [name for name in faces.image_ids for _ in range(5)]
    assert table["target_attribute"].tolist() == list(ATTRIBUTES) * 12
    assert table["image_id"].iloc[7] == "000002.jpg-Brown_Hair" and table["image_id"].is_unique
    assert table["identity"].tolist() == np.repeat(faces.table["identity"], 5).tolist()
    targets = translations(faces.labels(ATTRIBUTES))
    assert torch.equal(fakes.labels(ATTRIBUTES).reshape(12, 5, 5), targets.transpose(0, 1))
    expected = forge(faces.x([1]), targets[2, 1:2])
    assert (fakes.x([7]) - expected).abs().max() <= 0.51 / 255


def test_an_unedited_pass_asks_for_what_the_photo_has_and_says_so(faces, forge, tmp_path):
    passes = write_fakes(tmp_path / "passes", faces, forge, name="f", edited=False, batch_size=5)
    own = faces.labels(ATTRIBUTES)
    assert torch.equal(passes.labels(ATTRIBUTES), own)
    assert (passes.x() - forge(faces.x(), own)).abs().max() <= 0.51 / 255
    assert passes.table["source_id"].tolist() == faces.image_ids and passes.axes["forger"] == "f_unedited"
    assert set(passes.table["target_attribute"]) == {"unedited"} and passes.table["image_id"].is_unique


def test_fakes_do_not_depend_on_the_batch_size(faces, forge, tmp_path):
    sizes = (write_fakes(tmp_path / str(size), faces, forge, batch_size=size).images.astype(int) for size in (1, 12))
    assert np.abs(np.subtract(*sizes)).max() <= 1


class Brightness(AttributeClassifier):
    """Sees every attribute in images brighter than 1/2, and none in the others."""

    def forward(self, x):
        return (x.mean((1, 2, 3)) - 0.5)[:, None].expand(-1, 5)


def test_an_edit_took_where_the_classifier_sees_the_value_it_was_made_to_show(faces):
    def bright_men(x, c):
        return torch.ones_like(x) * c[:, 3, None, None, None]  # white if Male, else black

    took = edits_that_took(bright_men, Brightness(width=4), faces, batch_size=5)
    male, young = faces.labels(["Male", "Young"]).bool().T
    assert took.shape == (5, 12) and torch.equal(took[:3], male.expand(3, -1))
    assert took[3].all() and torch.equal(took[4], male == ~young)
    assert torch.equal(forge_all(bright_men, faces.x(), faces.labels(ATTRIBUTES))[3].mean((1, 2, 3)), (~male).float())


def test_the_layers_of_the_classifier_lead_to_its_features(faces):
    classifier = AttributeClassifier(width=4).eval()
    layers = classifier.layers(faces.x())
    assert [tuple(layer.shape[1:]) for layer in layers] == [(4, 16, 16), (8, 8, 8), (16, 4, 4), (32, 2, 2)]
    assert torch.equal(classifier.features_layer(layers[-1].flatten(1)).relu(), classifier.features(faces.x()))


def test_the_classifier_learns_what_can_be_seen_and_survives_the_disk(faces, make_faces, tmp_path):
    labelled = make_faces(count=48, size=32)
    bright = labelled.table["Male"].to_numpy(np.uint8)[:, None, None, None] * np.uint8(200)
    labelled = FaceSet(labelled.images // 8 + bright, labelled.table, {})
    found = train_classifier(labelled, checkpoint=tmp_path / "c", steps=25, batch_size=16, width=4)
    accuracy = attribute_accuracy(found, labelled).set_index("attribute")["accuracy"]
    assert accuracy["Male"] >= 0.95 and accuracy.index.tolist() == list(ATTRIBUTES)
    save_weights(tmp_path / "c.safetensors", found, {"architecture": found.architecture})
    loaded = load_classifier(tmp_path / "c.safetensors")
    assert torch.equal(loaded(faces.x()), found(faces.x())) and loaded.features(faces.x()).shape == (12, 32)


@pytest.mark.kind("undefined numbers", "refused")
def test_a_judge_without_finite_verdicts_judges_nothing(faces, forge):
    judge = AttributeClassifier(width=4).eval()
    with torch.no_grad():
        judge.head.bias[2] = float("nan")
    for judged in (lambda: predict_attributes(judge, faces), lambda: edits_that_took(forge, judge, faces)):
        with pytest.raises(ValueError, match="no finite verdict on 12 of 12 images"):
            judged()


@pytest.mark.kind("undefined numbers", "refused")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_pixels_that_are_not_finite_are_no_picture(value):
    x = torch.zeros(3, 3, 8, 8)
    x[1, 0, 0, 0] = value
    with pytest.raises(ValueError, match="1 of 3 images hold values that are not finite"):
        to_uint8(x)
