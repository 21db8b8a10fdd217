"""Weights that aren't what they should be: read as they must be, or refused when opened, in one sentence."""

import io
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.classifier import AttributeClassifier, load_classifier
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.stargan import Generator
from antidisrupt_lib.deepfakes.stargan_v2 import StarGANv2
from antidisrupt_lib.deepfakes.stgan import STGANGenerator
from antidisrupt_lib.detection.detectors import Detector, load_with_axes
from antidisrupt_lib.purification.autoencoders import load_autoencoders, make_autoencoders
from antidisrupt_lib.purification.purify import load_denoiser
from antidisrupt_lib.purification.unets import DiffusersUNet, PublishedUNet
from antidisrupt_lib.weights import load_state, read_foreign_checkpoint, read_weights, save_weights

SMALL = {"conv_dim": 8, "c_dim": 5, "blocks": 1}
NETWORKS = {  # kind: (maker, the rest of its card, loader)
    "StarGAN generator": (lambda: Generator(**SMALL), {}, load_generator),
    "attention generator": (lambda: AttentionGenerator(4, layers=2, blocks=1), {}, load_generator),
    "stgan generator": (lambda: STGANGenerator(4, layers=2, estimator_width=2), {}, load_generator),
    "stargan_v2 generator": (lambda: StarGANv2(32, width=8, max_width=16, hidden=8), {}, load_generator),
    "attribute classifier": (lambda: AttributeClassifier(4), {}, load_classifier),
    "published": (lambda: PublishedUNet(8), {"max_t": 20}, load_denoiser),
    "diffusers": (lambda: DiffusersUNet((8, 16), 1), {"max_t": 20}, load_denoiser),
    "autoencoders": (lambda: make_autoencoders(0), {}, load_autoencoders),
    "detector": (lambda: Detector("test_resnet"), {"axes": {}}, load_with_axes),
}
pytestmark = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
refused = pytest.mark.kind("weights", "refused when opened")
read = pytest.mark.kind("weights", "read")
BUILT = {kind: make() for kind, (make, _, _) in NETWORKS.items()}
CARDS = {
    kind: {"network": kind, "architecture": getattr(network, "architecture", {})} | NETWORKS[kind][1]
    for kind, network in BUILT.items()
}


def written(path, kind, state=None, **changes):
    """A file with a network's tensors and card, both changed at will."""
    card = CARDS[kind] | changes
    path.write_bytes(save(state or BUILT[kind].state_dict(), {"about": json.dumps(card)}))
    return path


def refusal(load, path, *arguments):
    """The text with which `path` is refused: one sentence that names it."""
    with pytest.raises((ValueError, FileNotFoundError)) as error:
        load(path, *arguments)
    text = str(error.value)
    rest = text.replace(str(path), "FILE")
    assert "FILE" in rest and rest.endswith(".") and ". " not in rest and "\n" not in rest and len(rest) < 400, text
    return rest


@read
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_comes_back_by_its_card(tmp_path, kind):
    loaded = NETWORKS[kind][2](written(tmp_path / "w.safetensors", kind))
    loaded = loaded[0] if isinstance(loaded, tuple) else loaded
    assert all(torch.equal(value, BUILT[kind].state_dict()[name]) for name, value in loaded.state_dict().items())


@refused
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("other", NETWORKS)
def test_a_file_of_another_of_our_networks_is_refused(tmp_path, kind, other):
    load = NETWORKS[kind][2]
    if NETWORKS[other][2] is not load:
        words = refusal(load, written(tmp_path / "w.safetensors", other))
        assert f"another kind ({other})" in words
    card = CARDS[kind] | {"network": kind}
    if other != kind:  # the card lies
        (tmp_path / "w.safetensors").write_bytes(save(BUILT[other].state_dict(), {"about": json.dumps(card)}))
        words = refusal(load, tmp_path / "w.safetensors")
        assert "don't fit" in words or "can't be rebuilt" in words


# Files


class Code:
    def __reduce__(self):
        return print, ("this ran",)


