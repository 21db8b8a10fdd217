"""README: your own attack, purifier or detector may be any callable, however it was made."""

import contextlib
import copy
import functools
import importlib
import math
import os
import pickle
import sys
import threading
import warnings
from functools import partial

import cloudpickle
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from antidisrupt_lib.deepfakes.translations import translations
from antidisrupt_lib.detection.attack import attack_detector, own_attack, parse_attack, write_attacked
from antidisrupt_lib.detection.defences import plain_loss
from antidisrupt_lib.detection.detectors import detect_with, score
from antidisrupt_lib.detection.objectives import away_from_label
from antidisrupt_lib.disruption.apgd import apgd
from antidisrupt_lib.disruption.attacks import ATTACKS, fgsm, fgsm_as_published, pgd
from antidisrupt_lib.disruption.cw import cw_l2
from antidisrupt_lib.disruption.declared import Declared, declarations, declare, published_form
from antidisrupt_lib.disruption.disrupt import disrupt, write_disrupted
from antidisrupt_lib.disruption.objectives import away_from_target, in_turn, jointly
from antidisrupt_lib.faces.drawn_videos import write_video
from antidisrupt_lib.faces.face_detectors import mtcnn, opencv_cascade
from antidisrupt_lib.faces.video_crops import Cropping, find_face, read_pickled
from antidisrupt_lib.faces.video_lists import VideoListing
from antidisrupt_lib.faces.videos import read_videos
from antidisrupt_lib.fingerprint import fingerprint
from antidisrupt_lib.naming import base_name, display_name
from antidisrupt_lib.purification.adaptive import as_transform
from antidisrupt_lib.purification.compose import Composed, trajectory
from antidisrupt_lib.purification.filters import Jpeg
from antidisrupt_lib.purification.purifiers import is_differentiable, network_calls
from antidisrupt_lib.purification.purify import write_purified
from antidisrupt_lib.seeding import image_generators

HOW = {"eps": 0.03, "step": 0.01, "steps": 3}
C = torch.tensor([[0.0, 1, 0, 1, 1]])
OWN = "the user's own functions"


def photos(n: int = 2) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 8, 8), generator=torch.Generator().manual_seed(2)) / 255


def keys(n: int = 2) -> list[torch.Generator]:
    return image_generators(0, "own", range(n))


def curved(x: torch.Tensor) -> torch.Tensor:
    return (9 * x).sin().flatten(1).sum(1)


