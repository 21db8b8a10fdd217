"""The alternatives to purifying: a screen that is tested fairly, a patched forger, photos kept beside others."""

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.deepfakes.patch import PatchConfig, patch_forger
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Generator, forger
from antidisrupt_lib.deepfakes.train import ForgerConfig
from antidisrupt_lib.deepfakes.translations import one_translation, translations
from antidisrupt_lib.detection.alternatives import WAYS, alternative, check_ways
from antidisrupt_lib.detection.screen import check_apart, found, held_out, kept_by, thresholds, train_screen
from antidisrupt_lib.detection.train import DetectorConfig, TrainingSet, treated_photos
from antidisrupt_lib.disruption.adversarial import training_attack
from antidisrupt_lib.faces.faceset import FaceSet, mix
from antidisrupt_lib.metrics.screen import screen_results
from antidisrupt_lib.seeding import generator, image_generators

BLURRED = DetectorConfig("test_resnet", steps=30, batch_size=16, lr=2e-3)


def striped(faces: FaceSet) -> FaceSet:
    """The same photos, plainly disrupted."""
    images = faces.images.copy()
    images[:, ::2] = 255 - images[:, ::2] // 4
    return FaceSet(images, faces.table, faces.axes)


def with_people(faces: FaceSet, first: int) -> FaceSet:
    table = faces.table.assign(identity=faces.table["identity"] + first)
    return FaceSet(faces.images, table.assign(image_id=f"{first}-" + table["image_id"]), faces.axes)


def test_a_screen_finds_what_it_has_learned_at_the_false_alarms_that_were_asked_for(make_faces, tmp_path):
    training, test = make_faces(48, seed=1), with_people(make_faces(30, seed=2), 100)
    screen, limits, _ = train_screen(training, [striped(training)], BLURRED, checkpoint=tmp_path / "c")
    assert found(screen, striped(test), limits[0.05]).mean() > 0.9
    assert found(screen, test, limits[0.05]).mean() < 0.3


def test_thresholds_let_at_most_so_many_clean_photos_be_called_disrupted():
    scores = np.linspace(0, 1, 200)
    limits = thresholds(scores)
    assert (scores > limits[0.01]).mean() <= 0.01 and (scores > limits[0.05]).mean() <= 0.05
    assert (scores > limits[0.05]).mean() > 0.03


def test_thresholds_come_from_people_whom_the_training_has_not_seen(make_faces):
    faces = make_faces(60)
    out = held_out(faces, seed=0)
    assert not set(faces.people[out]) & set(faces.people[~out]) and 0.2 < out.mean() < 0.5


@pytest.mark.parametrize("column", ["image_id", "identity"])
def test_a_planted_leak_of_part_c_in_the_screens_training_is_refused(make_faces, column):
    a, c = make_faces(12), with_people(make_faces(12, seed=1), 100)
    check_apart(a, {"C": c})
    table = a.table.copy()
    table.loc[5, column] = c.table.loc[3, column]
    with pytest.raises(ValueError, match=f"training and C share 1 values of {column}"):
        check_apart(FaceSet(a.images, table, a.axes), {"C": c})


@pytest.fixture
def world(make_faces):
    photos, treated = make_faces(6, seed=3), make_faces(6, seed=4)
    fakes = [make_faces(30, seed=seed, fakes_of=photos) for seed in (5, 6)]
    return TrainingSet((photos, fakes[0]), (treated, fakes[1]), np.array([1, 1, 1, 0, 0, 0], bool))


def test_what_a_screen_finds_leaves_with_its_fakes(world):
    found_clean, found_disrupted = np.array([1, 0, 0, 1, 0, 0], bool), np.array([0, 1, 0, 1, 1, 0], bool)
    kept = kept_by(world, found_clean, found_disrupted)  # photo 1 is disrupted and found, 3 is clean and found
    assert kept.clean[0].image_ids == [world.clean[0].image_ids[i] for i in (0, 2, 4, 5)]
    rows = [5 * i + k for i in (0, 2, 4, 5) for k in range(5)]
    for index in (0, 7, 19):
        mine, theirs = (data.x(torch.tensor([at]), True, "cpu") for data, at in ((kept, index), (world, rows[index])))
        assert torch.equal(mine, theirs)
    with pytest.raises(ValueError, match="throws all 6 photos away"):
        kept_by(world, np.ones(6, bool), np.ones(6, bool))


def test_a_world_beside_another_holds_every_photo_of_both(world, make_faces):
    third = make_faces(6, seed=8), make_faces(30, seed=9, fakes_of=world.clean[0])
    both = world.beside(third)
    assert len(both.faces[0]) == 12 and both.fakes_per_photo == 5
    assert torch.equal(both.x(torch.arange(6), False, "cpu"), world.x(torch.arange(6), False, "cpu"))
    assert torch.equal(both.x(torch.tensor([6]), False, "cpu"), third[0].x([0]))
    assert torch.equal(
        both.x(torch.tensor([44, 59]), True, "cpu"), torch.cat([third[1].x([14]), world.clean[1].x([29])])
    )


