"""Drawn faces: a seeded stand-in for CelebA, so that the whole study runs without a download.

Every face is a pure function of (seed, identity, shot), carries CelebA's attribute names, and is written in CelebA's
official layout (https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html), so that one reader reads both.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from loky import ProcessPoolExecutor

from antidisrupt_lib.faces.looks import Look, sample_look
from antidisrupt_lib.faces.sketch import draw

CHUNK = 125  # faces per task of a worker
DRAWN_PER_IDENTITY = 4
QUALITY = 92  # of the JPEG files


def write_drawn_celeba(
    root: Path, count: int, *, seed: int = 0, faces_per_identity: int = DRAWN_PER_IDENTITY, workers: int | None = None
) -> Path:
    """Write `count` drawn faces as an official CelebA folder and return `root/celeba`.

    The folder holds `img_align_celeba/000001.jpg` ... (178 x 218, JPEG quality 92), `list_attr_celeba.txt`,
    `identity_CelebA.txt` and `list_eval_partition.txt` (0 train, 1 validation, 2 test: 80/10/10 of the identities).
    Faces depend on `seed` and their number only, neither on `count` nor on `workers` (default: one per CPU).

    Raises FileExistsError when `root/celeba` exists and ValueError for a count or a seed out of range.
    """
    target = Path(root) / "celeba"
    _check(target, count, seed, faces_per_identity)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".celeba-", dir=target.parent) as scratch:
        folder = Path(scratch) / "celeba"
        (folder / "img_align_celeba").mkdir(parents=True)
        _write_tables(folder, _write_images(folder, count, seed, faces_per_identity, workers), faces_per_identity)
        os.rename(folder, target)
    return target


def _check(target: Path, count: int, seed: int, faces_per_identity: int) -> None:
    if target.exists():
        raise FileExistsError(f"{target} exists already: remove it or give another root; nothing was written")
    if count is None or not 1 <= count <= 999_999:
        raise ValueError(f"count is {count}: give 1 to 999999 (CelebA's file names have six digits)")
    if faces_per_identity < 1:
        raise ValueError(f"faces_per_identity is {faces_per_identity}: give 1 or more")
    if seed < 0:
        raise ValueError(f"seed is {seed}: give 0 or more")


def _write_images(folder: Path, count: int, seed: int, per_identity: int, workers: int | None) -> list[dict[str, bool]]:
    write = partial(_write_chunk, folder / "img_align_celeba", seed, per_identity)
    return in_chunks(write, range(count), workers)


def in_chunks(work: Callable[[Sequence], list], items: Sequence, workers: int | None = None) -> list:
    """`work(items)`, a chunk at a time in processes of their own (default: one per CPU), its lists joined in order."""
    chunks = [items[i : i + CHUNK] for i in range(0, len(items), CHUNK)]
    workers = min(workers or os.cpu_count() or 1, len(chunks))
    if workers == 1:
        return [row for chunk in chunks for row in work(chunk)]
    # loky's: neither forks torch's threads nor runs the caller's script again
    with ProcessPoolExecutor(workers) as pool:
        return [row for rows in pool.map(work, chunks) for row in rows]


def _write_chunk(images: Path, seed: int, per_identity: int, numbers: Sequence[int]) -> list[dict[str, bool]]:
    rows = []
    for i in numbers:
        look = sample_look(seed, 1 + i // per_identity, i % per_identity)
        save_drawn(look, images / _name(i))
        rows.append(look.attributes())
    return rows


def save_drawn(look: Look, path: Path) -> None:
    """Draw a look into a JPEG file of 178 x 218 pixels."""
    draw(look).save(path, quality=QUALITY)


def _name(i: int) -> str:
    return f"{i + 1:06d}.jpg"


def _write_tables(folder: Path, rows: list[dict[str, bool]], per_identity: int) -> None:
    names, identities = [_name(i) for i in range(len(rows))], [1 + i // per_identity for i in range(len(rows))]
    parts = {9: 1, 0: 2}  # by the identity's last digit, so that a larger count never moves a face to another part
    values = [" ".join(f"{1 if shown else -1:2d}" for shown in row.values()) for row in rows]
    tables = {
        "list_attr_celeba.txt": [str(len(rows)), " ".join(rows[0]), *map(" ".join, zip(names, values, strict=True))],
        "identity_CelebA.txt": [f"{name} {n}" for name, n in zip(names, identities, strict=True)],
        "list_eval_partition.txt": [
            f"{name} {parts.get(n % 10, 0)}" for name, n in zip(names, identities, strict=True)
        ],
    }
    for name, lines in tables.items():
        (folder / name).write_text("\n".join(lines) + "\n", encoding="ascii")
