"""The family of forgers: their generators by name, and how their weights are read."""

from pathlib import Path

from torch import Tensor, nn

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.stargan import Generator
from antidisrupt_lib.deepfakes.stargan_v2 import StarGANv2
from antidisrupt_lib.deepfakes.stgan import STGANGenerator
from antidisrupt_lib.weights import load_state, read_foreign_checkpoint, read_weights

NETWORKS: dict[str, type[nn.Module]] = {
    "stargan": Generator,
    "attention": AttentionGenerator,
    "stgan": STGANGenerator,
    "stargan_v2": StarGANv2,
}


def make_generator(network: str, architecture: dict) -> nn.Module:
    """An untrained generator of the family.

    Raises:
        ValueError: there is no such network, or it has no such argument.
    """
    if network not in NETWORKS:
        raise ValueError(f"There is no forger {network!r}. Choose from: {', '.join(NETWORKS)}.")
    try:
        return NETWORKS[network](**architecture)
    except TypeError as error:
        raise ValueError(f"The forger {network} can't be built of {architecture}: {error}.") from error


def card(generator: nn.Module, weights: Path | str = "", *, name: str = "", **more: object) -> dict:
    """The card of a generator's weights: its network, architecture, and what the results call it.

    Args:
        weights: the file that it was read from, if any, whose card may tell the name.
        name: "" takes that of the file, or else the network's.
        more: what else the card is to tell.
    """
    network = next(network for network, kind in NETWORKS.items() if type(generator) is kind)
    known = forger_name(weights) if weights else network
    return {"name": name or known, "network": f"{network} generator", "architecture": generator.architecture} | more


def forger_name(path: Path | str) -> str:
    """What the results call the forger of a weights file: as its card says, or by the file's own name."""
    if Path(path).suffix != ".safetensors":
        return Path(path).stem
    about = read_weights(path)[1]
    return about.get("name") or Path(path).stem


def load_generator(path: Path | str) -> nn.Module:
    """A generator from this project's safetensors or from official StarGAN weights (`200000-G.ckpt`), by the ending.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it doesn't fit; the text says what differs.
    """
    if Path(path).suffix == ".safetensors":
        state, about = read_weights(path)
        network = about.get("network", "unknown").lower().removesuffix(" generator")
        if network not in NETWORKS:
            raise ValueError(f"{path} holds weights of another kind ({about.get('network', 'unknown')}), no generator.")
        generator = make_generator(network, about["architecture"])
    else:
        running = ("running_mean", "running_var", "num_batches_tracked")
        state = {k: v for k, v in read_foreign_checkpoint(path).items() if not k.endswith(running)}
        generator = Generator(**_layout(state, path))
    load_state(generator, state, path)
    return generator


def _layout(state: dict[str, Tensor], path: Path | str) -> dict[str, int]:
    """The constructor's arguments, read off the tensors of an official checkpoint."""
    first = state.get("main.0.weight")
    if first is None or first.ndim != 4 or first.shape[1] <= 3:
        raise ValueError(f"{path} doesn't have the layout of a StarGAN generator: no fitting tensor main.0.weight.")
    blocks = sum(name.endswith(".main.0.weight") for name in state)
    return {"conv_dim": first.shape[0], "c_dim": first.shape[1] - 3, "blocks": blocks}
