"""Drawn people's true edits change what they name, keep the rest, and judge a forger fairly."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.deepfakes.translations import forge_all, translations, truths, write_fakes
from antidisrupt_lib.faces.drawn import write_drawn_celeba
from antidisrupt_lib.faces.looks import EDITS, HAIR, SHAPES, edited, sample_look, sample_person
from antidisrupt_lib.faces.readers import open_faces, write_faces
from antidisrupt_lib.faces.sketch import draw
from antidisrupt_lib.faces.true_edits import changed_region, write_true_edits
from antidisrupt_lib.metrics.truth import region_psnr, truth_measures, truth_results

PEOPLE = [sample_person(3, identity) for identity in range(1, 25)]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("people")
    return write_faces(folder / "photos", open_faces(write_drawn_celeba(folder, 12, seed=3)), name="drawn", size=64)


@pytest.fixture(scope="module")
def edits(photos, tmp_path_factory):
    return write_true_edits(tmp_path_factory.mktemp("edits") / "true", photos, seed=3, workers=1)


def changed_traits(person, other) -> set[str]:
    return {name for name in vars(person) if getattr(person, name) != getattr(other, name)}


@pytest.mark.parametrize("person", PEOPLE, ids=range(len(PEOPLE)))
def test_an_edit_changes_its_own_traits_alone(person):
    for hair in EDITS[:3]:
        other = edited(person, hair)
        assert other.hair == hair and changed_traits(person, other) <= {"hair", "hair_colour"}
    assert changed_traits(person, edited(person, "Young")) <= {"young", "skin", "lips"}
    assert changed_traits(person, edited(person, "Male")) <= {"male", "beard", "lips", *SHAPES}
    assert edited(person, "Young").young != person.young and edited(person, "Male").male != person.male


@pytest.mark.parametrize("person", PEOPLE[:8], ids=range(8))
def test_an_edit_there_and_back_is_the_same_person(person):
    back = edited(edited(person, "Young"), "Young")
    assert np.abs(np.subtract(back.skin, person.skin)).max() <= 2  # two roundings
    back = edited(edited(person, "Male"), "Male")
    assert all(getattr(back, trait) == pytest.approx(getattr(person, trait)) for trait in SHAPES)
    if person.hair in EDITS:
        assert (
            np.abs(np.subtract(edited(edited(person, "Black_Hair"), person.hair).hair_colour, person.hair_colour)).max()
            <= 25
        )  # black clips a dark deviation


def test_the_other_genders_shapes_lie_in_its_own_range():
    for person in PEOPLE:
        other = edited(person, "Male")
        for trait, (men, women) in SHAPES.items():
            low, high = men if other.male else women
            assert low <= getattr(other, trait) <= high


def test_pose_background_light_and_noise_stay(tmp_path):
    look = sample_look(3, 1, 0)
    hair = "Blond_Hair" if look.person.hair != "Blond_Hair" else "Black_Hair"
    before, after = (np.asarray(draw(one)) for one in (look, replace(look, person=edited(look.person, hair))))
    assert np.array_equal(before[:5], after[:5]) and np.array_equal(before[:, :3], after[:, :3])  # the background
    assert (before != after).any()


def test_true_edits_are_fakes_in_order_and_labels(photos, edits, forge, tmp_path):
    fakes = write_fakes(tmp_path / "fakes", photos, forge)
    assert edits.image_ids == fakes.image_ids and EDITS == ATTRIBUTES
    assert torch.equal(edits.labels(ATTRIBUTES[3:]), fakes.labels(ATTRIBUTES[3:]))
    hair = translations(photos.labels(ATTRIBUTES))[:3].transpose(0, 1)
    assert torch.equal(edits.labels(ATTRIBUTES).view(-1, 5, 5)[:, :3], hair)
    assert (
        truths(edits, slice(2, 5)).shape
        == forge_all(forge, photos.x(slice(2, 5)), photos.labels(ATTRIBUTES)[2:5]).shape
    )
    assert torch.equal(truths(edits, slice(2, 5))[4, 1], edits.x([3 * 5 + 4])[0])


def test_photos_that_were_not_drawn_have_no_true_edits(faces, tmp_path):
    with pytest.raises(ValueError, match="drawn faces only, not of 'random'"):
        write_true_edits(tmp_path / "edits", faces, seed=0)
    assert not list(tmp_path.iterdir())


def test_hair_that_is_there_already_is_nothing_to_change(photos, edits):
    labels = photos.labels(ATTRIBUTES)
    for i, hair in enumerate(EDITS[:3]):
        changed = changed_region(photos.x(), truths(edits, slice(0, len(photos)))[i]).flatten(1).any(1)
        assert torch.equal(changed, labels[:, i] == 0), hair
    assert set(HAIR) > set(EDITS[:3])


def test_region_psnr_is_scikit_images_inside_the_region():
    generator = torch.Generator().manual_seed(0)
    y, t = torch.rand(2, 4, 3, 16, 16, generator=generator)
    region = torch.rand(4, 1, 16, 16, generator=generator) < 0.3
    for i, ours in enumerate(region_psnr(y, t, region)):
        inside = region[i, 0].numpy()
        theirs = peak_signal_noise_ratio(t[i].numpy()[:, inside], y[i].numpy()[:, inside], data_range=1)
        assert ours.item() == pytest.approx(theirs, rel=1e-5)


def test_a_forger_that_does_nothing_gains_nothing_and_the_truth_is_infinitely_near(photos, edits):
    x, t = photos.x(), truths(edits, slice(0, len(photos)))[3]
    region = changed_region(x, t)
    idle, perfect = truth_measures(x, t, x, region), truth_measures(t, t, x, region)
    assert idle["edit_gain"].abs().max() == 0 and perfect["edit_psnr"].isinf().all()


def test_edits_with_nothing_to_change_do_not_count(photos, edits):
    labels = photos.labels(ATTRIBUTES)
    rows = truth_results(
        photos.batches(5), lambda x, chosen: x.expand(5, *x.shape), lambda chosen: truths(edits, chosen),
        changed_region, {"stage": "forge", "faces": "drawn"}, photos.people, ATTRIBUTES,
    )  # fmt: skip
    n = {row["metric"]: row["n"] for row in rows}
    assert n["edit_psnr_Male"] == n["kept_psnr_Young"] == len(photos)
    assert n["edit_gain_Black_Hair"] == int((labels[:, 0] == 0).sum())
    assert n["edit_psnr"] == sum(n[f"edit_psnr_{name}"] for name in ATTRIBUTES)


def test_the_true_edits_are_at_no_distance_and_photos_left_alone_at_some(photos, edits):
    def distance(outputs) -> dict:
        return truth_results(
            photos.batches(5), outputs, lambda chosen: truths(edits, chosen), changed_region, {"stage": "forge"},
            photos.people, ATTRIBUTES, ("mean", lambda x: x.mean((2, 3))),
        )[-1]  # fmt: skip

    true, idle = distance(lambda x, chosen: truths(edits, chosen)), distance(lambda x, chosen: x.expand(5, *x.shape))
    assert true["metric"] == "frechet_to_truth_mean" and true["value"] == pytest.approx(0, abs=1e-6)
    assert idle["value"] > 1e-4
    changes = [changed_region(photos.x(), edit).flatten(1).any(1) for edit in truths(edits, slice(0, len(photos)))]
    assert true["n"] == idle["n"] == int(torch.stack(changes).sum())
