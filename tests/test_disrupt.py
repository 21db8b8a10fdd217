"""Disrupted photos are 8-bit FaceSets, made as asked or as published, and say so."""

import pytest
import torch

from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.disruption.attacks import EPS, STEP, STEPS
from antidisrupt_lib.disruption.ball import nearest_in_ball
from antidisrupt_lib.disruption.disrupt import (
    attack_name,
    counting,
    disrupt,
    make_universal,
    write_disrupted,
)
from antidisrupt_lib.seeding import image_generators

PAPER = {"eps": EPS, "step": STEP, "steps": STEPS}
C = torch.tensor([[0.0, 1, 0, 1, 1]])


def photos(n: int = 1) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 16, 16), generator=torch.Generator().manual_seed(2)) / 255


def keys(n: int = 1) -> list[torch.Generator]:
    return image_generators(0, "attack", range(n))


class Recorder:
    """A forger that notes the labels it is asked for."""

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, x, c):
        self.asked.append(c.tolist())
        return x * (1 + c.mean())


def test_8_bit_rounding_stays_inside_the_ball_and_gives_whole_levels():
    x = torch.arange(256).repeat(12).reshape(1, 3, 32, 32) / 255
    moved = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) * 2 * EPS - EPS
    published = nearest_in_ball((x + moved).clamp(0, 1), x, EPS)
    levels = published * 255
    assert (levels - levels.round()).abs().max() < 1e-3
    assert (published - x).abs().max() <= 6 / 255 + 1e-6 < EPS
    assert (published - x - moved).abs().where((x > 0.1) & (x < 0.9), 0).max() <= 0.5 / 255 + 1e-6  # 6.375 to 6


@pytest.mark.parametrize(("attack", "moved"), [("pgd", 6), ("cw_l2", 9), ("lab_chroma", 9)])
def test_only_attacks_of_an_l_infinity_ball_are_rounded_inside_it(attack, moved, monkeypatch):
    from antidisrupt_lib.disruption import disrupt as module

    nine_levels = lambda x, objective, **settings: x + 8.9 / 255  # noqa: E731
    monkeypatch.setitem(module.ATTACKS, attack, nine_levels)
    nine_levels.other_ball = attack != "pgd"
    x = photos() * 0.5 // (1 / 255) / 255
    found = disrupt(x, C, Recorder(), attack=attack, generators=keys(), **PAPER)
    torch.testing.assert_close(found, x + moved / 255, rtol=0, atol=1e-6)


def test_unknown_attacks_and_objectives_are_refused_with_the_choices(forge):
    given = {"c": torch.ones(2, 5), "forge": forge, "generators": keys(2)} | PAPER
    with pytest.raises(ValueError, match="no attack 'cw'. Choose from: fgsm, bim, mim, pgd, apgd, cw_l2, lab_chroma"):
        disrupt(photos(2), attack="cw", **given)
    with pytest.raises(ValueError, match="no objective 'pink'. Choose from: away, grey, black, white, identity"):
        disrupt(photos(2), attack="pgd", objective="pink", **given)


def test_the_corrected_attack_takes_the_five_translations_in_turn():
    forge, five = Recorder(), translations(C).tolist()
    disrupt(photos(), C, forge, attack="pgd", eps=EPS, step=STEP, steps=7, generators=keys())
    assert forge.asked == five + five + five[:2]  # the clean outputs, then the steps


@pytest.mark.parametrize(("attack", "gradients"), [("apgd", 4), ("cw_l2", 27)])
def test_an_attack_that_compares_losses_takes_them_jointly(attack, gradients):
    forge, five = Recorder(), translations(C).tolist()
    disrupt(photos(), C, forge, attack=attack, eps=EPS, step=1e-6, steps=3, generators=keys())
    assert forge.asked[: 2 * 5] == five + five and len(forge.asked) % 5 == 0
    assert len(forge.asked) <= 5 * (1 + gradients)


