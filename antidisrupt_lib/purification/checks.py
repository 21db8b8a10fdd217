"""What can be known of purifiers' weights and trainings before they begin: networks tried on the meta device."""

from antidisrupt_lib.purification.autoencoders import AUTOENCODERS, load_autoencoders
from antidisrupt_lib.purification.purify import load_denoiser
from antidisrupt_lib.purification.schedule import T
from antidisrupt_lib.purification.unets import make_network
from antidisrupt_lib.rehearsal import require_multiple, try_network


def check_denoiser(weights: str, network: str, architecture: dict, max_t: int, size: int | None) -> int:
    """Open an epsilon network's weights, or try the network that is to be trained; returns the highest step it knows.

    Args:
        weights: a path, or "" to train `network` with `architecture` on steps 1 to `max_t`.
        size: of the images, in pixels; without it, the network is only built.

    Raises:
        FileNotFoundError, ValueError: weights, names, numbers or size don't fit; the text says why.
    """
    if weights:
        return load_denoiser(weights, size)[1]
    if not 1 <= max_t <= T:
        raise ValueError(f"max_t is a step from 1 to {T}, not {max_t}.")
    what = f"The epsilon network {network} of {architecture}"
    outline = try_network(lambda: make_network(network, architecture), what=what)
    if size is not None:
        require_multiple(size, outline.multiple, what)
        image = (1, 3, size, size)
        try_network(lambda: outline, image, (1,), what=what, gives=image)
    return max_t


def check_autoencoders(weights: str, size: int | None) -> None:
    """The same for the autoencoders, which have no choice of architecture."""
    if weights:
        load_autoencoders(weights, size)
    elif size is not None:
        require_multiple(size, 2, "The pooled autoencoder")
        for name, make in AUTOENCODERS.items():
            try_network(make, (1, 3, size, size), what=name, gives=(1, 3, size, size))
