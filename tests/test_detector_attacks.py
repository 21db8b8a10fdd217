"""Detectors fall to attacks that stay in their ball and survive 8 bits, and what is measured of it is what happened."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from antidisrupt_lib.detection.attack import (
    CarliniWagner,
    attack_detector,
    parse_attack,
    round_greedily,
    write_attacked,
)
from antidisrupt_lib.detection.detectors import Detector, detect_with, score
from antidisrupt_lib.detection.objectives import away_from_label, towards_real
from antidisrupt_lib.detection.robustness import (
    AXES,
    Exhibits,
    Trained,
    behind,
    craft,
    open_trained,
    photos_of,
    score_all,
    sizes,
)
from antidisrupt_lib.disruption.attacks import pgd
from antidisrupt_lib.disruption.ball import nearest_in_ball
from antidisrupt_lib.disruption.cw import cw_l2
from antidisrupt_lib.metrics.results import plain_result
from antidisrupt_lib.plots.robustness import eps_curve
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.filters import Jpeg
from antidisrupt_lib.purification.purify import load_purifier
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.weights import save_weights

CW = CarliniWagner(searches=6, steps=40, step=0.02)


def keys(n: int = 16) -> list[torch.Generator]:
    return image_generators(0, "attack", range(n))


def images(label: torch.Tensor, seed: int) -> torch.Tensor:
    """Noise, on which fakes carry a faint checkerboard; in 8 bits."""
    g = torch.Generator().manual_seed(seed)
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 2.0 - 1
    noise = 0.5 + 0.08 * torch.randn(len(label), 3, 16, 16, generator=g)
    return ((noise + 0.03 * label[:, None, None, None] * board).clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="module")
def detector() -> nn.Module:
    """A small network that tells such fakes by their checkerboard."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.BatchNorm2d(16),
        nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0),
    )  # fmt: skip
    optimizer, label = torch.optim.Adam(net.parameters(), 1e-2), torch.arange(64).ge(32).float()
    for step in range(60):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(net(images(label, step)), label).backward()
        optimizer.step()
    return net.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def fakes(detector) -> torch.Tensor:
    x = images(torch.ones(16), 1000)
    assert (detector(x) > 0).float().mean() > 0.9
    return x


def test_the_objective_is_the_margin_by_which_the_detector_errs(detector, fakes):
    assert torch.equal(towards_real(detector)(fakes), -detector(fakes))
    label = torch.tensor([0.0, 1.0] * 8)
    assert torch.equal(away_from_label(detector, label)(fakes), detector(fakes) * torch.tensor([1.0, -1.0] * 8))
    blurs = [load_purifier(f"gaussian_blur_{sigma}", "") for sigma in (0.5, 1.0)]
    mean = sum(-detector(blur(fakes, keys())) for blur in blurs) / 2
    torch.testing.assert_close(towards_real(detector, [as_transform(blur, keys()) for blur in blurs])(fakes), mean)


def test_forty_steps_of_pgd_beat_one_and_stay_in_the_ball(detector, fakes):
    eps, goal = 2 / 255, towards_real(detector)
    one, forty = (pgd(fakes, goal, eps=eps, step=eps / 4, steps=steps, generators=keys()) for steps in (1, 40))
    assert (goal(forty) > goal(one)).all() and (forty - fakes).abs().max() <= eps + 1e-6


@pytest.mark.parametrize("kind", ["fgsm", "bim", "mim", "pgd", "apgd"])
def test_attacks_in_a_ball_fool_the_detector_in_eight_bits(kind, detector, fakes):
    attack = parse_attack(f"{kind}_8_255")
    x = attack_detector(fakes, detector, attack, steps=8, generators=keys())
    assert (detector(x) < 0).float().mean() > 0.9
    levels = (x - fakes) * 255
    assert (levels - levels.round()).abs().max() < 1e-3 and levels.abs().max() <= 8.001


def test_rounding_takes_the_nearest_level_inside_the_ball():
    x = torch.arange(256.0).div(255)[None, None, None].repeat(1, 3, 1, 1)
    for eps in range(1, 9):
        moved = (x + eps / 255).clamp(0, 1)
        torch.testing.assert_close(nearest_in_ball(moved - 0.3 / 255, x, eps / 255), moved, rtol=0, atol=1e-6)
        torch.testing.assert_close(nearest_in_ball(moved + 0.9 / 255, x, (eps + 0.9) / 255), moved, rtol=0, atol=1e-6)