def darker(x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
    return x.square()


# Callables of every kind that end in the same function


class Holder:
    """An object with a method, a class method and a static one."""

    def __init__(self, function) -> None:
        self.function = function

    def method(self, *args, **kwargs):
        return self.function(*args, **kwargs)

    @classmethod
    def of_the_class(cls, x):
        return x


class Caller(Holder):
    """An object that is called."""

    def __call__(self, *args, **kwargs):
        return self.function(*args, **kwargs)


class Module(nn.Module):
    """A torch module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args, **kwargs):
        return self.function(*args, **kwargs)


def wrapped(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return function(*args, **kwargs)

    return inner


KINDS = {
    "function": lambda function: function,
    "partial": partial,
    "nested partial": lambda function: partial(partial(function)),
    "wraps": wrapped,
    "partial of wraps": lambda function: partial(wrapped(function)),
    "lambda": lambda function: lambda *args, **kwargs: function(*args, **kwargs),
    "bound method": lambda function: Holder(function).method,
    "callable object": Caller,
    "partial of an object": lambda function: partial(Caller(function)),
    "torch module": Module,
    "cache": functools.cache,
}
HANDING_ON = ["function", "partial", "nested partial", "wraps", "partial of wraps", "cache"]
of_every_kind = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "cache"])


# Names and fingerprints


@pytest.mark.kind(OWN, "named")
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (pgd, "pgd"),
        (partial(pgd), "pgd"),
        (partial(cw_l2, threshold=0.1), "cw_l2_threshold_0.1"),
        (partial(partial(cw_l2, searches=3), threshold=0.1), "cw_l2_searches_3_threshold_0.1"),
        (partial(darker, 2, "a b/c"), "darker_2_a-b-c"),
        (partial(darker, c=pgd), "darker_c_pgd"),
        (Holder(pgd).method, "Holder.method"),
        (Holder.of_the_class, "Holder.of_the_class"),
        (Caller(pgd), "Caller"),
        (partial(Caller(pgd), eps=1), "Caller_eps_1"),
        (Module(pgd), "Module"),
        (nn.Flatten(), "Flatten"),
        (functools.cache(darker), "darker"),
        (wrapped(pgd), "pgd"),
        (len, "len"),
        (np.add, "add"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_callable_has_a_name_to_show(function, name):
    assert display_name(function) == name


def times(k):
    return lambda x: x * k


@pytest.mark.kind(OWN, "told apart")
def test_lambdas_are_told_apart_by_their_code_and_by_what_they_hold():
    made = [lambda x: x + 1, lambda x: x + 2, lambda x, y=1: x + 1, lambda x, y=2: x + 1, lambda x: x.sin()]
    made += [times(k) for k in (1, 2, "1", np.ones(2), np.zeros(2), pgd, apgd)]
    names = [display_name(function) for function in made]
    assert len(set(names)) == len(names) and all(name.startswith("lambda_") for name in names)
    assert [display_name(function) for function in made] == names
    assert display_name(times(2)) == names[6]


@pytest.mark.kind(OWN, "warned of")
def test_lambdas_that_cannot_be_told_apart_are_warned_of():
    lock = threading.Lock()
    with pytest.warns(UserWarning, match="can't be told from another that differs only in its lock.*def"):
        display_name(lambda x: lock)


def written(source: str, name: str = "detect", **known):
    """A function from its source, as a notebook's cell makes it."""
    space = {"__name__": "__main__", "np": np} | known
    exec(source, space)
    return space[name]


BEFORE = """
LEAST = 0.5
def helper(frame): return frame.mean()
class Finder:
    share = 0.5
    def __call__(self, frame): return self.share * frame
finder = Finder()
def detect(frame, margin=3):
    found = [box for box in (1, 2) if box > LEAST]
    return np.zeros((0, 4)) if helper(frame) > 10 else finder(found)
"""


@pytest.mark.kind(OWN, "made anew")
@pytest.mark.parametrize(
    ("old", "new"),
    [("LEAST = 0.5", "LEAST = 0.6"), ("frame.mean()", "frame.max()"), ("share = 0.5", "share = 0.7"),
     ("self.share * frame", "self.share + frame"), ("margin=3", "margin=4"), ("(0, 4)", "(0, 8)"), ("> 10", "> 11"),
     ("finder = Finder()", "finder = Finder(); finder.share = 1"), ("box > LEAST", "box < LEAST"),
     ("> 10 else", ">= 10 else")],
)  # fmt: skip
def test_any_change_of_a_function_or_of_what_it_uses_changes_its_fingerprint(old, new):
    assert old in BEFORE
    before, after = written(BEFORE), written(BEFORE.replace(old, new))
    assert fingerprint(before) != fingerprint(after) and not fingerprint(before).unread
    assert fingerprint(written(BEFORE)) == fingerprint(before)


@pytest.mark.kind(OWN, "kept")
@pytest.mark.parametrize(
    ("old", "new"),
    [("def detect(", "\n\n\ndef detect("), ("    found", "    # a comment\n    found"),
     ("margin=3):\n", 'margin=3):\n    "Explained anew."\n'), ("LEAST = 0.5", "LEAST = 0.5\nOTHER = 7")],
)  # fmt: skip
def test_comments_docstrings_places_and_what_is_not_used_leave_a_fingerprint_as_it_is(old, new):
    plain = BEFORE.replace("margin=3):\n", 'margin=3):\n    "Explained."\n')
    assert fingerprint(written(plain)) == fingerprint(
        written(BEFORE.replace(old, new) if "Exp" in new else plain.replace(old, new))
    )


@pytest.mark.kind(OWN, "made anew")
@pytest.mark.parametrize(
    "decorator", [torch.no_grad(), functools.cache, contextlib.contextmanager, wrapped],
    ids=["no_grad", "cache", "contextmanager", "wrapped"],
)  # fmt: skip
def test_a_decorator_of_a_package_does_not_hide_a_change(decorator):
    before, after = (decorator(written(f"def detect(frame): return frame + {i}")) for i in (1, 2))
    assert fingerprint(before) != fingerprint(after) and not fingerprint(before).unread


@pytest.mark.kind(OWN, "made anew")
@pytest.mark.parametrize(
    "how", ["import own_finder_{}", "from own_finder_{} import find", "def detect(f): import own_finder_{}"]
)
def test_a_change_of_ones_own_module_is_seen_however_it_is_imported(how, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    digests = []
    for i, body in enumerate(("frame + 1", "frame + 2", "frame + 1")):
        file = tmp_path / f"own_finder_{len(how)}.py"
        file.write_text(f"def helper(frame): return {body}\ndef find(frame): return helper(frame)\n")
        importlib.invalidate_caches()
        sys.modules.pop(file.stem, None)
        os.utime(file, (i, i))  # or Python takes what it compiled before
        call = "" if "def" in how else f"\ndef detect(f): return {'find' if 'from' in how else file.stem + '.find'}(f)"
        digests.append(fingerprint(written(how.format(len(how)) + call)).digest)
    assert digests[0] == digests[2] != digests[1]


@pytest.mark.kind(OWN, "made anew")
def test_a_function_that_opens_a_package_is_the_same_whatever_of_that_is_loaded_by_then(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_lab").mkdir()
    lazy = "import lazy_loader\n__getattr__, *_ = lazy_loader.attach(__name__, submod_attrs={'finders': ['find']})"
    (tmp_path / "own_lab/__init__.py").write_text(lazy)
    (tmp_path / "own_lab/finders.py").write_text("def find(frame): return frame + 1")
    detect = written("import own_lab\ndef detect(frame): return own_lab.find(frame)")
    first = fingerprint(detect)
    assert detect(1) == 2 and fingerprint(detect) == first
    (tmp_path / "own_lab/finders.py").write_text("def find(frame): return frame + 2")
    assert fingerprint(detect) != first
    del sys.modules["own_lab"], sys.modules["own_lab.finders"]


@pytest.mark.kind(OWN, "told apart")
def test_values_of_ones_own_classes_are_told_apart_by_their_class_and_content():
    source = "class Mine({}):\n    def more(self): return {}\ndetect = Mine({})"
    kinds = [("dict", "a=1"), ("str", "'a'"), ("list", "[1]"), ("list", "[2]")]
    made = [written(source.format(base, more, value)) for base, value in kinds for more in (1, 2)]
    assert len({fingerprint(value).digest for value in made}) == len(made)
    colours = [written(f"import enum\nclass C(enum.Enum):\n    RED = {i}\ndetect = C.RED") for i in (1, 2)]
    assert fingerprint(colours[0]) != fingerprint(colours[1])


@pytest.mark.kind(OWN, "warned of")
def test_a_class_that_adds_to_one_written_in_c_cannot_be_read():
    class Lock(type(threading.local())):
        """It has a dictionary, and more that nobody sees."""

    assert fingerprint(Lock()).unread[0].endswith("Lock")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.binary(max_size=5)
    | st.builds(np.array, st.lists(st.integers(0, 9), max_size=4)),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner)
    | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.mark.kind(OWN, "told apart")
@settings(deadline=None, max_examples=30, derandomize=True)
@given(a=VALUES, b=VALUES)
def test_partials_are_told_apart_by_their_settings_and_equal_ones_are_not(a, b):
    one = fingerprint(partial(darker, a))
    assert fingerprint(partial(darker, copy.deepcopy(a))) == one and not one.unread
    same = pickle.dumps(a) == pickle.dumps(b) or repr(a) == repr(b)
    assert same or fingerprint(partial(darker, b)) != one


@pytest.mark.kind(OWN, "told apart")
def test_a_module_is_told_apart_by_its_weights_and_circles_end():
    one = Module(nn.Linear(2, 2))
    other = copy.deepcopy(one)
    assert fingerprint(one) == fingerprint(other)
    with torch.no_grad():
        other.function.weight[0, 0] += 1e-3
    assert fingerprint(one) != fingerprint(other)
    one.itself, values = one, []
    values.append(values)
    assert len(fingerprint(one).digest) == len(fingerprint(values).digest) == 32


# Attacks


@pytest.mark.kind(OWN, "handed on")
@pytest.mark.parametrize("kind", HANDING_ON)
@pytest.mark.parametrize("attack", [apgd, cw_l2, ATTACKS["lab_chroma"], fgsm, pgd], ids=lambda attack: attack.__name__)
def test_what_an_attack_says_of_itself_is_handed_on(kind, attack):
    assert declarations(KINDS[kind](attack)) == declarations(attack)


@pytest.mark.kind(OWN, "read")
def test_an_attack_of_ones_own_says_what_it_needs_in_one_line():
    @declare(compares_losses=True)
    def mine(x, objective, **how): ...

    def yours(x, objective, **how): ...

    yours.other_ball = True

    class Theirs:
        own_step = True

        def __call__(self, x, objective, **how): ...

    for attack, said in ((mine, "compares_losses"), (yours, "other_ball"), (Theirs(), "own_step")):
        assert declarations(partial(attack)) == Declared(**{said: True})
    assert declarations(lambda x: x) == Declared()
    with pytest.raises(TypeError, match="compare_losses"):
        declare(compare_losses=True)


@pytest.mark.kind(OWN, "read")
@of_every_kind
def test_an_attack_of_any_kind_of_callable_disrupts_and_is_named(kind, faces, forge, tmp_path):
    attack, few = KINDS[kind](pgd), faces.rows([0, 1])
    found = write_disrupted(tmp_path / "a", few, forge, attack=attack, **HOW, seed=0)
    assert found.axes["attack"] == display_name(attack)
    moved = np.abs(found.images.astype(int) - few.images)
    assert 0 < moved.max() <= 7
    if kind in HANDING_ON:  # then it is the attack itself, down to its noise
        itself = write_disrupted(tmp_path / "b", few, forge, attack="pgd", **HOW, seed=0)
        assert np.array_equal(found.images, itself.images) and found.axes == itself.axes


@pytest.mark.kind(OWN, "handed on")
@pytest.mark.parametrize("attack", [partial(cw_l2, threshold=0.1, searches=2), partial(partial(apgd)), wrapped(apgd)])
def test_a_partial_of_an_attack_that_compares_losses_is_given_them_jointly(attack):
    asked = []

    def forge(x, c):
        asked.append(c.tolist())
        return 2 * x

    disrupt(photos(1), C, forge, attack=attack, eps=0.03, step=1e-3, steps=2, generators=keys(1))
    assert asked[5:10] == asked[:5] == translations(C).tolist() and len(asked) % 5 == 0


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize("attack", [apgd, cw_l2], ids=lambda attack: attack.__name__)
def test_an_attack_that_compares_losses_inside_one_that_does_not_say_so(attack):
    with pytest.raises(ValueError, match="this objective changes at each.*function.compares_losses = True"):
        disrupt(photos(1), C, darker, attack=lambda x, goal, **how: attack(x, goal, **how), **HOW, generators=keys(1))


@pytest.mark.kind(OWN, "handed on")
def test_the_published_form_of_a_partial_keeps_its_settings():
    assert published_form(fgsm) is fgsm_as_published and published_form(pgd) is pgd
    found = published_form(partial(partial(fgsm, eps=0.03), steps=2))
    assert found.func is fgsm_as_published
    how = {"step": 0.01, "generators": keys()}
    expected = fgsm_as_published(photos(), curved, eps=0.03, steps=2, step=0.01, generators=keys())
    assert torch.equal(found(photos(), curved, **how), expected)


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize("attack", [None, 3, ["pgd"], "PGD"], ids=repr)
def test_what_is_no_attack(attack):
    with pytest.raises(ValueError, match="There is no attack .* Choose from: fgsm"):
        disrupt(photos(), C.repeat(2, 1), darker, attack=attack, **HOW, generators=keys())


# Objectives and transforms


@pytest.mark.kind(OWN, "read")
@of_every_kind
def test_an_objective_of_any_kind_of_callable(kind):
    expected = pgd(photos(), curved, **HOW, generators=keys())
    assert torch.equal(pgd(photos(), KINDS[kind](curved), **HOW, generators=keys()), expected)


@pytest.mark.kind(OWN, "read")
@of_every_kind
def test_a_transform_and_a_forger_of_any_kind_of_callable(kind):
    half = lambda x: x / 2  # noqa: E731
    found = away_from_target(KINDS[kind](darker), 0.5, C, KINDS[kind](half))(photos())
    assert torch.equal(found, away_from_target(darker, 0.5, C, half)(photos()))


@pytest.mark.kind(OWN, "refused")
def test_objectives_in_turn_say_that_they_change_also_within_others():
    turns = in_turn([curved, curved])
    for goal in (turns, partial(turns), jointly([turns, curved])):
        with pytest.raises(ValueError, match="APGD compares losses"):
            apgd(photos(), goal, **HOW, generators=keys())
    assert in_turn([curved]) is curved and jointly([curved]) is curved


# Purifiers


def purifying(function):
    """A purifier as the README asks: it says what it costs, and nothing else."""
    function.network_calls = 2
    return function


@purifying
def rounded(x, generators):
    return (8 * x).round() / 8


PURIFIERS = {kind: make for kind, make in KINDS.items() if kind != "cache"}


@pytest.mark.kind(OWN, "read")
@pytest.mark.parametrize("kind", PURIFIERS)
def test_a_purifier_that_says_only_what_it_costs_works_everywhere(kind, faces, tmp_path):
    purify = PURIFIERS[kind](rounded)
    if kind not in HANDING_ON:
        holder = purify.__self__ if kind == "bound method" else purify.func if isinstance(purify, partial) else purify
        (type(holder).method if kind == "bound method" else holder).network_calls = 2
    assert network_calls(purify) == 2 and not is_differentiable(purify)
    both = Composed((purify, Jpeg(75), purify))
    assert both.network_calls == 4 and not both.differentiable
    written, _ = write_purified(tmp_path / "a", faces, purify, "mine", seed=0)
    assert written.axes["purifier"] == "mine" and len(trajectory(both, photos(), keys())) == 4
    x = photos().requires_grad_()
    y = as_transform(purify, keys())(x)
    (g,) = torch.autograd.grad((3 * y).sum(), x)  # BPDA: the identity's gradient
    assert torch.allclose(y, rounded(photos(), None)) and torch.equal(g, torch.full_like(x, 3.0))
    assert as_transform(both, keys())(x).requires_grad


@pytest.mark.kind(OWN, "read")
def test_a_partial_of_a_differentiable_purifier_keeps_its_exact_gradient():
    def square(x, generators, power=1):
        return x**power

    square.network_calls, square.differentiable = 0, True
    x = photos().requires_grad_()
    (g,) = torch.autograd.grad(as_transform(partial(square, power=3), keys())(x).sum(), x)
    torch.testing.assert_close(g, 3 * photos() ** 2)


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize("calls", [None, -1, 1.5, True, "2"], ids=repr)
def test_a_purifier_that_does_not_say_what_it_costs_where_that_is_counted(calls):
    def mine(x, generators): ...

    if calls is not None:
        mine.network_calls = calls
    with pytest.raises(ValueError, match="The purifier mine must say how many passes.*purify.network_calls = 0"):
        _ = Composed((rounded, mine)).network_calls


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize(
    ("change", "text"),
    [(lambda x: x * math.nan, "image 0 has nan"), (lambda x: 255 * x, "reach from 0 to 255"),
     (lambda x: 2 * x - 1, "from -1"), (lambda x: x[:, :1], "these are"), (lambda x: x[:1], "made of"),
     (lambda x: x[..., :5, :5], r"were made of \(12, 3, 32, 32\)"), (lambda x: x.double(), "float64"),
     (lambda x: x.mul(255).byte(), "uint8"), (lambda x: x.numpy(), "this is a ndarray"), (lambda x: None, "NoneType")],
    ids=range(10),
)  # fmt: skip
def test_a_purifier_that_gives_no_photos_by_its_name(change, text, faces, tmp_path):
    def mine(x, generators):
        return change(x)

    with pytest.raises(ValueError, match=f"What the purifier mine gives .*{text}"):
        write_purified(tmp_path / "a", faces, mine, "mine", seed=0)
    assert not list(tmp_path.iterdir())


# Detectors


def brightness(x: torch.Tensor) -> torch.Tensor:
    return 9 * (x - 0.5).flatten(1).mean(1)


def column(x: torch.Tensor) -> torch.Tensor:
    return brightness(x)[:, None]


@pytest.mark.kind(OWN, "read")
@of_every_kind
def test_a_detector_of_any_kind_of_callable_with_n_or_n_x_1_logits(kind, faces):
    attack = parse_attack("apgd_2_255")
    expected = attack_detector(photos(), brightness, attack, steps=2, generators=keys())
    for logit in (brightness, column):
        detector = KINDS[kind](logit)
        assert torch.equal(attack_detector(photos(), detector, attack, steps=2, generators=keys()), expected)
        label = torch.tensor([0.0, 1.0])
        assert torch.equal(away_from_label(detector, label)(photos()), (1 - 2 * label) * brightness(photos()))
        found = score(KINDS[kind](lambda x, logit=logit: logit(x).sigmoid()), faces, batch_size=5)
        torch.testing.assert_close(found, brightness(faces.x()).sigmoid())


@pytest.mark.kind(OWN, "read")
def test_a_network_with_n_x_1_logits_trains_and_judges_as_with_n():
    net = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    flat, label = nn.Sequential(net, nn.Flatten(0)), torch.tensor([0.0, 1.0])
    assert torch.equal(plain_loss(net, photos(), label, 0), plain_loss(flat, photos(), label, 0))
    assert torch.equal(detect_with(net)(photos()), detect_with(flat)(photos()))
    assert torch.equal(detect_with(net)(photos()[:1]), detect_with(flat)(photos()[:1]))


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize(
    ("change", "text"),
    [(lambda z: torch.stack([z, -z], 1), r"\(2, 2\) for 2 images.*one logit per image.*z\[:, 1\] - z\[:, 0\]"),
     (lambda z: z.mean(), r"\(\) for 2 images"), (lambda z: z[:1], r"\(1,\) for 2"), (lambda z: z[None], r"\(1, 2\)"),
     (lambda z: torch.cat([z, z]), r"\(4,\) for 2"), (lambda z: z.tolist(), "a list for 2 images"),
     (lambda z: z * math.nan, "image 0 of 2 the logit nan"),
     (lambda z: z / torch.tensor([1, 0.0]), "image 1 of 2 the logit")],
    ids=["two", "scalar", "fewer", "row", "more", "list", "nan", "inf"],
)  # fmt: skip
def test_a_detector_that_gives_no_logit_per_image_by_its_name(change, text):
    class Mine(nn.Module):
        def forward(self, x):
            return change(brightness(x))

    with pytest.raises(ValueError, match=f"The detector Mine gives .*{text}"):
        attack_detector(photos(), Mine(), parse_attack("pgd_2_255"), steps=2, generators=keys())
    with pytest.raises(ValueError, match=f"The detector Mine gives .*{text}"):
        detect_with(Mine())(photos())


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize(
    ("change", "text"),
    [(lambda z: z, r"probabilities lie in \[0, 1\]. Of logits give the sigmoid"), (lambda z: z * 0 + 1.001, "1.001"),
     (lambda z: z * 0 - 1e-3, "-0.001"), (lambda z: z * math.nan, r"the P\(fake\) nan"),
     (lambda z: z.sum(), r"one P\(fake\)"), (lambda z: torch.stack([z, z], 1), r"\(12, 2\) for 12 images"),
     (lambda z: z.numpy(), "a ndarray")],
    ids=range(7),
)  # fmt: skip
def test_a_detector_that_gives_no_probability_per_image_by_its_name(change, text, faces):
    def mine(x):
        return change(9 * brightness(x))

    with pytest.raises(ValueError, match=f"The detector mine gives .*{text}"):
        score(mine, faces)


@pytest.mark.kind(OWN, "read")
def test_an_attack_of_ones_own_on_a_detector_stands_beside_the_named_ones(faces, tmp_path):
    mine = own_attack(partial(pgd), 2 / 255)
    assert mine.name == "pgd_2_255" and own_attack(cw_l2, 1.0).name == "cw_l2"
    assert own_attack(pgd, 0.01, seen_through=["jpeg_75", "none"]).name == "pgd_2.55_255_through_jpeg_75+none"
    made = [
        write_attacked(tmp_path / f"{i}", faces, brightness, attack, steps=2, seed=0)
        for i, attack in enumerate((mine, parse_attack("pgd_2_255")))
    ]
    assert np.array_equal(made[0].images, made[1].images) and made[0].axes == made[1].axes
    with pytest.raises(ValueError, match="less than one 8-bit level"):
        own_attack(pgd, 0.001)


# Face detectors


FINDING = "def detect(frame): return np.array([[8., 8, 40, 40]]) * {}"


@pytest.fixture(scope="module")
def listing(tmp_path_factory) -> VideoListing:
    folder = tmp_path_factory.mktemp("video")
    for name in "ab":
        write_video(folder / f"{name}.mp4", [Image.new("RGB", (64, 48), (9 * i, 0, 0)) for i in range(12)])
    return VideoListing(folder, pd.DataFrame({"video_id": ["a.mp4", "b.mp4"], "fake": 0, "split": "train"}), "x")


def crops(listing, cache, detect, workers=1):
    found = read_videos(listing, cache, Cropping(detect, 16), frames={"train": 2}, workers=workers)
    return found, {file.name for file in found.files.values()}


@pytest.mark.kind(OWN, "made anew")
def test_a_face_detector_whose_code_was_changed_reads_its_videos_anew(listing, tmp_path):
    with pytest.raises(ValueError, match="give no faces"):
        crops(listing, tmp_path, written("def detect(frame): return np.zeros((0, 4))"))
    _, one = crops(listing, tmp_path, written(FINDING.format(1)))
    _, again = crops(listing, tmp_path, written(FINDING.format(1) + "  # as it was"))
    _, other = crops(listing, tmp_path, written(FINDING.format(0.9)))
    assert one == again and not one & other


@pytest.mark.kind(OWN, "made anew")
def test_a_face_detector_that_cannot_be_compared_is_warned_of_and_reads_all_anew(listing, tmp_path):
    model = np.random.default_rng(0)
    detect = written("def detect(frame): return np.array([[8., 8, 40, 40]]) + 0 * model.random()", model=model)
    with pytest.warns(UserWarning, match="The face detector detect holds a Generator.*all videos are read"):
        _, one = crops(listing, tmp_path, detect)
    with pytest.warns(UserWarning, match="Make it inside the function"):
        _, again = crops(listing, tmp_path, detect)
    assert not one & again


@pytest.mark.kind(OWN, "kept")
@pytest.mark.parametrize("detect", [mtcnn, opencv_cascade], ids=lambda detect: detect.__name__)
def test_our_face_detectors_can_be_compared(detect):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not fingerprint(detect).unread and display_name(detect) == detect.__name__


@pytest.mark.kind(OWN, "read")
@of_every_kind
def test_a_face_detector_of_any_kind_of_callable_is_named_and_reaches_other_processes(kind, listing, tmp_path):
    detect = KINDS[kind](written(FINDING.format(1)))
    found, _ = crops(listing, tmp_path, detect)
    assert set(found.table["detector"]) == {display_name(detect)} and len(found.table) == 4
    there = read_pickled(cloudpickle.dumps(Cropping(detect, 16)), listing.folder / "a.mp4", 2)
    assert there["crops"].shape == (2, 16, 16, 3)


@pytest.mark.kind(OWN, "read")
def test_a_lambda_finds_faces_in_other_processes(listing, tmp_path):
    found, _ = crops(listing, tmp_path, lambda frame: [[8.0, 8, 40, 40]], workers=2)
    assert len(found.table) == 4


@pytest.mark.kind(OWN, "refused")
@pytest.mark.parametrize(
    "boxes", [None, 3.0, [1, 2, 3, 4], [[1, 2, 3]], [[[1, 2, 3, 4]]], [[0, 0, math.nan, 4]]], ids=repr
)
def test_a_face_detector_that_gives_no_boxes_by_its_name(boxes):
    def mine(frame):
        return boxes

    with pytest.raises(ValueError, match="The face detector mine gives .* it must give boxes"):
        find_face(np.zeros((48, 64, 3), np.uint8), mine)


@pytest.mark.kind(OWN, "read")
@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4)), np.zeros((0, 8)), torch.zeros(0, 4)], ids=str)
def test_a_frame_without_a_face(boxes):
    assert find_face(np.zeros((48, 64, 3), np.uint8), lambda frame: boxes) is None


def test_a_name_without_settings_keys_the_noise():
    assert base_name(partial(partial(pgd), steps=3)) == "pgd"
