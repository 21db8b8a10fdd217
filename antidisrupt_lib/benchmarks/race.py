"""Contenders for one task take turns, so that whatever else the machine does meets them all alike.

What is compared is CPU time, median over repeats, as a ratio within one run; and beside it how good the result is.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import torch

PACKAGES = ("torch", "numpy", "scipy", "foolbox", "torchattacks", "adversarial-robustness-toolbox", "torchmetrics")


def race(
    contenders: Mapping[str, Callable[[], object]], quality: Callable[[object], float], *, repeats: int
) -> pd.DataFrame:
    """Run all contenders in turn, once to warm up and then `repeats` times.

    Args:
        quality: of what a contender returns, one number.

    Returns:
        A row per run: contender, repeat, cpu_s and wall_s, peak_mib of the process (NaN off Linux), quality.
    """
    rows = []
    for repeat in range(-1, repeats):
        for name, run in contenders.items():
            forget_peak()
            cpu, wall = time.process_time(), time.perf_counter()
            made = run()
            times = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
            if repeat >= 0:
                seen = {"peak_mib": peak_mib(), "quality": quality(made)}
                rows.append({"contender": name, "repeat": repeat} | times | seen)
    return pd.DataFrame(rows)


def forget_peak() -> None:
    """Let Linux count the process's peak memory anew."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The most memory that this process held since `forget_peak`, in MiB; NaN off Linux."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), np.nan)


def ratios(runs: pd.DataFrame, axes: list[str], ours: str = "ours") -> pd.DataFrame:
    """How many times our median CPU time each contender takes, per setting of `axes`, beside both qualities."""
    table = runs.groupby([*axes, "contender"], sort=False)[["cpu_s", "peak_mib", "quality"]].median().reset_index()
    own = table[table["contender"] == ours].drop(columns="contender")
    both = table.merge(own, on=axes, suffixes=("", "_ours"))
    return both.assign(times_ours=both["cpu_s"] / both["cpu_s_ours"])


def circumstances() -> dict[str, str]:
    """What the times hang on: machine, threads, and versions of this library's peers as far as they are installed."""
    installed = {package.metadata["Name"]: package.version for package in metadata.distributions()}
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "threads": str(torch.get_num_threads()),
        **{name: installed[name] for name in PACKAGES if name in installed},
    }
