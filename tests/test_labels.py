"""Readers see words, also for what a study combined, and never lose what tells two things apart."""

import json
from itertools import product

import pandas as pd
import pytest

from antidisrupt_lib.disruption.disrupt import CONDITIONINGS, OBJECTIVES, attack_name
from antidisrupt_lib.labels import attack_label, defence_label, forger_label, metric_label, purifier_label, world_label
from antidisrupt_lib.purification.autoencoders import AUTOENCODERS
from antidisrupt_lib.purification.purify import DIFFUSIONS, UNTRAINED
from antidisrupt_lib.tables import in_words


@pytest.mark.parametrize(
    ("label", "name", "said"),
    [
        (attack_label, "", "untouched"),
        (attack_label, "cw_l2_mixed", "C&W and untouched"),
        (
            attack_label,
            "pgd_2_255_through_jpeg_75+one_step_from_resnet10t",
            "PGD 2/255, seen through JPEG at 75 + one step, from resnet10t",
        ),
        (attack_label, "pgd_knows_reverse_diffusion_3", "PGD, knows reverse diffusion, t = 3"),
        (attack_label, "pgd_eot_blur", "PGD, EOT over blurs"),
        (purifier_label, "shift_2+gamma_1.2", "shift by 2 px + gamma 1.2"),
        (purifier_label, "autoencoder_1_as_published", "autoencoder 1, as published"),
        (purifier_label, "gaussian_blur_1.5+diffpure_10", "Gaussian blur, σ = 1.5 + DiffPure, t = 10"),
        (purifier_label, "none", "no purifier"),
        (forger_label, "stargan_2000", "StarGAN, 2,000 steps"),
        (world_label, "clean_by_stargan_unedited", "clean, by StarGAN, nothing edited"),
        (metric_label, "recall_fake_at_fpr_5", "recall of fakes at 5 % false alarms"),
        (metric_label, "share_disrupted_masked_at_0.025", "edits broken (masked) at 0.025"),
        (metric_label, "accuracy_in_pgd_then_diffpure_10_by_stgan", "accuracy in PGD, then DiffPure, t = 10, by STGAN"),
        (defence_label, "adversarial+lipschitz_50", "adversarial + Lipschitz, 50"),
        (world_label, "clean", "clean"),
        (attack_label, "my_attack", "my attack"),
    ],
)
def test_names_are_told_in_words(label, name, said):
    assert label(name) == said


def test_no_two_attacks_of_a_study_are_called_the_same():
    choices = product(("pgd", "fgsm", "universal"), OBJECTIVES, CONDITIONINGS, ("", "main.9"), ([], ["jpeg_75"]))
    names = {
        attack_name(attack, objective=goal, conditioning=met, layer=layer, seen_through=seen)
        for attack, goal, met, layer, seen in choices
    } | {attack_name(attack, as_published=True) for attack in ("pgd", "fgsm")}
    assert len({attack_label(name) for name in names}) == len(names)


def test_every_purifier_has_words_of_its_own():
    numbered = [name + "x".join(f"_{10 + i}" for i in range(n)) for name, (_, known) in
                (DIFFUSIONS | UNTRAINED).items() for n in range(len(known) + 1)]  # fmt: skip
    names = {name.replace("x_", "x") for name in numbered} | set(AUTOENCODERS)
    said = {purifier_label(name) for name in names}
    assert len(said) == len(names) and not any("_" in label for label in said)


def test_a_table_for_readers_has_words_and_dashes():
    table = pd.DataFrame({"attack": ["pgd", None], "purifier": ["jpeg_75", ""], "recall_fake": [0.5, None]})
    shown = in_words(table)
    assert shown.columns.tolist() == ["attack", "purifier", "recall of fakes"]
    assert shown.values.tolist() == [["PGD", "JPEG at 75", 0.5], ["untouched", "no purifier", "–"]]
    assert json.loads(in_words(shown).to_json()) == json.loads(shown.to_json())  # what is in words stays as it is
