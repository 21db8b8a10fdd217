"""Weights on disk: safetensors with a card in the header, written atomically, refused when they don't fit."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

ZOO = Path(__file__).parent / "zoo"


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_weights(path: Path | str, network: nn.Module, about: dict, *, dtype: torch.dtype | None = None) -> None:
    """Write a network's state and its card.

    Args:
        about: JSON-plain card; `about["architecture"]` holds the arguments that rebuild the network.
        dtype: store floating-point tensors in this type (float16 halves the file; loading returns to float32).
    """
    state = {
        name: value.to(dtype) if dtype and value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    state = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(state, {"about": json.dumps(about)}))  # save_file's files are the owner's alone


def missing(path: Path | str) -> str:
    """The error text for an input that isn't there: which notebook makes it, if its path tells."""
    stage = next((part for part in Path(path).parts if part[:2].isdigit() and part[2:3] == "_"), None)
    hint = f"Run notebooks/{stage}.ipynb first, or give another path." if stage else "Check the path."
    return f"There is nothing at {path}. {hint}"


def find_below(folders: Iterable[Path | str], name: str) -> list[Path]:
    """The files FOLDER/*/name of all folders, in order: what each variant or arm of a stage left.

    Raises:
        FileNotFoundError: a folder has none; the text names the notebook that makes it.
    """
    paths: list[Path] = []
    for folder in folders:
        found = sorted(Path(folder).glob(f"*/{name}"))
        if not found:
            raise FileNotFoundError(missing(Path(folder) / "*" / name))
        paths += found
    return paths


def find_weights(name: Path | str) -> Path:
    """The path of a weights file: `zoo/...` names one that ships with the library, anything else is a path itself."""
    return ZOO / Path(name).relative_to("zoo") if Path(name).parts[:1] == ("zoo",) else Path(name)


def read_weights(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """The (state, card) of a safetensors file.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is no safetensors file.
    """
    path = find_weights(path)
    if not path.is_file():
        raise FileNotFoundError(missing(path))
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, about  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a readable safetensors file ({error}). Make it anew.") from error


def load_state(network: nn.Module, state: dict[str, Tensor], origin: Path | str) -> None:
    """Load a state dict into a network, or say which tensors don't fit.

    Raises:
        ValueError: names or shapes differ; nothing was loaded.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    if expected != found:
        missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        shapes = [
            f"{n}: {found[n]} instead of {expected[n]}" for n in expected if found.get(n, expected[n]) != expected[n]
        ]
        parts = [
            f"{len(items)} {what} ({items[0]})"
            for what, items in (("missing", missing), ("unknown", extra), ("of another shape", shapes))
            if items
        ]
        raise ValueError(
            f"The weights in {origin} don't fit {type(network).__name__}: tensors {', '.join(parts)}. "
            "Check that they were trained with the same architecture and image size."
        )
    network.load_state_dict(state)


def read_foreign_checkpoint(path: Path | str) -> dict[str, Tensor]:
    """The tensors of someone else's `.ckpt` or `.pth`, read without running any code in it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds more than tensors, or none.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no checkpoint at {path}. Download it first, or correct the path.")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime and end-of-file errors here
        raise ValueError(f"{path} can't be read as plain tensors ({type(error).__name__}: {error}).") from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ValueError(f"{path} holds no plain table of tensors. Save the network's state_dict() and give that.")
    return state