def test_cw_passes_for_real_by_its_confidence_after_rounding_and_with_less_than_pgd(detector, fakes):
    nearer = attack_detector(fakes, detector, parse_attack("cw_l2"), steps=1, generators=keys(), cw=CW)
    surer = CarliniWagner(confidence=3.0, searches=6, steps=40, step=0.02)
    further = attack_detector(fakes, detector, parse_attack("cw_l2"), steps=1, generators=keys(), cw=surer)
    pushed = attack_detector(fakes, detector, parse_attack("pgd_8_255"), steps=8, generators=keys())
    assert (detector(nearer) <= 0).all() and (detector(further) <= -3).all()
    assert torch.equal((nearer * 255).round() / 255, nearer)
    norm = [(x - fakes).flatten(1).norm(dim=1).mean() for x in (nearer, further, pushed)]
    assert norm[0] < norm[1] < norm[2]


def test_greedy_rounding_saves_what_the_nearest_levels_lose():
    w = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    x = torch.full_like(w, 100 / 255)
    x_adv = x + 0.4 / 255 * w.sign()  # all of it is lost at the nearest levels

    def objective(x):
        return (w * (x - 100 / 255)).flatten(1).sum(1)

    goal = 0.5 * objective(x_adv).min().item()
    rounded = round_greedily(x_adv, objective, goal)
    assert (objective((x_adv * 255).round() / 255) < 1e-4).all() and (objective(rounded) >= goal).all()
    assert (rounded - x_adv).abs().max() < 1 / 255 and ((rounded - x).abs() > 1e-6).float().mean() < 0.5


def test_an_attack_that_reckons_with_jpeg_outlives_it():
    w = torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(0))
    x, jpeg, fell = images(torch.zeros(8), 5).repeat(1, 1, 2, 2), load_purifier("jpeg_75", ""), []

    def linear(x):
        return (w * (x - 0.5)).flatten(1).sum(1)

    for attack in map(parse_attack, ("pgd_4_255", "pgd_4_255_through_jpeg_75+jpeg_90")):
        transforms = [as_transform(load_purifier(name, ""), keys(8)) for name in attack.seen_through]
        x_adv = attack_detector(x, linear, attack, transforms=transforms, steps=10, generators=keys(8))
        fell.append((linear(jpeg(x, keys(8))) - linear(jpeg(x_adv, keys(8)))).mean())
    assert fell[1] > 1.5 * fell[0] > 0


def test_attacks_are_called_by_name_size_and_what_they_reckon_with():
    attack = parse_attack("mim_1.5_255_through_jpeg_75+gaussian_blur_1.5")
    assert (attack.kind, attack.seen_through) == ("mim", ("jpeg_75", "gaussian_blur_1.5"))
    assert attack.eps == pytest.approx(1.5 / 255) and parse_attack("cw_l2").eps == 1
    for bad in ("pgd", "pgd_0.5_255", "cw_l2_8_255", "lab_chroma_8_255", "", "pgd_2"):
        with pytest.raises(ValueError, match="There is no attack on detectors"):
            parse_attack(bad)


def saved_detectors(folder: Path) -> list[Trained]:
    """Three untrained ones, as if of the arms none (seed 0), weak (0) and none (1)."""
    paths = []
    for arm, seed in (("none", 0), ("weak", 0), ("none", 1)):
        torch.manual_seed(seed)
        net, axes = Detector("test_efficientnet"), {"detector": "test_efficientnet", "arm": arm, "seed": seed}
        paths.append(folder / f"{arm}{seed}.safetensors")
        save_weights(paths[-1], net, {"architecture": net.architecture, "axes": axes})
    return open_trained(paths)


def test_white_and_black_box_from_the_disk(make_faces, tmp_path):
    photos = make_faces(count=4)
    fakes = make_faces(count=8, seed=1, fakes_of=photos)
    a, b, c = saved_detectors(tmp_path)
    assert a.is_surrogate_of(b) and not a.is_surrogate_of(a) and not a.is_surrogate_of(c)
    assert (a.seen_from(a), a.seen_from(b), b.seen_from(a)) == (
        "",
        "_from_test_efficientnet",
        "_from_test_efficientnet_weak",
    )
    attacks = [parse_attack("pgd_2_255"), parse_attack("fgsm_1_255_through_jpeg")]
    made = craft(tmp_path / "made", fakes, [a, b], attacks, steps=2, cw=CW, seed=0)
    assert set(made) == {(t.name, attack.name) for t in (a, b) for attack in attacks}
    attacked = made[a.name, "pgd_2_255"]
    assert attacked.axes == {"faces": "random", "attack": "pgd_2_255"} and attacked.image_ids == fakes.image_ids
    seen = (score(detect_with(a.network), faces) for faces in (attacked, fakes))
    assert (next(seen) <= next(seen) + 1e-4).all()
    assert (
        sizes(fakes, attacked)["linf"].max() == pytest.approx(2 / 255) and (sizes(fakes, fakes)["l2_norm"] == 0).all()
    )
    alone = write_attacked(tmp_path / "one", fakes.rows([5]), a.network, attacks[0], steps=2, seed=0)
    assert (np.abs(alone.images[0].astype(int) - attacked.images[5]) > 0).mean() < 0.02


