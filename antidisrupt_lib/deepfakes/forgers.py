"""The family of forgers: their generators by name, and how their weights are read."""

from pathlib import Path

from torch import Tensor, nn

from antidisrupt_lib.deepfakes.attention import AttentionGenerator
from antidisrupt_lib.deepfakes.stargan import Generator
from antidisrupt_lib.deepfakes.stgan import STGANGenerator
from antidisrupt_lib.weights import load_state, read_foreign_checkpoint, read_weights

NETWORKS: dict[str, type[nn.Module]] = {
    "stargan": Generator,
    "attention": AttentionGenerator,
    "stgan": STGANGenerator,
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


def card_name(generator: nn.Module) -> str:
    """What the card of a generator's weights calls its network."""
    name = next(name for name, network in NETWORKS.items() if type(generator) is network)
    return f"{name} generator"


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
