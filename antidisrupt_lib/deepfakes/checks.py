"""What can be known of a forger's weights and trainings before they begin: networks tried on the meta device."""

from torch import nn

from antidisrupt_lib.deepfakes.classifier import AttributeClassifier, load_classifier
from antidisrupt_lib.deepfakes.forgers import check_generator, load_generator
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Discriminator
from antidisrupt_lib.deepfakes.stargan_v2 import DomainDiscriminator, StarGANv2
from antidisrupt_lib.deepfakes.train import ForgerConfig
from antidisrupt_lib.deepfakes.train_v2 import V2Config
from antidisrupt_lib.rehearsal import require_multiple, try_network


def check_forger(weights: str, config: ForgerConfig | V2Config, size: int | None) -> list[str]:
    """Open a generator's weights, or try the networks of its training; returns the names of its layers.

    Args:
        weights: a path, or "" to train by `config`.
        size: of the images, in pixels; without it, only what needs none is checked.

    Raises:
        FileNotFoundError, ValueError: the weights, or the networks, don't fit; the text says why.
    """
    if weights:
        given = {} if isinstance(config, V2Config) else {"network": config.network, "architecture": config.architecture}
        generator = load_generator(weights, size, **given)
    else:
        generator = (_check_v2 if isinstance(config, V2Config) else _check_training)(config, size)
    return [name for name, _ in generator.named_modules() if name]


def check_classifier(weights: str, width: int, size: int | None) -> None:
    """The same for the attribute classifier, of `width` if it is to be trained."""
    if weights:
        load_classifier(weights, size)
    elif size is not None:
        make, what = lambda: AttributeClassifier(width), f"The attribute classifier of width {width}"
        try_network(make, (1, 3, size, size), what=what, gives=(1, len(ATTRIBUTES)))


def check_layer(name: str, layers: list[str] | None) -> None:
    """Refuse a layer that isn't among the generator's `layers`, as far as these are known.

    Raises:
        ValueError: it isn't.
    """
    if name and layers and name not in layers:
        raise ValueError(f"The generator has no layer {name!r}. It has: {', '.join(layers)}.")


def check_truth(needed: bool, split: dict) -> None:
    """Refuse to need true edits that the split (by its promise) won't leave.

    Raises:
        ValueError: they are needed and won't be there.
    """
    if needed and not split.get("true_edits", True):
        raise ValueError("true_edits and lambda_truth need the true edits of drawn faces: let 01_split write them too.")


def _check_training(config: ForgerConfig, size: int | None) -> nn.Module:
    what = f"The forger {config.network} of {config.architecture}"
    outline = check_generator(config.network, config.architecture, size, what)
    if config.start_weights:
        start = load_generator(config.start_weights, size)
        if (type(start), start.architecture) != (type(outline), outline.architecture):
            raise ValueError(
                f"{config.start_weights} holds a {type(start).__name__} of {start.architecture} and this training's "
                f"is a {type(outline).__name__} of {outline.architecture}: set network and architecture alike."
            )
    if size is not None:
        critic = {"conv_dim": config.d_conv_dim, "layers": config.d_layers}
        require_multiple(size, 2**config.d_layers, f"A discriminator of {config.d_layers} layers")
        try_network(lambda: Discriminator(size, **critic), (1, 3, size, size), what=f"The discriminator of {critic}")
    return outline


def _check_v2(config: V2Config, size: int | None) -> StarGANv2:
    architecture = ({} if size is None else {"size": size}) | config.architecture
    what = f"The forger stargan_v2 of {architecture}"
    outline = check_generator("stargan_v2", architecture, size, what)
    if size is not None:
        shape, image = outline.architecture, (1, 3, size, size)
        domains = 2 ** len(shape["attributes"])
        critic = {"size": size, "domains": domains, "width": shape["width"], "max_width": shape["max_width"]}
        try_network(lambda: DomainDiscriminator(**critic).main, image, what=f"The discriminator of {critic}")
        try_network(lambda: outline.style_encoder.shared, image, what=f"{what}'s style encoder")
    return outline