def test_the_photos_of_fakes_are_found_once_each(make_faces):
    photos = make_faces(count=4)
    fakes = make_faces(count=8, seed=1, fakes_of=photos).rows([7, 2, 6])
    found = photos_of(fakes, photos)
    assert found.image_ids == sorted(set(fakes.table["source_id"])) and len(found) == 2
    with pytest.raises(ValueError, match="made of other photos"):
        photos_of(fakes, photos.rows([0]))


def test_crops_of_fake_videos_are_judged_beside_as_many_real_crops(make_faces):
    photos, fakes = (
        replace(faces, table=faces.table.assign(video_id="v")) for faces in (make_faces(count=4), make_faces(count=2))
    )
    assert photos_of(fakes, photos).image_ids == photos.spread(2).image_ids
    assert len(photos_of(photos, fakes)) == 2


def test_curves_begin_where_nobody_attacks_and_leave_out_what_is_no_white_box():
    axes = {"stage": "robust", "faces": "drawn", "arm": "weak", "detector": "regnetx_002"}
    named = {"fgsm_2_255": 0.6, "pgd_4_255": 0.2, "pgd_1_255": 0.7, "pgd_1_255_from_resnet18": 0.8, "cw_l2": 0.1}
    rows = [plain_result(axes, "accuracy", 0.9, 8, "share")]
    rows += [plain_result(axes | {"attack": name}, "accuracy", value, 8, "share") for name, value in named.items()]
    lines = [eps_curve(pd.DataFrame(rows), attack, "accuracy").axes[0].lines[0] for attack in ("pgd", "fgsm")]
    assert [line.get_xydata().tolist() for line in lines] == [[[0, 0.9], [1, 0.7], [4, 0.2]], [[0, 0.9], [2, 0.6]]]


def test_each_detector_meets_its_own_attacks_and_its_surrogates_before_and_after_purification(make_faces, tmp_path):
    photos = make_faces(count=4)
    fakes = make_faces(count=4, seed=1, fakes_of=photos)
    a, b, c = saved_detectors(tmp_path)
    images = Exhibits(photos, fakes, {(t.name, "pgd_2_255"): fakes for t in (a, b, c)})
    compressed, seconds = behind(Jpeg(75), "jpeg_75", images, tmp_path / "jpeg", seed=0)
    assert seconds > 0 and compressed.attacked[b.name, "pgd_2_255"].axes["purifier"] == "jpeg_75"
    table = score_all([a, b, c], [a], {"": images, "jpeg_75": compressed})
    fake = table[table["fake"] == 1]
    met = {(arm, seed): set(rows["attack"]) for (arm, seed), rows in fake.groupby(["arm", "seed"])}
    assert met["none", 0] == met["none", 1] == {"", "pgd_2_255"}
    assert met["weak", 0] == {"", "pgd_2_255", "pgd_2_255_from_test_efficientnet"}
    assert len(fake) == 2 * 4 * (2 + 2 + 3) and len(table) - len(fake) == 2 * 4 * 3 and set(AXES) <= set(table)
    assert table["l2_norm"].notna().equals((table["attack"] != "") & (table["purifier"] == ""))
    with pytest.raises(ValueError, match="are both test_efficientnet_none_0. Give one of them another `name`"):
        open_trained([a.path, a.path])


@pytest.mark.filterwarnings("ignore")
def test_cw_and_pgd_agree_with_foolbox(detector, fakes):
    foolbox = pytest.importorskip("foolbox")
    two = nn.Sequential(detector, nn.Unflatten(0, (-1, 1)), nn.ConstantPad1d((1, 0), 0.0)).eval()  # logits 0 and z
    model, label, goal = (
        foolbox.PyTorchModel(two, bounds=(0, 1), device="cpu"),
        torch.ones(16).long(),
        towards_real(detector),
    )
    how = {"steps": 60, "step": 0.01}
    eps, few = 1.5 / 255, {"steps": 20, "step": 0.4 / 255}
    ours = {
        "cw": cw_l2(fakes, goal, eps=1.0, **how, generators=keys(), threshold=0.0, initial_c=1e-2, start=0.0),
        "pgd": pgd(fakes, goal, eps=eps, **few, generators=keys()),
    }
    cw = foolbox.attacks.L2CarliniWagnerAttack(9, how["steps"], how["step"], initial_const=1e-2)
    linf = foolbox.attacks.LinfPGD(abs_stepsize=few["step"], steps=few["steps"])
    theirs = {"cw": cw(model, fakes, label, epsilons=None)[1], "pgd": linf(model, fakes, label, epsilons=eps)[1]}
    for name in ours:
        success = [(detector(x[name]) <= 0).float().mean() for x in (ours, theirs)]
        norm = [(x[name] - fakes).flatten(1).norm(dim=1).mean() for x in (ours, theirs)]
        assert abs(success[0] - success[1]) <= 0.02 and norm[0] == pytest.approx(norm[1].item(), rel=0.05), name