def torch_file(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


STATE = Generator(**SMALL).state_dict()
FILES = {
    "empty": b"",
    "web page": b"\n <!DOCTYPE html><html><title>Google Drive - Quota exceeded</title></html>",
    "web page with a byte-order mark": b"\xef\xbb\xbf<html><body>404</body></html>",
    "answer of an API": b'{"error": "Repository not found"}',
    "git-lfs pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 33700000\n",
    "text": b"These are no weights, but a note about them.",
    "noise": bytes(range(256)) * 8,
    "a header longer than the file": b"\xff" * 8 + b"{}",
    "half a checkpoint": torch_file(STATE)[:-1000],
    "half of a safetensors file": save(STATE)[:-1000],
    "a pickle with code": torch_file({"w": torch.zeros(2), "code": Code()}),
    "a whole network": torch_file(nn.Linear(2, 2)),
    "a list": torch_file([torch.zeros(2)]),
    "several networks": torch_file({"G": STATE, "D": STATE}),
    "a number": torch_file(5),
    "TorchScript": None,
}


@refused
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
@pytest.mark.parametrize("content", FILES)
def test_a_file_that_is_no_weights_is_refused(tmp_path, content, ending, capsys):
    path = tmp_path / f"w.{ending}"
    if content == "TorchScript":
        torch.jit.script(nn.Linear(2, 2)).save(path)
    else:
        path.write_bytes(FILES[content])
    words = refusal(load_generator, path)
    assert "this ran" not in capsys.readouterr().out
    for said in ("empty", "web page", "git-lfs"):
        assert (said in words) == content.startswith(said)


@refused
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_a_folder_and_nothing_at_all_are_told_apart(tmp_path, ending):
    (tmp_path / f"w.{ending}").mkdir()
    assert "is a folder" in refusal(load_generator, tmp_path / f"w.{ending}")
    with pytest.raises(FileNotFoundError, match="nothing at"):
        load_generator(tmp_path / f"absent.{ending}")


@refused
@pytest.mark.parametrize("right, wrong", [("safetensors", "ckpt"), ("ckpt", "safetensors")])
def test_a_wrong_ending_is_named(tmp_path, right, wrong):
    (tmp_path / f"w.{wrong}").write_bytes(save(STATE) if right == "safetensors" else torch_file(STATE))
    assert f"rename it to .{right}" in refusal(load_generator, tmp_path / f"w.{wrong}")


@refused
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(share=st.floats(0, 1, exclude_max=True))
def test_weights_cut_short_anywhere_are_refused(tmp_path_factory, ending, share):
    whole = save(STATE) if ending == "safetensors" else torch_file(STATE)
    path = tmp_path_factory.mktemp("cut") / f"w.{ending}"
    path.write_bytes(whole[: int(share * len(whole))])
    refusal(load_generator, path)


# Cards


@refused
@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("card", ["{", "", "nonsense", "[" * 5000, "9" * 5000, "[1]", '"text"', "5", "null", "\u2028"])
def test_a_card_that_is_no_json_object_is_refused(tmp_path, kind, card):
    (tmp_path / "w.safetensors").write_bytes(save(BUILT[kind].state_dict(), {"about": card}))
    assert "has a card that is no JSON" in refusal(NETWORKS[kind][2], tmp_path / "w.safetensors")


ABSURD = [10**9, 10**30, 0, -8, "8", 8.0, 1e300, True, None, [8], {"a": 1}, float("nan")]


@refused
@pytest.mark.parametrize("value", ABSURD, ids=str)
@pytest.mark.parametrize(
    "kind, name",
    [("StarGAN generator", name) for name in SMALL]
    + [("attention generator", name) for name in ("width", "layers", "blocks")]
    + [("stgan generator", name) for name in ("layers", "estimator_width")]
    + [("stargan_v2 generator", name) for name in ("attributes", "hidden", "max_width")]
    + [("attribute classifier", "width"), ("attribute classifier", "c_dim"), ("published", "n_feat")]
    + [("diffusers", "layers"), ("diffusers", "channels"), ("detector", "name"), ("detector", "half_huber")],
)
def test_an_absurd_architecture_is_refused_and_never_allocated(tmp_path, kind, name, value):
    if (name, value) == ("half_huber", True):
        value = 1
    values = [value, [8, value]] if name in ("channels", "attributes") else [value]
    for absurd in values:
        architecture = CARDS[kind]["architecture"] | {name: absurd}
        refusal(NETWORKS[kind][2], written(tmp_path / "w.safetensors", kind, architecture=architecture))


@refused
@pytest.mark.parametrize("kind", ["StarGAN generator", "stgan generator", "published", "diffusers", "detector"])
@pytest.mark.parametrize("architecture", [None, 5, "conv_dim", [8, 5, 1], {"colour": 3}, {"": {}}], ids=str)
def test_an_architecture_with_unknown_names_or_none_is_refused(tmp_path, kind, architecture):
    refusal(NETWORKS[kind][2], written(tmp_path / "w.safetensors", kind, architecture=architecture))


@refused
def test_an_architecture_as_large_as_a_tensor_in_the_file_is_not_allocated(tmp_path):
    state = STATE | {"large": torch.zeros(20_000)}  # a generator of this width has terabytes
    path = written(tmp_path / "w.safetensors", "StarGAN generator", state, architecture=SMALL | {"conv_dim": 20_000})
    assert "don't fit Generator" in refusal(load_generator, path)


words = st.text(st.characters(exclude_characters="."), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=6,
)


@refused
@settings(max_examples=25, deadline=None, derandomize=True)
@given(kind=st.sampled_from(sorted(NETWORKS)), name=st.sampled_from(["network", "architecture"]), value=json_values)
def test_whatever_stands_on_a_card_is_refused_in_one_sentence(tmp_path_factory, kind, name, value):
    path = written(tmp_path_factory.mktemp("card") / "w.safetensors", kind, **{name: value})
    if not (kind == "autoencoders" and name == "architecture" and value == {}):
        refusal(NETWORKS[kind][2], path)


@refused
@pytest.mark.parametrize("max_t", [None, 0, -1, 1001, 10**9, "300", 20.0, True, [20]], ids=str)
def test_a_denoiser_that_knows_no_step_is_refused(tmp_path, max_t):
    assert "max_t" in refusal(load_denoiser, written(tmp_path / "w.safetensors", "published", max_t=max_t))


@refused
@pytest.mark.parametrize("axes", [None, 5, ["seed"]], ids=str)
def test_a_detector_without_axes_is_refused(tmp_path, axes):
    assert "axes" in refusal(load_with_axes, written(tmp_path / "w.safetensors", "detector", axes=axes))


# Tensors


BROKEN = {
    "NaN": lambda w: w.index_fill(0, torch.tensor(0), torch.nan),
    "infinity": lambda w: w.index_fill(0, torch.tensor(0), -torch.inf),
    "beyond float32": lambda w: w.double() * 1e300,
    "integers": lambda w: w.long(),
    "booleans": lambda w: w > 0,
    "complex": lambda w: w + 1j,
    "another shape": lambda w: w[..., :-1],
    "sparse": lambda w: w.to_sparse(),
    "quantized": lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "without numbers": lambda w: w.to("meta"),
}
UNSAVED = ("sparse", "quantized", "without numbers")  # safetensors has no such tensors


@refused
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "ending, broken",
    [("ckpt", broken) for broken in BROKEN] + [("safetensors", broken) for broken in BROKEN if broken not in UNSAVED],
)
def test_a_tensor_that_is_no_finite_number_is_refused_by_name(tmp_path, ending, broken):
    state = STATE | {"main.3.weight": BROKEN[broken](STATE["main.3.weight"])}
    path = tmp_path / f"w.{ending}"
    if ending == "ckpt":
        torch.save(state, path)
    else:
        path.write_bytes(save({name: value.contiguous() for name, value in state.items()}))
    assert "main.3.weight" in refusal(load_generator, path)


