"""README: `import antidisrupt_lib as ad` gives the parts of the chain by name, and loads nothing before it is asked."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import antidisrupt_lib as ad
from antidisrupt_lib.metrics.distances import l2
from antidisrupt_lib.seeding import image_generators

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_readmes_ten_lines_disrupt_purify_forge_and_detect():
    codes = [part.split("```")[0] for part in README.split("```python")[1:]]
    (code,) = [code for code in codes if "import antidisrupt_lib" in code]
    found = {}
    exec(code, found)
    x, x_adv, x_pure, y = (found[name] for name in ("x", "x_adv", "x_pure", "y"))
    assert 0 < (x_adv - x).abs().max() <= 0.025 and found["p_fake"].shape == (4,) and y.shape == (5, 4, 3, 64, 64)
    broken, pure = (l2(found[name].flatten(0, 1), y.flatten(0, 1)).mean() for name in ("y_adv", "y_pure"))
    assert broken > 5 * pure and x_pure.shape == x.shape


def test_nothing_is_loaded_before_it_is_asked_for():
    code = "import sys, antidisrupt_lib as ad; dir(ad); assert not {'torch', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


ROOMS = {path.stem for path in Path(ad.__file__).parent.iterdir()}


@pytest.mark.parametrize("name", sorted({*ad.__all__} - ROOMS - {"ATTRIBUTES"}))
def test_every_name_is_documented_with_an_example(name):
    assert ">>> " in getattr(ad, name).__doc__ and name in dir(ad)


@pytest.mark.parametrize("name", ["attention", "stgan", "stargan"])
def test_a_forger_of_the_zoo_by_its_name_edits_faces(name):
    photos = ad.load_faces(count=2, seed=4)
    x, c = photos.x(), photos.labels(ad.ATTRIBUTES)
    y = ad.forger(name)(x, 1 - c)
    assert y.shape == x.shape and (y - x).abs().mean() > 0.01 and torch.equal((ad.judge()(x) > 0).float(), c)


@pytest.mark.parametrize(
    ("ask", "text"),
    [(lambda: ad.forger("cat"), "no forger 'cat'. Choose from: attention, stgan"),
     (lambda: ad.purifier("diffpure_301"), "knows steps 1 to 300"), (lambda: ad.attack("pdg"), "no attack 'pdg'"),
     (lambda: ad.detector("resnett18"), "Did you mean resnet18")],
    ids=range(4),
)  # fmt: skip
def test_names_that_there_are_not_are_refused_with_those_that_there_are(ask, text):
    with pytest.raises(ValueError, match=text):
        ask()


def test_a_name_that_the_library_lacks_is_refused_with_all_that_it_has():
    with pytest.raises(AttributeError, match="it has: ATTRIBUTES, at_least, attack, benchmarks"):
        _ = ad.protekt


def test_a_disruption_is_the_same_for_a_seed_and_takes_ones_own_attack():
    photos = ad.load_faces(count=2)
    x, c, forge = photos.x(), photos.labels(ad.ATTRIBUTES), ad.forger("stargan")
    mine = f"{Path(__file__).parents[1]}/params/your_own.py:langevin"
    made = [
        ad.disrupt(x, c, forge, attack=attack, steps=2, seed=seed) for attack, seed in ((mine, 0), (mine, 0), (mine, 1))
    ]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    keys = image_generators(0, "own", range(2))
    assert ad.attack(mine)(x, lambda x: x.flatten(1).sum(1), eps=0.1, step=0.1, steps=1, generators=keys).max() <= 1
