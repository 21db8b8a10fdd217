"""The circumstances of a run: this Python and library, the commit, the packages, and the device that is used."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
PACKAGES = ("torch", "torchvision", "timm", "diffusers", "numpy", "scipy", "pandas", "pillow", "papermill")
RUN_MODULE = (
    "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); runpy.run_module(sys.argv.pop(1), None, '__main__')"
)


def python(module: str) -> list[str]:
    """The command that runs a module in this Python and with this library, wherever the user stands.

    `python -m` would import what lies in the working folder first, and PYTHONPATH takes no folder with a colon.
    """
    return [sys.executable, "-P", "-c", RUN_MODULE, str(LIBRARY.parent), module]


@cache
def git_state(folder: Path) -> dict:
    """The commit that a folder is at, and whether files differ from it; None outside git."""
    if not shutil.which("git"):
        return {"commit": None, "dirty": None}
    commit, status = _git(folder, "rev-parse", "HEAD"), _git(folder, "status", "--porcelain")
    return {"commit": commit, "dirty": None if status is None else bool(status)}


@cache
def knows_commit(folder: Path, commit: str | None) -> bool:
    """Whether a folder's repository holds a commit."""
    return bool(commit and shutil.which("git")) and _git(folder, "cat-file", "-t", commit) == "commit"


def _git(folder: Path, *words: str) -> str | None:
    ran = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True)
    return ran.stdout.strip() if ran.returncode == 0 else None


@cache
def versions() -> dict[str, str]:
    """Python's version and those of the packages that results can depend on."""
    installed = {name: _version(name) for name in PACKAGES}
    return {"python": platform.python_version()} | {name: version for name, version in installed.items() if version}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


@cache
def gpu_names() -> tuple[str, ...]:
    """The names of the NVIDIA GPUs that a run may use, as far as nvidia-smi and CUDA_VISIBLE_DEVICES tell."""
    if not shutil.which("nvidia-smi") or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return ()
    query = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True)
    return tuple(query.stdout.splitlines()) if query.returncode == 0 else ()


@cache
def torch_device() -> str:
    """What PyTorch computes on in this environment, as a process of its own says: "cpu", or a GPU's name.

    Raises:
        ValueError: PyTorch can't be imported.
    """
    done = subprocess.run(python("antidisrupt_lib.training"), capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise ValueError(f"PyTorch doesn't start in {sys.executable} ({last}). Install it again, as the README says.")
    return done.stdout.strip()


def visible_gpus() -> list[str]:
    """The GPUs that PyTorch may use here, as CUDA_VISIBLE_DEVICES names them."""
    if torch_device() == "cpu":
        return []
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    return named.split(",") if named else [str(i) for i in range(len(gpu_names()))]


@cache
def device(gpu: str | None = None) -> dict:
    """The machine: its processor and cores, what PyTorch used, and beside it the GPUs that the driver shows.

    Args:
        gpu: the only one that may be used, where others are visible.
    """
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch_device(),
        "gpus": list(gpu_names()),
        "cuda_visible_devices": gpu or os.environ.get("CUDA_VISIBLE_DEVICES"),
    }


def in_words(device: dict) -> str:
    """'x86_64, 2 cores, PyTorch on the cpu (the driver shows NVIDIA H100)'; older manifests don't say what was used."""
    used, shown = device.get("torch"), [name for name in device["gpus"] if name != device.get("torch")]
    words = [device["cpu"], f"{device['cores']} cores", *([f"PyTorch on the {used}"] if used else [])]
    return ", ".join(words) + (f" (the driver shows {', '.join(shown)})" if shown else "")