@refused
@pytest.mark.parametrize("kind", NETWORKS)
def test_a_network_that_is_not_finite_is_not_saved(tmp_path, kind):
    network = NETWORKS[kind][0]()
    with torch.no_grad():
        next(network.parameters()).view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="w.safetensors was not written: the tensor .* holds NaN or infinity"):
        save_weights(tmp_path / "w.safetensors", network, CARDS[kind])
    assert not any(tmp_path.iterdir())


@refused
def test_half_precision_that_overflows_is_not_saved(tmp_path):
    network = nn.Linear(1, 1)
    nn.init.constant_(network.weight, 1e5)
    save_weights(tmp_path / "w.safetensors", network, {})
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        save_weights(tmp_path / "half.safetensors", network, {}, dtype=torch.float16)


@read
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_other_precisions_become_float32(tmp_path, dtype, ending):
    state, path = {name: value.to(dtype) for name, value in STATE.items()}, tmp_path / f"w.{ending}"
    path.write_bytes(save(state) if ending == "safetensors" else torch_file(state))
    loaded = load_generator(path).state_dict()
    assert all(value.dtype == torch.float32 for value in loaded.values())
    assert all(torch.equal(loaded[name], value.float()) for name, value in state.items())


PREFIXED = {f"module.{name}": value for name, value in STATE.items()}
NESTED = {
    "of DataParallel": PREFIXED,
    "in a table": {"state_dict": STATE},
    "in a table, with a step": {"model": STATE, "step": 200_000, "about": "StarGAN"},
    "of DataParallel in a table": {"state_dict": PREFIXED, "optimizer": {"state": {}, "param_groups": []}},
    "parameters": {name: nn.Parameter(value) for name, value in STATE.items()},
}