def test_ruizs_published_form_knows_one_translation_only():
    forge = Recorder()
    disrupt(photos(), C, forge, attack="pgd", conditioning="Black_Hair", generators=keys(), **PAPER)
    assert forge.asked == [translations(C)[0].tolist()] * (1 + STEPS)


def test_the_published_attack_pulls_to_grey_by_the_photos_own_labels_whatever_is_asked():
    given = {"attack": "pgd", "as_published": True} | PAPER
    forges, results = [Recorder() for _ in range(3)], []
    for forge, objective in zip(forges, ("away", "white", "grey"), strict=True):
        results.append(disrupt(photos(), C, forge, objective=objective, generators=keys(), **given))
        assert forge.asked == [C.tolist()] * STEPS
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])
    grey = disrupt(photos(), C, lambda x, c: x, objective="away", generators=keys(), **given)
    assert (grey - 0.5).abs().mean() < (photos() - 0.5).abs().mean()


def test_disrupted_photos_keep_their_rows_and_tell_the_attack(faces, forge, tmp_path):
    small = {"eps": EPS, "step": STEP, "steps": 2, "seed": 0}
    found = write_disrupted(tmp_path / "a", faces, forge, attack="mim", **small, batch_size=5)
    again = write_disrupted(tmp_path / "b", faces, forge, attack="mim", name="mine", **small, batch_size=12)
    assert found.axes == {"faces": "random", "attack": "mim"} and found.table.equals(faces.table)
    moved = found.images.astype(int) - faces.images
    assert 0 < abs(moved).max() <= 6  # eps is 6.375 levels
    assert (again.images == found.images).mean() > 0.98 and again.axes["attack"] == "mine"
    published = write_disrupted(tmp_path / "c", faces, forge, attack="fgsm", as_published=True, **small)
    assert published.axes["attack"] == "fgsm_as_published"
    assert abs(published.images.astype(int) - faces.images).max() == 1  # 0.0055 is 1.4 levels


def test_a_batchs_transforms_get_a_generator_per_image_whatever_the_batch(faces, tmp_path):
    draws = []

    def seen_through(generators):
        draws.append([torch.rand(1, generator=g).item() for g in generators])
        return [lambda x: 0 * x]

    small = {"eps": EPS, "step": STEP, "steps": 1, "seed": 0, "seen_through": seen_through}
    for batch_size in (12, 5):
        write_disrupted(tmp_path / "a", faces, lambda x, c: x, attack="pgd", **small, batch_size=batch_size)
    assert draws[0] == sum(draws[1:], []) and len(set(draws[0])) == 12


def test_a_universal_perturbation_is_the_same_for_every_face(faces, forge, tmp_path):
    how = {"eps": EPS, "step": STEP, "steps": 2, "seed": 0}
    attack = make_universal(faces.first(7), forge, **how, batch_size=3)
    found = write_disrupted(tmp_path / "a", faces, forge, attack=attack, **how)
    assert found.axes["attack"] == "universal"
    moved = found.images.astype(int) - faces.images
    inside = (faces.images >= 7) & (faces.images <= 248)
    assert (moved.max(0, initial=-9, where=inside) == moved.min(0, initial=9, where=inside))[inside.any(0)].all()


def test_counting_counts_the_images_of_passes_with_gradients(forge):
    counted, passes = counting(forge)
    disrupt(photos(2), C.repeat(2, 1), counted, attack="pgd", generators=keys(2), **PAPER)
    assert passes == [2] * STEPS


def test_an_attack_is_called_by_all_that_differs_from_its_plain_form():
    assert attack_name("pgd") == "pgd" and attack_name("fgsm", as_published=True) == "fgsm_as_published"
    assert attack_name("pgd", objective="grey", conditioning="own", layer="main.9") == "pgd_grey_own_main.9"
    assert attack_name("pgd", seen_through=["jpeg", "none"], expectation=True) == "pgd_through_jpeg+none_expectation"