def test_a_patched_forger_is_moved_less_by_the_attack_and_the_original_is_left_alone(make_faces, tmp_path):
    torch.manual_seed(0)
    original, photos = Generator(conv_dim=8, blocks=1), make_faces(16, size=16, seed=2)
    before = {name: value.clone() for name, value in original.state_dict().items()}
    attack = training_attack(ForgerConfig(adv_eps=0.05, adv_step=0.03, adv_steps=2))
    config = PatchConfig(steps=25, batch_size=8, lr=3e-3)
    patched, history = patch_forger(original, photos, config, disrupt=attack, checkpoint=tmp_path / "c")
    assert all(torch.equal(value, before[name]) for name, value in original.state_dict().items())
    x, c = photos.x(), photos.labels(ATTRIBUTES).roll(1, 0)
    y = forger(original)(x, c)

    def moved(network):
        x_adv = attack(forger(network), x, c, image_generators(0, "new", photos.image_ids))
        return (forger(network)(x_adv, c) - y).square().mean()

    assert moved(patched) < 0.8 * moved(original) and len(history) == 25


def test_a_photo_meets_the_same_attack_in_a_step_wherever_in_the_batch_it_stands(make_faces, tmp_path):
    photos, drawn = make_faces(12, size=16), []

    def attack(forge, x, c, generators):
        noise = [torch.rand((), generator=key).item() for key in generators]
        drawn.append(dict(zip(x.sum((1, 2, 3)).tolist(), noise, strict=True)))
        return x

    for order in (photos, photos.rows(range(11, -1, -1))):
        network, config = Generator(conv_dim=4, blocks=1), PatchConfig(steps=2, batch_size=40)
        patch_forger(network, order, config, disrupt=attack, checkpoint=tmp_path / f"{len(drawn)}")
    first, second, again, _ = drawn
    both = first.keys() & again.keys()
    assert len(both) > 8 and all(first[photo] == again[photo] for photo in both)
    assert len({*first.values(), *second.values()}) == len(first) + len(second)


def test_each_photo_is_patched_for_one_of_its_translations(make_faces):
    c = make_faces(40).labels(ATTRIBUTES)
    targets, _ = one_translation(c, generator("translation", 0, 1))
    which = [(translations(c)[:, i] == targets[i]).all(1).nonzero().flatten().tolist() for i in range(len(c))]
    assert all(which) and {edit for edits in which for edit in edits} == set(range(5))
    assert treated_photos(make_faces(40), 0.5, 0).sum() == 20


def test_hits_are_told_apart_by_whether_the_screen_has_seen_the_attack():
    people = pd.Series([f"p{i}" for i in range(20)], name="people")
    called = {("", 0.05): np.zeros(20), ("pgd", 0.05): np.ones(20), ("apgd", 0.05): np.arange(20) < 5}
    rows = screen_results(called, dict.fromkeys(("", "pgd", "apgd"), people), {"faces": "drawn"}, ["pgd"])
    found = [(row["metric"], row["arm"], row["attack"], row["value"]) for row in rows]
    assert found == [
        ("false_alarms_at_5", None, None, 0), ("hits_at_5", "seen", "pgd", 1), ("hits_at_5", "unseen", "apgd", 0.25)
    ]  # fmt: skip


def test_each_way_has_its_data_and_one_that_there_is_not_is_refused(world, make_faces):
    photos = world.clean[0]
    third = make_faces(6, seed=8), make_faces(30, seed=9, fakes_of=photos)
    worlds = {"clean": world.clean, "disrupted": world.other, "purified": third, "patched": (world.other[0], third[1])}
    screened = pd.DataFrame({"image_id": photos.image_ids, "clean": False, "disrupted": True})
    data = {way: alternative(way, worlds, world.treated, screened) for way in WAYS}
    assert {way: len(one.faces[0]) for way, (one, _) in data.items()} == {
        "screened": 3, "augmented": 6, "mixed": 12, "patched": 6
    }  # fmt: skip
    assert {way: how.name for way, (_, how) in data.items() if how.name != "weak"} == {"augmented": "strong"}
    assert torch.equal(data["patched"][0].x(torch.tensor([0]), True, "cpu"), third[1].x([0]))
    with pytest.raises(ValueError, match="no way 'burned'. There are: screened"):
        check_ways(["burned"])
    with pytest.raises(ValueError, match="judged other photos"):
        alternative("screened", worlds, world.treated, screened.iloc[::-1])


def test_a_world_is_disrupted_where_it_is_said_to_be_and_clean_elsewhere(make_faces):
    faces, treated = make_faces(10), treated_photos(make_faces(10), 0.4, 0)
    world = mix(faces, striped(faces), treated)
    changed = (world.images != faces.images).any(axis=(1, 2, 3))
    assert treated.sum() == 4 and (changed == treated).all() and world.image_ids == faces.image_ids
    with pytest.raises(ValueError, match="different faces, or in another order"):
        mix(faces, faces.rows(range(9, -1, -1)), treated)
