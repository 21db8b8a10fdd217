"""The adaptive standard: who hides a gradient is caught, who doesn't passes, and the worst case is the worst case."""

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.claims.hardest import FEW_CALLS, WAYS, verdicts_table
from antidisrupt_lib.claims.table import claims_table
from antidisrupt_lib.detection.hardest import detecting
from antidisrupt_lib.metrics.hardest import (
    broken_draws,
    broken_up_to,
    hardest_results,
    read_standards,
    smallest_eps_behind,
    worst_case,
)
from antidisrupt_lib.metrics.results import COLUMNS, plain_result, result, write_results
from antidisrupt_lib.plots.hardest import eps_behind, shares_by_attack, who_breaks_what
from antidisrupt_lib.purification.false_security import CHECKS, check_security, failed
from antidisrupt_lib.purification.filters import GaussianBlur, Unchanged
from antidisrupt_lib.purification.hardest import (
    STANDARD,
    Effort,
    attacks_of,
    cost_per_photo,
    disrupt_knowing,
    forging,
    resubmitted,
)
from antidisrupt_lib.seeding import image_generators, randn_like

EPS, EFFORT = 0.04, Effort(steps=16, draws=2, restarts=1, queries=30)


def edges(x, c):
    """A forger that a small change breaks: it magnifies fine patterns, in as many ways as there are edits."""
    return (0.5 + 12 * (x - x.roll(1, 3)) * (1 + c.sum(1))[:, None, None, None] / 3).clamp(0, 1)


def keys(what):
    return image_generators(0, what, range(2))


@pytest.fixture
def photos():
    smooth = torch.linspace(0.3, 0.6, 16).expand(2, 3, 16, 16)
    return smooth.contiguous(), torch.tensor([[1.0, 0, 0, 1, 0], [0, 1, 0, 0, 1]])


class Passing:
    """A purifier that does nothing, and says that it is differentiable."""

    network_calls, differentiable = 0, True

    def __call__(self, x, generators):
        return x


class Shattered(Passing):
    """It adds a pattern far too fine for an attack's steps, so that its exact gradient leads nowhere."""

    def __call__(self, x, generators):
        return x + 2e-4 * torch.sin(3e5 * x)


class Misleading(Passing):
    """What comes back through it is noise."""

    def __call__(self, x, generators):
        y = x.clone()
        if y.requires_grad:
            y.register_hook(lambda g: randn_like(g, generators))
        return y


class Detached(Passing):
    def __call__(self, x, generators):
        return x.detach() + 0 * x


class Noisy(Passing):
    def __call__(self, x, generators):
        return (x + 0.2 * randn_like(x, generators)).clamp(0, 1)


def checked(photos, purify):
    x, c = photos
    return check_security(x, forging(edges, x, c), purify, eps=EPS, effort=EFFORT, keys=keys)


@pytest.mark.parametrize("purify", [Unchanged(), GaussianBlur(0.5)])
def test_an_honest_purifier_passes_all_checks(photos, purify):
    table = checked(photos, purify)
    assert table["check"].tolist() == list(CHECKS)
    assert failed(table) == [], table


@pytest.mark.parametrize(
    ("purify", "by"),
    [(Shattered(), {"beats_transfer", "slope"}), (Misleading(), {"beats_transfer", "slope"}), (Detached(), {"slope"})],
    ids=["shattered", "misleading", "detached"],
)
def test_a_planted_defence_that_hides_its_gradient_is_caught(photos, purify, by):
    assert by <= set(failed(checked(photos, purify)))


def test_one_that_nothing_reaches_fails_the_unbounded_attack(photos):
    class Memory(Passing):
        def __call__(self, x, generators):
            return photos[0] + 1e-4 * (x - photos[0])

    assert "unbounded" in failed(checked(photos, Memory()))


def test_every_attack_of_the_standard_stays_in_the_ball_in_8_bits_and_does_more_than_noise(photos):
    x, c = photos
    victim = forging(edges, x, c)
    made = disrupt_knowing(
        x, victim, GaussianBlur(0.5), STANDARD, eps=EPS, effort=Effort(15, 2, 2, 15), keys=keys
    )  # fmt: skip
    assert set(made) == {"unaware", "uniform_noise", *STANDARD, *(f"{name}_2" for name in STANDARD)}
    l2 = {
        name: resubmitted(victim.measure, GaussianBlur(0.5), x_adv, keys("l2"), 1).mean()
        for name, x_adv in made.items()
    }
    for name, x_adv in made.items():
        assert (x_adv - x).abs().max() <= EPS + 1 / 512
        torch.testing.assert_close(255 * x_adv, (255 * x_adv).round(), atol=1e-3, rtol=0)
        assert name in ("uniform_noise", "square", "square_2", "low_frequency", "low_frequency_2") or (
            l2[name] > 2 * l2["uniform_noise"]
        )
    assert l2["warm"] >= l2["unaware"]


