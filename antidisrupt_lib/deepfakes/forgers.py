"""The family of forgers: their generators by name, and how their weights are read."""

from pathlib import Path

from torch import Tensor, nn

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Generator, require_labels
from antidisrupt_lib.deepfakes.stargan_v2 import PARTS, StarGANv2, official_architecture
from antidisrupt_lib.deepfakes.stgan import STGANGenerator
from antidisrupt_lib.plug_ins import code_name, is_plug_in, plug_in, short_name
from antidisrupt_lib.rehearsal import require_multiple, require_promised, try_network
from antidisrupt_lib.weights import (
    first_sentence,
    in_short,
    read_foreign_checkpoint,
    read_weights,
    rebuild,
    require_size,
)

NETWORKS: dict[str, type[nn.Module]] = {
    "stargan": Generator,
    "attention": AttentionGenerator,
    "stgan": STGANGenerator,
    "stargan_v2": StarGANv2,
}


def make_generator(network: str, architecture: dict) -> nn.Module:
    """An untrained generator of the family, or of a class of your own, by its dotted name.

    Raises:
        ValueError: there is no such network, or it has no such argument.
    """
    make = _class_of(network)
    try:
        generator = make(**architecture)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        why = first_sentence(error)
        raise ValueError(f"The forger {network} can't be built of {architecture}: {why}.") from error
    return _described(generator, architecture)


def _class_of(network: str) -> type[nn.Module]:
    if is_plug_in(network):
        return plug_in(network, "forger")
    if network not in NETWORKS:
        raise ValueError(
            f"There is no forger {network!r}. Choose from: {', '.join(NETWORKS)}, or give a class of yours, as "
            "module:class."
        )
    return NETWORKS[network]


def _described(generator: nn.Module, architecture: dict) -> nn.Module:
    """The generator, which knows the arguments that it was made of."""
    if not hasattr(generator, "architecture"):
        generator.architecture = architecture
    return generator


def check_generator(network: str, architecture: dict, size: int | None, what: str) -> nn.Module:
    """Try a generator on the meta device with an image and its labels, before anything is allocated; returns it.

    Args:
        size: of the images, in pixels; without it, the network is only built.
        what: the generator in words, for the error.

    Raises:
        ValueError: it can't be built, or can't edit images of this size.
    """
    _class_of(network)  # refuses what is none in its own words
    outline = try_network(lambda: make_generator(network, architecture), what=what)
    if absent := [place for place in outline.architecture.get("attributes", []) if place not in range(len(ATTRIBUTES))]:
        raise ValueError(f"{what} edits by the label at place {absent[0]}, and there are {len(ATTRIBUTES)} from 0 on.")
    if size is not None:
        halvings = {"stargan": 2, "stargan_v2": 0}.get(network)
        if network in NETWORKS:
            require_multiple(size, 2 ** (outline.architecture["layers"] if halvings is None else halvings), what)
        image = (1, 3, size, size)
        try_network(lambda: outline, image, (1, len(ATTRIBUTES)), what=what, gives=image)
    return outline


def card(generator: nn.Module, weights: Path | str = "", *, name: str = "", **more: object) -> dict:
    """The card of a generator's weights: its network, architecture, and what the results call it.

    Args:
        weights: the file that it was read from, if any, whose card may tell the name.
        name: "" takes that of the file, or else the network's.
        more: what else the card is to tell.
    """
    own = code_name(type(generator))
    network = next((network for network, kind in NETWORKS.items() if type(generator) is kind), own)
    known = forger_name(weights) if weights else short_name(network)
    return {"name": name or known, "network": f"{network} generator", "architecture": generator.architecture} | more


def forger_name(path: Path | str) -> str:
    """What the results call the forger of a weights file: as its card says, or by the file's own name."""
    if Path(path).suffix != ".safetensors":
        return Path(path).stem
    about = read_weights(path)[1]
    return about.get("name") or Path(path).stem


def load_generator(
    path: Path | str, size: int | None = None, *, network: str = "", architecture: dict | None = None
) -> nn.Module:
    """A generator from this project's safetensors or from official weights, by the ending.

    Official weights are those of StarGAN (`200000-G.ckpt`) and of StarGAN v2 for CelebA-HQ (`100000_nets_ema.ckpt`).

    Args:
        size: of the images that it is to edit, in pixels, if that is known.
        network: the dotted name of a class of your own, if the weights are for that; else the card says.
        architecture: its arguments, where no card tells them.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    if Path(path).suffix == ".safetensors":
        state, about = read_weights(path)
    else:
        running = ("running_mean", "running_var", "num_batches_tracked")
        tensors = read_foreign_checkpoint(path, together=PARTS)
        state, about = {name: value for name, value in tensors.items() if not name.endswith(running)}, {}
        if f"{PARTS[0]}.from_rgb.weight" in state:
            about = {"network": "stargan_v2", "architecture": official_architecture(state, path)}
    named = str(about.get("network", "stargan")).removesuffix(" generator")
    if is_plug_in(network):
        return _load_own(path, network, about.get("architecture", architecture or {}), state, size)
    if is_plug_in(named):
        require_promised(named, path, "a forger")
        return _load_own(path, named, about.get("architecture", {}), state, size)
    kind = in_short(about.get("network", "stargan"))
    network = kind.lower().removesuffix(" generator")
    if network not in NETWORKS:
        raise ValueError(f"{path} holds weights of another kind ({kind}), no generator: give another file.")
    architecture = about["architecture"] if "architecture" in about else _layout(state, path)
    generator = rebuild(NETWORKS[network], architecture, state, path)
    require_labels(generator.architecture["c_dim"], path)
    require_size(about, size, path)
    check_generator(network, generator.architecture, size, f"The generator in {path}")
    return generator


def _load_own(
    path: Path | str, network: str, architecture: dict, state: dict[str, Tensor], size: int | None
) -> nn.Module:
    """A generator of somebody's own class, which the user has named."""
    check_generator(network, architecture, size, f"The generator in {path}")
    return _described(rebuild(_class_of(network), architecture, state, path), architecture)


def _layout(state: dict[str, Tensor], path: Path | str) -> dict[str, int]:
    """The constructor's arguments, read off the tensors of an official checkpoint."""
    first = state.get("main.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] <= 3:
        raise ValueError(
            f"{path} doesn't have the layout of a StarGAN generator, no fitting tensor main.0.weight: give another."
        )
    blocks = sum(name.startswith("main.") and name.endswith(".main.0.weight") for name in state)
    return {"conv_dim": first.shape[0], "c_dim": first.shape[1] - 3, "blocks": blocks}
