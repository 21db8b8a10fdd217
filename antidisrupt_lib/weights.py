"""Weights on disk: safetensors with a card in the header, written atomically, refused when they don't fit."""

import inspect
import json
import os
import pickle
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

ZOO = Path(__file__).parent / "zoo"
DEEPEST = 10  # halvings of an image that an architecture may list
BYTE_CAP = 2**33  # of a file of weights
TENSOR_CAP = 20_000  # of a file; the largest networks have a few thousand
DEPTHS = ("blocks", "layers")  # what an architecture calls numbers of layers, each of which has a tensor


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name only if the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".partial.{uuid4().hex}")  # not its own name, which may be as long as names can be
    try:
        yield temporary
        with open(temporary, "r+b") as file:  # Windows flushes only what is open for writing
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_weights(path: Path | str, network: nn.Module, about: dict, *, dtype: torch.dtype | None = None) -> None:
    """Write a network's state and its card.

    Args:
        about: JSON-plain card; `about["architecture"]` holds the arguments that rebuild the network.
        dtype: store floating-point tensors in this type (float16 halves the file; loading returns to float32).

    Raises:
        ValueError: a number is NaN or infinite, as it is or in `dtype`; nothing was written.

    >>> ad.save_weights(out / "classifier.safetensors", judge, {"architecture": {}, "size": 64})
    """
    state = {
        name: value.to(dtype) if dtype and value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    state = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    if broken := _not_finite(state):
        raise ValueError(f"{path} was not written: the tensor {broken} holds NaN or infinity, so its training failed.")
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


# Reading files


def read_weights(path: Path | str) -> tuple[dict[str, Tensor], dict]:
    """The (state, card) of a safetensors file; the card is {} if there is none.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no safetensors file, or its card is no JSON object.
    """
    path = find_weights(path)
    _require_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            if len(file.keys()) > TENSOR_CAP:
                raise SafetensorError(f"it names {len(file.keys()):,} tensors, more than {TENSOR_CAP:,}")
            card = (file.metadata() or {}).get("about", "{}")
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except (SafetensorError, MemoryError) as error:
        what = _impostor(path) or f"damaged, incomplete or no safetensors file ({error}): make or copy it anew"
        raise ValueError(f"{path} is {what}.") from error
    return state, _parse_card(card, path)


def read_foreign_checkpoint(path: Path | str, together: Collection[str] = ()) -> dict[str, Tensor]:
    """The tensors of someone else's `.ckpt` or `.pth`, read without running any code in it.

    A table of tensors inside a table, such as `{"state_dict": ...}`, is taken if it is the only one, and the prefix
    `module.`, which DataParallel puts before every name, is dropped.

    Args:
        together: names of tables that make one network: a file that has them all gives all their tensors, each under
            its table's name and a dot.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds more than tensors, or none, or tables of several networks.
    """
    path = Path(path)
    _require_file(path)
    content = load_tensors(path)
    if together and isinstance(content, dict) and all(_is_table(content.get(name)) for name in together):
        parts = {name: _single(content[name]) for name in together}
        return {f"{name}.{inner}": value for name, part in parts.items() for inner, value in part.items()}
    return _single(_only_table(content, path))


def load_tensors(path: Path) -> object:
    """What `torch.save` wrote, of tensors and plain values alone: no code in it is run.

    Raises:
        ValueError: it holds more, is damaged, or would take more memory than it is long.
    """
    try:
        if zipfile.is_zipfile(path):
            _refuse_bomb(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises pickle, zip, runtime, key and end-of-file errors here
        damaged = "damaged, incomplete or no PyTorch checkpoint: download it again"
        if isinstance(error, pickle.UnpicklingError):
            damaged = "no checkpoint of plain tensors, and code in it is never run here: save a state_dict() alone"
        raise ValueError(f"{path} is {_impostor(path) or damaged}.") from error


def _refuse_bomb(path: Path) -> None:
    """PyTorch compresses nothing: parts that are longer than their file are no checkpoint's."""
    with zipfile.ZipFile(path) as archive:
        if sum(part.file_size for part in archive.infolist()) > path.stat().st_size:
            raise ValueError("an archive that unpacks to more than it holds")


def _single(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names without the prefix that DataParallel puts before every one of them."""
    parallel = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module."): value for name, value in state.items()} if parallel else state


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError(f"{path} is a folder: give the weights file that lies in it.")
    if not path.is_file():
        raise FileNotFoundError(missing(path))
    if (size := path.stat().st_size) > BYTE_CAP:
        raise ValueError(f"{path} has {size:,} bytes, more than {BYTE_CAP:,}: give one network's weights alone.")


def _impostor(path: Path) -> str:
    """What a file that can't be read as weights is instead, and what to do about it; "" if that isn't plain."""
    with open(path, "rb") as file:
        start = file.read(512).lstrip(b"\xef\xbb\xbf\t\r\n ")
    if not start:
        return "empty: make or download it anew"
    if start.startswith(b"version https://git-lfs"):
        return "a git-lfs pointer instead of weights: fetch the file itself with `git lfs pull`"
    if start.lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return "a web page instead of weights: open the link in a browser and download the file itself"
    if start.startswith(b"PK\3\4") and path.suffix == ".safetensors":
        return "a PyTorch checkpoint with the wrong ending: rename it to .ckpt"
    if start[8:9] == b"{" and path.suffix != ".safetensors":
        return "a safetensors file with the wrong ending: rename it to .safetensors"
    return ""


def _parse_card(text: str, path: Path) -> dict:
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} has a card that is no JSON ({error}): make the file anew.") from error
    if not isinstance(card, dict):
        raise ValueError(f"{path} has a card that is no JSON object but {text[:40]}: make the file anew.")
    return card


def _only_table(content: object, path: Path) -> dict[str, Tensor]:
    """The table of tensors that a checkpoint is, or the only one in it."""
    if _is_table(content):
        return content
    inner = {name: part for name, part in content.items() if _is_table(part)} if isinstance(content, dict) else {}
    if len(inner) == 1:
        return inner.popitem()[1]
    found = f"several ({', '.join(map(str, inner))})" if inner else "none"
    raise ValueError(
        f"{path} holds no plain table of tensors, and of tables inside {found}: save one network's state_dict() alone."
    )


def _is_table(content: object) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items())
    )


def in_short(value: object) -> str:
    """What somebody's file says, for a sentence of ours: 40 printable characters of it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(value)).split())[:40]


def first_sentence(error: Exception) -> str:
    """What another library's error says, shortened for a sentence of ours; its type, if it says nothing."""
    return " ".join((str(error) or type(error).__name__).split()).partition(". ")[0].rstrip(".")


# From tensors to networks


def load_network(path: Path | str, kinds: Mapping[str, Callable[..., nn.Module]], what: str) -> tuple[nn.Module, dict]:
    """The network in a safetensors file, as its card describes it, and the card.

    Args:
        kinds: what makes a network, by the card's "network"; a card that names none fits where only one is known.
        what: is to be loaded, in words, for the error.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is of another kind, or card and tensors don't agree.
    """
    state, card = read_weights(path)
    kind = card.get("network", next(iter(kinds)) if len(kinds) == 1 else None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ValueError(
            f"{path} holds weights of another kind ({in_short(kind or 'unknown')}), not {what}: give another file."
        )
    return rebuild(kinds[kind], card.get("architecture", {}), state, path), card


def rebuild(
    make: Callable[..., nn.Module], architecture: dict, state: dict[str, Tensor], origin: Path | str
) -> nn.Module:
    """`make(**architecture)` with these tensors; nothing is allocated before they bear the architecture out.

    Raises:
        ValueError: it can't be made so, or its tensors are others.
    """
    try:
        _check_architecture(make, architecture, state)
        with torch.device("meta"):
            outline = make(**architecture)
    except Exception as error:  # constructors refuse in many ways
        shown, why = str(architecture), first_sentence(error)
        shown = shown if len(shown) <= 80 else f"{shown[:77]}..."
        raise ValueError(f"{origin} can't be rebuilt from its architecture {shown}: {why}.") from error
    _require_fit(outline, state, origin)
    network = make(**architecture)
    network.load_state_dict(state)
    return network


def _check_architecture(make: Callable[..., nn.Module], architecture: object, state: dict[str, Tensor]) -> None:
    """Raise an error unless `make` takes these arguments and no number is larger than the tensors can bear out."""
    if not isinstance(architecture, dict):
        raise TypeError("it is no table of arguments")
    signature = inspect.signature(make)
    signature.bind(**architecture)
    largest = max([len(state), *(size for value in state.values() for size in value.shape)])
    for name, value in architecture.items():
        try:
            TypeAdapter(_annotation(signature, name)).validate_json(json.dumps(value), strict=True)
        except ValidationError as error:
            raise ValueError(f"{name} is {value!r}, {error.errors()[0]['msg']}") from error
        numbers = value if isinstance(value, list) else [value]
        sizes = [number for number in numbers if type(number) is int and name != "seed"]
        most = len(state) if name in DEPTHS else largest
        if len(numbers) > DEEPEST or any(not 0 <= number <= most for number in sizes):
            raise ValueError(f"{name} is {value}, and its tensors allow 0 to {most}")


def _annotation(signature: inspect.Signature, name: str) -> object:
    """What an argument may be; anything, where its maker doesn't say."""
    said = signature.parameters[name].annotation if name in signature.parameters else inspect.Parameter.empty
    return Any if said is inspect.Parameter.empty else said


def load_state(network: nn.Module, state: dict[str, Tensor], origin: Path | str) -> None:
    """Load a state dict into a network, or say which tensors don't fit.

    Raises:
        ValueError: names, shapes or kinds of numbers differ, or a number isn't finite; nothing was loaded.
    """
    _require_fit(network, state, origin)
    network.load_state_dict(state)


def _require_fit(network: nn.Module, state: dict[str, Tensor], origin: Path | str) -> None:
    expected = network.state_dict()
    pairs = {name: (state[name], expected[name]) for name in expected if name in state}
    problems = {
        "missing": sorted(expected.keys() - state.keys()),
        "unknown": sorted(state.keys() - expected.keys()),
        "of another kind": [f"{name}: {why}" for name, pair in pairs.items() if (why := _unlike(*pair))],
    }
    parts = [f"{len(found)} {what} ({found[0]})" for what, found in problems.items() if found]
    if parts:
        raise ValueError(
            f"The weights in {origin} don't fit {type(network).__name__}, tensors {', '.join(parts)}: give weights "
            "that were trained with the same architecture."
        )
    if broken := _not_finite({name: value.to(expected[name].dtype) for name, value in state.items()}):
        raise ValueError(f"The weights in {origin} are broken, {broken} holds NaN or infinity: make them anew.")


def _unlike(value: Tensor, expected: Tensor) -> str:
    """In what a tensor differs from the expected one, beyond its precision; "" if in nothing."""
    if value.shape != expected.shape:
        return f"{tuple(value.shape)} instead of {tuple(expected.shape)}"
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        return "no plain dense numbers"
    if value.is_floating_point() != expected.is_floating_point() or value.is_complex():
        return f"{value.dtype} instead of {expected.dtype}"
    return ""


def _not_finite(state: dict[str, Tensor]) -> str | None:
    """The name of the first tensor with a number that isn't finite."""
    return next((name for name, value in state.items() if not value.isfinite().all()), None)


def require_size(card: dict, size: int | None, origin: Path | str) -> None:
    """Refuse weights whose card says that they are for faces of another size in pixels.

    Raises:
        ValueError: it does.
    """
    trained = card.get("size", size)
    if size is not None and trained != size:
        raise ValueError(
            f"{origin} holds weights for faces of {trained} px and these have {size}: set 01_split's size to "
            f"{trained}, or give other weights (an empty path trains them)."
        )