def test_an_attack_that_is_not_of_the_standard_is_refused(photos):
    with pytest.raises(ValueError, match="'fgsm' is no attack of the adaptive standard"):
        attacks_of(["pgd", "fgsm"], photos[0])


def test_each_resubmission_has_fresh_noise_and_is_the_same_in_any_batch(photos):
    x, c = photos
    victim = forging(edges, x, c)
    both = resubmitted(victim.measure, Noisy(), x, keys("again"), 3)
    assert both.shape == (3, 2, 5) and both.std(0).min() > 0
    alone = forging(edges, x[:1], c[:1])
    torch.testing.assert_close(resubmitted(alone.measure, Noisy(), x[:1], keys("again")[:1], 3), both[:, :1])


def test_the_cost_counts_every_look_through_the_purifier():
    class Ten(Passing):
        network_calls = 10

    found = cost_per_photo(["pgd", "square"], Effort(steps=100, draws=8, restarts=2, queries=50), Ten(), 5)
    assert found == {"forger_passes": 8 * 2 * (100 + 50 * 5), "network_calls": 8 * 2 * 150 * 10}


# What is made of it


def measured(values: dict) -> pd.DataFrame:
    """L2 by (known, attack, purifier, eps), of one edit of each of 12 people in each of several draws."""
    rows = [
        {"known": known, "attack": attack, "purifier": met, "eps": eps, "draw": draw, "person": f"p{i}",
         "image_id": f"{i}.png", "answer": "Male", "value": value}
        for (known, attack, met, eps), draws in values.items()
        for i in range(12)
        for draw, value in enumerate(draws)
    ]  # fmt: skip
    return pd.DataFrame(rows)


TABLE = {
    ("none", "unaware", "jpeg", 0.02): [0.0, 0.0, 0.0, 0.0],
    ("none", "uniform_noise", "jpeg", 0.02): [1.0, 1.0, 1.0, 1.0],
    ("jpeg", "pgd", "jpeg", 0.02): [0.1, 0.0, 0.0, 0.0],
    ("blur", "apgd", "jpeg", 0.02): [0.1, 0.1, 0.1, 0.0],
    ("jpeg", "pgd", "jpeg", 0.04): [0.05, 0.05, 0.0, 0.0],
}


def test_the_worst_case_is_over_attacks_and_over_what_they_knew_but_not_over_noise():
    worst = worst_case(broken_draws(measured(TABLE))).set_index(["eps", "image_id"]).loc[0.02].iloc[0]
    assert (worst["mean"], worst["any"], worst["majority"]) == (0.75, 1, 1)
    later = worst_case(broken_draws(measured(TABLE))).query("eps == 0.04").iloc[0]
    assert (later["mean"], later["any"], later["majority"]) == (0.5, 1, 0)  # half is no majority


def test_the_smallest_eps_is_the_first_that_breaks_an_edit_and_infinite_if_none_does():
    worst = worst_case(broken_draws(measured(TABLE)))
    assert smallest_eps_behind(worst)["eps"].tolist() == [0.02] * 12
    only_late = worst[worst["eps"] == 0.04]
    assert np.isinf(smallest_eps_behind(only_late)["eps"]).all()
    assert broken_up_to(smallest_eps_behind(worst), [0.01, 0.02]).loc["jpeg"].tolist() == [0, 1]


def verdict(table: dict, failing: list) -> str:
    rows = hardest_results(measured(table), {"stage": "hardest"}, {"jpeg": failing})
    return verdicts_table(pd.DataFrame(rows), 0.02)["verdict"].item()


def test_a_defence_that_fails_a_check_gets_no_verdict_unless_it_was_shown_to_fall():
    holding = {("jpeg", "pgd", "jpeg", 0.02): [0.0, 0.0]}
    assert verdict(holding, []) == "holds"
    assert verdict(holding, ["slope"]) == "not measured: undefined: 0 was reached, but checks failed: slope"
    assert verdict(TABLE, ["slope"]) == "does not hold"


def test_a_purifier_that_nobody_knew_can_fall_but_not_hold():
    unknown = {("blur", "pgd", "jpeg", 0.02): [0.0, 0.0]}
    rows = pd.DataFrame(hardest_results(measured(unknown), {"stage": "hardest"}, {"blur": []}))
    assert verdicts_table(rows, 0.02)["verdict"].item().endswith("undefined: 0 was reached, but no attack knew it")


def test_verdicts_are_those_of_the_claims_which_ask_for_ten_people():
    few = measured({("jpeg", "pgd", "jpeg", 0.02): [0.0]}).query("person < 'p4'")  # p0, p1, p10, p11, p2, p3
    rows = hardest_results(few, {"stage": "hardest"}, {"jpeg": []})
    assert verdicts_table(pd.DataFrame(rows), 0.02)["verdict"].item() == "undecided: 6 people, fewer than 10"


