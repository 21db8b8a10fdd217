"""README: every image has a random generator of its own, so nothing depends on the batch size."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.deepfakes.translations import forge_all
from antidisrupt_lib.detection.attack import BOUNDED, CarliniWagner, parse_attack, write_attacked
from antidisrupt_lib.disruption.attacks import ATTACKS
from antidisrupt_lib.disruption.disrupt import make_universal, write_disrupted
from antidisrupt_lib.disruption.universal import universal_perturbation
from antidisrupt_lib.metrics.comparison import disruption_left
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.autoencoders import AUTOENCODERS, make_autoencoders
from antidisrupt_lib.purification.purify import DIFFUSIONS, UNTRAINED, load_purifier, write_purified
from antidisrupt_lib.purification.unets import make_network
from antidisrupt_lib.seeding import generator
from antidisrupt_lib.weights import save_weights

SIZES = (1, 2, 3)
SHORT = {"reverse_diffusion": "_3", "diffpure": "_3", "ddim": "_4x2", "one_step": "_4", "gridpure": "_2x2",
         "deep_image_prior": "_8", "deep_image_prior_as_published": "_8", "deep_image_prior_shallow": "_8"}  # fmt: skip
PURIFIERS = [name + SHORT.get(name, "") for name in (*DIFFUSIONS, *UNTRAINED, *AUTOENCODERS)]
# Networks sum in another order for another batch: a gradient next to 0 may change its sign, and a value its rounding.
MOST_THAT_DIFFER = 0.03


@pytest.fixture(scope="module")
def three(make_faces):
    return make_faces(count=3, size=16)


@pytest.fixture(scope="module")
def defence(tmp_path_factory):
    """Weights of purifiers, as notebook 03 leaves them."""
    folder = tmp_path_factory.mktemp("defence")
    torch.manual_seed(0)
    architecture = {"channels": [8, 8, 16], "layers": 1}
    about = {"network": "diffusers", "architecture": architecture, "max_t": 20}
    save_weights(folder / "denoiser.safetensors", make_network("diffusers", architecture).eval(), about)
    save_weights(folder / "autoencoders.safetensors", make_autoencoders(0), {})
    return folder


def share_that_differs(written: list[np.ndarray]) -> float:
    return max(float((images != written[-1]).mean()) for images in written[:-1])


def disrupted(attack, three, forge, folder, **how) -> list[np.ndarray]:
    how = {"eps": 0.03, "step": 0.01, "steps": 4, "seed": 0} | how
    return [
        write_disrupted(folder / f"{n}", three, forge, attack=attack, **how, batch_size=n).images.copy() for n in SIZES
    ]


@pytest.mark.kind("attack edges", "the same in every batch")
@pytest.mark.parametrize("name", [*ATTACKS, "universal", "pgd through purifiers"])
def test_no_attack_depends_on_the_batch_size(name, three, forge, defence, tmp_path):
    how, attack = {}, name
    if name == "universal":
        makers = {"eps": 0.03, "step": 0.01, "steps": 4, "seed": 0}
        attack = make_universal(three, forge, **makers)
        deltas = [make_universal(three, forge, **makers, batch_size=n) for n in SIZES]
        grey = torch.full((1, 3, 16, 16), 0.5)
        found = [delta(grey, None, eps=0.03, step=1.0, steps=1, generators=[]) for delta in deltas]
        assert max((one != found[-1]).float().mean() for one in found) <= MOST_THAT_DIFFER
    if name == "pgd through purifiers":
        parts = [load_purifier(part, defence) for part in ("diffpure_2", "jpeg_75")]
        how, attack = {"seen_through": lambda keys: [as_transform(part, keys) for part in parts]}, "pgd"
    if name == "cw_l2":
        attack = partial(ATTACKS[name], searches=2)
    assert share_that_differs(disrupted(attack, three, forge, tmp_path, **how)) <= MOST_THAT_DIFFER


@pytest.mark.kind("attack edges", "the same in every batch")
@pytest.mark.parametrize("name", [*(f"{kind}_2_255" for kind in BOUNDED), "cw_l2"])
def test_no_attack_on_a_detector_depends_on_the_batch_size(name, three, tmp_path):
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.SiLU(), torch.nn.Flatten(), torch.nn.Linear(784, 1))
    cw, attack = CarliniWagner(searches=4, steps=10), parse_attack(name)
    written = [
        write_attacked(tmp_path / f"{n}", three, net.eval(), attack, steps=3, cw=cw, seed=0, batch_size=n).images.copy()
        for n in SIZES
    ]
    assert share_that_differs(written) <= MOST_THAT_DIFFER


@pytest.mark.kind("the user's own functions", "the same in every batch")
@pytest.mark.parametrize("name", PURIFIERS)
def test_no_purifier_depends_on_the_batch_size(name, three, defence, tmp_path):
    purify = load_purifier(name, defence)
    written = [
        write_purified(tmp_path / f"{n}", three, purify, name, seed=0, batch_size=n)[0].images.copy() for n in SIZES
    ]
    assert share_that_differs(written) <= (0 if name.startswith("deep_image_prior") else MOST_THAT_DIFFER)


@pytest.mark.kind("attack edges", "the same in every batch")
def test_what_is_measured_of_edits_does_not_depend_on_the_batch_size(three, forge, tmp_path):
    c, treated = three.labels(ATTRIBUTES), make_noisy(three)
    edit = lambda x, rows: forge_all(forge, x, c[rows])  # noqa: E731
    found = [disruption_left(three.batches(n), treated.batches(n), edit, "cpu") for n in SIZES]
    for one in found[1:]:
        assert one == pytest.approx(found[0], rel=1e-5)


def make_noisy(faces):
    noise = np.random.default_rng(1).integers(0, 9, faces.images.shape)
    return replace(faces, images=np.clip(faces.images + noise, 0, 255).astype(np.uint8))


@pytest.mark.kind("attack edges", "the same in every batch")
@pytest.mark.parametrize("cut", [[8], [2] * 4, [1] * 8, [5, 3]], ids=str)
def test_a_universal_perturbation_is_the_same_from_any_cut_and_order_of_its_photos(cut):
    x = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    curved = lambda x: (9 * x).sin().flatten(1).sum(1)  # noqa: E731
    how = {"eps": 0.025, "step": 0.005, "steps": 3}
    whole = universal_perturbation([x], [curved], **how, generator=generator(0))
    parts = x.flip(0).split(cut)
    found = universal_perturbation(parts, [curved] * len(parts), **how, generator=generator(0))
    assert torch.equal(found, whole)
