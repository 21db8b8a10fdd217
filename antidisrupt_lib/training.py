"""The one training loop: progress with an ETA, checkpoints, and a resume that ends at the same weights."""

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import TypeVar

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from antidisrupt_lib.seeding import generator
from antidisrupt_lib.weights import atomic_path, load_tensors

T = TypeVar("T")


def device() -> torch.device:
    """The GPU if there is one, else the CPU.

    >>> x = photos.x(device=ad.device())
    """
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def device_name() -> str:
    """What `device` is called: "cpu", or the GPU's own name."""
    return torch.cuda.get_device_name() if device().type == "cuda" else "cpu"


def use_threads() -> int:
    """Take the number of CPU threads from ANTIDISRUPT_THREADS (the study sets it), and return what is in force.

    >>> ad.use_threads()
    1
    """
    if threads := os.environ.get("ANTIDISRUPT_THREADS"):
        torch.set_num_threads(int(threads))
    return torch.get_num_threads()


def half_precision(device: torch.device | str, wanted: bool = True) -> torch.autocast:
    """A context in which networks compute in bfloat16, their weights and losses staying float32, if `wanted`."""
    return torch.autocast(torch.device(device).type, torch.bfloat16, wanted, cache_enabled=False)


def progress(items: Iterable[T], what: str, total: int, done: int = 0) -> Iterator[T]:
    """Yield `items` under a bar that vanishes when done, or in a study, report to the file ANTIDISRUPT_PROGRESS."""
    report, start, reported = os.environ.get("ANTIDISRUPT_PROGRESS"), time.monotonic(), 0.0
    bar = tqdm(items, desc=what, total=total, initial=done, leave=False, disable=bool(report))
    for here, item in enumerate(bar, 1):
        yield item
        now = time.monotonic()
        if report and now - reported > 2:
            reported, left = now, (total - done - here) * (now - start) / here
            with atomic_path(report) as temporary:
                temporary.write_text(
                    json.dumps({"what": what, "done": done + here, "total": total, "seconds_left": left})
                )


def run_training(
    step: Callable[[int], dict[str, Tensor]],
    state: dict[str, nn.Module | torch.optim.Optimizer],
    *,
    steps: int,
    checkpoint: Path | str,
    about: dict,
    what: str,
    save_every: int = 500,
    on_save: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Call `step(i)` for i = 0 .. steps - 1, from the checkpoint if there is one.

    All randomness of a step must come from generators keyed by its number i, and all its memory must be in `state`:
    then a run that is stopped and resumed ends at the same weights as one that never stopped.

    Recorded losses must be finite, and so must be all that a checkpoint holds: a checkpoint is always worth resuming.
    What comes after the last one is done again by the next run, and fails at the same step.

    Args:
        step: one optimisation step; returns its losses by name, as scalar tensors.
        state: what the step changes: networks and optimisers.
        checkpoint: file to write and resume from; remove it with `clear_checkpoint` once the weights are saved.
        about: hyperparameters; a checkpoint made with others is refused.
        on_save: called with the number of steps done before each checkpoint is written, e.g. to draw samples; must
            change nothing in `state`.

    Returns:
        The losses, a row per recorded step (about 200 in all).

    Raises:
        ValueError: the checkpoint belongs to other hyperparameters, or holds numbers that aren't finite.
        FloatingPointError: a loss or a weight isn't finite; the text names the step and the term.
    """
    first, history = _resume(state, Path(checkpoint), about)
    every = max(1, steps // 200)
    for i in progress(range(first, steps), what, total=steps, done=first):
        losses, saves = step(i), (i + 1) % save_every == 0 or i == steps - 1
        if i % every == 0 or saves:
            numbers = {name: float(loss) for name, loss in losses.items()}
            fault = next((f"{name} is {number}" for name, number in numbers.items() if not isfinite(number)), "")
            _refuse(fault, i, what, checkpoint)
        if i % every == 0 or i == steps - 1:
            history.append({"step": i} | numbers)
        if saves:
            _refuse(not_finite({name: part.state_dict() for name, part in state.items()}), i, what, checkpoint)
            if on_save:  # before: what a kill cuts short is done again
                on_save(i + 1)
            _save_checkpoint(state, Path(checkpoint), about, i + 1, history)
    return pd.DataFrame(history)


def _refuse(fault: str, i: int, what: str, checkpoint: Path | str) -> None:
    if fault:
        raise FloatingPointError(
            f"The training of {what} broke down at step {i}: {fault}. Its last checkpoint is from before. Lower "
            f"its learning rate or the weights of its loss, and delete {checkpoint}, if it is there, to start anew."
        )


def not_finite(part: object, name: str = "") -> str:
    """The first number in nested dicts and lists of tensors that isn't finite, in words: "detector.fc.weight isn't
    finite"; "" if all are.
    """
    if isinstance(part, Tensor):
        return "" if not part.is_floating_point() or bool(part.isfinite().all()) else f"{name} isn't finite"
    items = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    found = (not_finite(inner, f"{name}.{key}" if name else str(key)) for key, inner in items)
    return next(filter(None, found), "")


def clear_checkpoint(checkpoint: Path | str) -> None:
    """Remove a checkpoint that is no longer needed, its weights being saved.

    >>> ad.clear_checkpoint(out / "checkpoint.pt")
    """
    Path(checkpoint).unlink(missing_ok=True)


def _save_checkpoint(state: dict, path: Path, about: dict, done: int, history: list[dict]) -> None:
    content = {name: part.state_dict() for name, part in state.items()}
    with atomic_path(path) as temporary:
        torch.save(
            {"state": content, "about": json.dumps(about, sort_keys=True), "done": done, "history": history}, temporary
        )


def _resume(state: dict, path: Path, about: dict) -> tuple[int, list[dict]]:
    if not path.exists():
        return 0, []
    saved = load_tensors(path)
    if not (isinstance(saved, dict) and saved.keys() >= {"state", "about", "done", "history"}):
        raise ValueError(f"{path} is no checkpoint of a training. Delete it to start anew.")
    if saved["about"] != json.dumps(about, sort_keys=True):
        raise ValueError(
            f"The checkpoint {path} was made with other hyperparameters ({saved['about']}) than these ({about}). "
            "Delete it to start anew, or go back to its hyperparameters to resume."
        )
    if fault := not_finite(saved["state"]):
        raise ValueError(f"The checkpoint {path} can't be resumed: its {fault}. Delete it to start anew.")
    for name, part in state.items():
        part.load_state_dict(saved["state"][name])
    return saved["done"], saved["history"]


def trained_parameters(network: nn.Module) -> list[nn.Parameter]:
    """The parameters that aren't frozen."""
    return [parameter for parameter in network.parameters() if parameter.requires_grad]


def update(network: nn.Module, loss: Tensor, *optimizers: torch.optim.Optimizer) -> None:
    """One step of `network` alone: gradients are taken for its parameters only, which the optimisers share out."""
    parameters = trained_parameters(network)
    for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        parameter.grad = gradient
    for optimizer in optimizers:
        optimizer.step()


def draw_batch(count: int, batch_size: int, *key: object) -> Tensor:
    """Indices of a training batch out of `count`, drawn with replacement by the generator of `key`."""
    return torch.randint(count, (batch_size,), generator=generator(*key))


def random_flip(x: Tensor, *key: object) -> Tensor:
    """Mirror each image of the batch with probability 1/2."""
    flip = torch.rand(len(x), generator=generator(*key)).to(x.device) < 0.5
    return torch.where(flip[:, None, None, None], x.flip(-1), x)


if __name__ == "__main__":  # a study, which knows no tensors, asks so what it runs on
    print(device_name())