def test_results_say_what_each_attack_knew():
    rows = pd.DataFrame(hardest_results(measured(TABLE), {"stage": "hardest"}, {})).set_index(["attack", "metric"])
    assert rows.loc[("apgd_knows_blur", "share_disrupted_mean_at_0.02"), "value"] == 0.75
    assert rows.loc[("unaware", "share_disrupted_any_at_0.02"), "value"] == 0
    assert rows.loc[("worst", "share_disrupted_majority_at_0.02"), "over"] == "12 people"


def test_several_standards_are_read_as_one_and_keep_what_failed(tmp_path):
    for purifier, failing in (("jpeg", ["slope"]), ("blur", [])):
        folder = tmp_path / purifier
        folder.mkdir()
        values = {key: draws for key, draws in TABLE.items() if key[0] in (purifier, "none")}
        measured(values).assign(changes=True).to_parquet(folder / "hardest.parquet")
        axes = {"stage": "hardest", "faces": "drawn", "forger": "stargan", "purifier": purifier, "attack": "standard"}
        rows = [plain_result(axes, "checks_failed", len(failing), 7, "checks", ", ".join(failing))]
        write_results(folder / "results.csv", rows)
    table, failing, axes, costs = read_standards([tmp_path / "jpeg", tmp_path / "blur"])
    assert len(table) == len(measured(TABLE)) and failing == {"jpeg": ["slope"], "blur": []}
    assert axes == {"stage": "hardest", "faces": "drawn", "forger": "stargan"}
    assert [row["metric"] for row in costs] == ["checks_failed"] * 2
    with pytest.raises(FileNotFoundError, match="results.csv"):
        read_standards([tmp_path / "nowhere"])


def test_the_claims_are_decided_by_the_worst_case_by_unseen_disruptors_and_by_the_best_alternative():
    def row(stage, metric, value, **axes):
        return result({"stage": stage, **axes}, metric, value, value - 0.05, value + 0.05, 38, "share", "38 people")

    worst = {"metric": "share_disrupted_majority_at_0.025", "attack": "worst"}
    rows = [row("hardest", value=0.2, purifier="reverse_diffusion", **worst)]
    rows += [row("hardest", value=0.9, purifier=name, **worst) for name in FEW_CALLS]
    rows += [row("screen", "hits_at_5", value, arm=arm, attack=arm) for arm, value in (("seen", 0.1), ("unseen", 0.9))]
    rows += [row("detect", "recovery", value, arm=arm) for arm, value in zip(WAYS, (0.1, 0.2, 0.3, 0.9), strict=True)]
    rows += [row("detect", "recall_fake_in_clean_by_stargan_unedited", 0.1, arm="clean", detector="d")]
    results = pd.DataFrame(rows, columns=list(COLUMNS))
    assert set(claims_table(results, about="hardest")["verdict"]) == {"holds"}
    fallen = results.assign(low=0.6, value=0.7, high=0.75).query("stage == 'hardest'")
    said = claims_table(fallen, about="hardest").set_index("id")["verdict"]
    assert said["hardest_survives"] == "does not hold" and said["hardest_others_fall"] == "holds"
    assert said["screen_finds_unseen"].startswith("not measured")


def test_a_guarded_detector_is_attacked_and_checked_by_the_same_standard(photos):
    x, wave = photos[0], torch.tensor([1.0, -1]).repeat(8)

    def detector(x):  # sees a fake in fine stripes
        return 8 + 400 * (x * wave).mean((1, 2, 3))

    victim = detecting(detector)
    assert (victim.measure(x) < victim.threshold).all()
    made = disrupt_knowing(x, victim, GaussianBlur(0.4), ["warm", "apgd"], eps=EPS, effort=EFFORT, keys=keys)
    passes = {
        name: (resubmitted(victim.measure, GaussianBlur(0.4), x_adv, keys("d"), 1) >= 0).all()
        for name, x_adv in made.items()
    }
    assert passes == {"unaware": True, "uniform_noise": False, "warm": True, "apgd": True}
    assert failed(check_security(x, victim, GaussianBlur(0.4), eps=EPS, effort=EFFORT, keys=keys)) == []
    assert "slope" in failed(check_security(x, victim, Misleading(), eps=EPS, effort=EFFORT, keys=keys))


def test_the_figures_show_a_line_per_purifier_and_a_cell_per_pair():
    broken = broken_draws(measured(TABLE))
    figure = eps_behind(smallest_eps_behind(worst_case(broken)), [0.02, 0.04])
    (line,) = figure.axes[0].lines
    assert line.get_label() == "JPEG" and line.get_ydata().tolist() == [1, 1]
    cells = [text.get_text() for text in who_breaks_what(broken, 0.02).axes[0].texts]
    assert sorted(cells) == ["0.00", "0.00", "1.00"]  # nobody, who knew jpeg, who knew a blur; all met jpeg
    assert shares_by_attack(broken, 0.02)["jpeg"].to_dict()["apgd_knows_blur"] == 1