@read
@pytest.mark.parametrize("content", NESTED)
def test_checkpoints_are_read_through_what_frameworks_wrap_around_them(tmp_path, content):
    torch.save(NESTED[content], tmp_path / "w.ckpt")
    loaded = load_generator(tmp_path / "w.ckpt").state_dict()
    assert all(torch.equal(value, STATE[name]) for name, value in loaded.items())


@refused
def test_a_prefix_on_some_names_only_is_no_wrapping(tmp_path):
    torch.save(STATE | {"module.main.0.weight": STATE["main.0.weight"]}, tmp_path / "w.ckpt")
    assert "1 unknown (module.main.0.weight)" in refusal(load_generator, tmp_path / "w.ckpt")


# Attributes and sizes


@refused
@pytest.mark.parametrize("labels", [1, 4, 6, 8, 40])
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_a_generator_of_another_number_of_attributes_is_refused(tmp_path, labels, ending):
    other, path = Generator(8, labels, 1), tmp_path / f"200000-G.{ending}"
    if ending == "ckpt":
        torch.save(other.state_dict(), path)
    else:
        save_weights(path, other, {"network": "StarGAN generator", "architecture": other.architecture})
    assert f"trained for {labels} instead of 5 labels" in refusal(load_generator, path)


@refused
@pytest.mark.parametrize("labels", [1, 4, 40])
def test_a_classifier_of_another_number_of_attributes_is_refused(tmp_path, labels):
    other = AttributeClassifier(4, labels)
    save_weights(tmp_path / "w.safetensors", other, {"architecture": other.architecture})
    assert f"trained for {labels} instead of 5 labels" in refusal(load_classifier, tmp_path / "w.safetensors")


@refused
@pytest.mark.parametrize("kind", [kind for kind in NETWORKS if kind != "detector"])
@pytest.mark.parametrize("size", [32, "64", None], ids=str)
def test_weights_for_another_size_are_refused(tmp_path, kind, size):
    path = written(tmp_path / "w.safetensors", kind, size=size)
    assert f"for faces of {size} px and these have 64" in refusal(NETWORKS[kind][2], path, 64)
    NETWORKS[kind][2](written(path, kind, size=64), 64)


@refused
@pytest.mark.parametrize(
    "kind, size, multiple",
    [("StarGAN generator", 130, 4), ("published", 300, 32), ("diffusers", 65, 2), ("autoencoders", 299, 2)],
)
def test_a_size_that_the_network_cannot_halve_is_refused_with_the_nearest_that_it_can(tmp_path, kind, size, multiple):
    words = refusal(NETWORKS[kind][2], written(tmp_path / "w.safetensors", kind), size)
    assert f"multiple of {multiple} px, not {size}" in words and f"or {size // multiple * multiple + multiple}" in words


@read
def test_the_official_layout_at_its_full_size_is_read(tmp_path):
    official = Generator().state_dict()
    for name in [name for name in official if name.endswith(".bias")]:  # InstanceNorm's, as torch 0.4 saved them
        running = {"running_mean": torch.zeros(len(official[name])), "running_var": torch.ones(len(official[name]))}
        official |= {name.replace("bias", part): value for part, value in running.items()}
    torch.save(official, tmp_path / "200000-G.ckpt")
    generator = load_generator(tmp_path / "200000-G.ckpt", 128)
    assert sum(p.numel() for p in generator.parameters()) == 8_430_528


def test_read_functions_agree_with_what_was_written(tmp_path):
    torch.save(STATE, tmp_path / "w.ckpt")
    written(tmp_path / "w.safetensors", "StarGAN generator", STATE)
    foreign, (ours, card) = read_foreign_checkpoint(tmp_path / "w.ckpt"), read_weights(tmp_path / "w.safetensors")
    assert card["architecture"] == SMALL and all(torch.equal(foreign[name], ours[name]) for name in STATE)
    load_state(Generator(**SMALL), foreign, "w")
