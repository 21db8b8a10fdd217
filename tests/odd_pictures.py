"""A folder of odd but legitimate photos: phones' turned portraits, every colour mode and format, 16 to 4,000 px.

    python tests/odd_pictures.py FOLDER [COUNT] [LARGEST]

draws it. The tests draw a small one, and compare what is read with the upright picture that each was made from.
"""

import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.faces.sketch import draw

STORED = {  # EXIF orientation: what a camera does to an upright picture (the EXIF standard's table, inverted)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def matrix_profile(to_xyz: np.ndarray = ADOBE_RGB, gamma: float = 2.19921875, space: bytes = b"RGB ") -> bytes:
    """An ICC 2.1 profile of three primaries (columns, XYZ of illuminant D50) and a gamma; of grey, the gamma alone."""

    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 4) + b"odd\0" + bytes(79), b"cprt": b"text" + bytes(8)}
    tags[b"wtpt"] = b"XYZ " + bytes(4) + fixed([0.9642, 1, 0.8249])
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for i, colour in enumerate((b"r", b"g", b"b")):
            tags |= {colour + b"XYZ": b"XYZ " + bytes(4) + fixed(to_xyz[:, i]), colour + b"TRC": curve}
    place, table, data = 128 + 4 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content
    about = struct.pack(">8xI", 0x02100000) + b"mntr" + space + b"XYZ " + bytes(12) + b"acsp" + bytes(28)
    head = about + fixed([0.9642, 1, 0.8249])
    return struct.pack(">I", place + len(data)) + head[4:] + bytes(128 - len(head)) + table + data


def in_adobe_rgb(picture: Image.Image) -> Image.Image:
    """The same colours as numbers of Adobe RGB (sRGB's curve by its formula)."""
    srgb = np.asarray(picture.convert("RGB")) / 255
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    adobe = np.clip(light @ (np.linalg.inv(ADOBE_RGB) @ SRGB).T, 0, 1) ** (1 / 2.19921875)
    return Image.fromarray((adobe * 255).round().astype(np.uint8))


def with_alpha(picture: Image.Image, mode: str = "RGBA") -> Image.Image:
    """The upper half solid, the lower fading out to nothing: what `faded` shows on a white page."""
    picture = picture.convert(mode)
    picture.putalpha(Image.fromarray(fading(picture.size)))
    return picture


def fading(size: tuple[int, int]) -> np.ndarray:
    alpha = np.clip(510 - 510 * np.arange(size[1]) / size[1], 0, 255).round().astype(np.uint8)
    return np.repeat(alpha[:, None], size[0], axis=1)


def faded(picture: Image.Image) -> np.ndarray:
    alpha = fading(picture.size)[..., None] / 255
    return np.asarray(picture.convert("RGB")) * alpha + 255 * (1 - alpha)


def in_16_bits(picture: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)


def greys(picture: Image.Image) -> np.ndarray:
    return np.repeat(np.asarray(picture.convert("L"))[..., None], 3, axis=2)


def colours(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


Make = Callable[[Image.Image], Image.Image]
KINDS: dict[str, tuple[str, Make, dict, Callable[[Image.Image], np.ndarray], int]] = {
    # name: ending, what is stored, how it is saved, what a viewer shows of it, mean error of the coding
    "phone": ("jpg", lambda p: p, {"quality": 95}, colours, 3),
    "progressive": ("jpeg", lambda p: p, {"quality": 95, "progressive": True}, colours, 3),
    "grey": ("jpg", lambda p: p.convert("L"), {"quality": 95}, greys, 3),
    "cmyk": ("jpg", lambda p: p.convert("CMYK"), {"quality": 95}, colours, 3),
    "adobe_rgb": ("jpg", in_adobe_rgb, {"quality": 98, "icc_profile": matrix_profile()}, colours, 3),
    "two_pictures": ("jpg", lambda p: p, {"format": "MPO", "quality": 95, "save_all": True}, colours, 3),
    "rgb": ("png", lambda p: p, {}, colours, 0),
    "interlaced": ("PNG", lambda p: p.convert("L"), {}, greys, 0),
    "two_tones": ("png", lambda p: p.convert("1"), {}, lambda p: colours(p.convert("1")), 0),
    "palette": ("png", lambda p: p.quantize(256), {}, colours, 4),
    "cut_out": ("png", with_alpha, {}, faded, 1),
    "grey_cut_out": ("png", lambda p: with_alpha(p, "LA"), {}, lambda p: faded(p.convert("L")), 1),
    "wide_png": ("png", lambda p: with_alpha(in_adobe_rgb(p)), {"icc_profile": matrix_profile()}, faded, 2),
    "grey_profile": (
        "png", lambda p: p.convert("L"), {"icc_profile": matrix_profile(gamma=2.2, space=b"GRAY")}, greys, 3,
    ),
    "deep": ("png", in_16_bits, {}, greys, 0),
    "moving_png": ("png", lambda p: p, {"save_all": True}, colours, 0),
    "webp": ("webp", lambda p: p, {"quality": 95}, colours, 4),
    "webp_cut_out": ("webp", with_alpha, {"lossless": True}, faded, 1),
    "moving_webp": ("webp", lambda p: p, {"save_all": True, "lossless": True}, colours, 1),
    "avif": ("avif", lambda p: p, {"quality": 95}, colours, 4),
    "avif_cut_out": ("avif", with_alpha, {"quality": 100}, faded, 3),
    "bmp": ("bmp", lambda p: p, {}, colours, 0),
    "gif": ("gif", lambda p: p.quantize(256), {}, colours, 4),
    "moving_gif": ("gif", lambda p: p.quantize(256), {"save_all": True}, colours, 4),
    "scan": ("tif", lambda p: p, {"compression": "tiff_lzw"}, colours, 0),
    "scan_deep": ("tiff", in_16_bits, {}, greys, 0),
    "scan_cmyk": ("tif", lambda p: p.convert("CMYK"), {}, colours, 1),
    "scan_lab": ("tif", lambda p: p.convert("LAB"), {}, colours, 3),
    "scan_ycbcr": ("tif", lambda p: p.convert("YCbCr"), {}, colours, 2),
    "scan_cut_out": ("tif", with_alpha, {}, faded, 1),
}  # fmt: skip


def save_odd(picture: Image.Image, path: Path, kind: str, orientation: int = 1) -> Path:
    """Save an upright RGB picture as this kind of file, turned as a camera held this way stores it."""
    ending, make, options, _, _ = KINDS[kind]
    stored = make(picture)
    if orientation > 1:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored, options = stored.transpose(STORED[orientation]), options | {"exif": exif}
    if options.get("save_all"):
        options = options | {"append_images": [Image.new(stored.mode, stored.size)]}
    stored.save(path.with_suffix(f".{ending}"), **options)
    return path.with_suffix(f".{ending}")


def shown(picture: Image.Image, kind: str) -> np.ndarray:
    """What a viewer shows of `save_odd`'s file, as numbers from 0 to 255, H x W x 3."""
    return KINDS[kind][3](picture)


def turns(kind: str) -> bool:
    """Whether the format can carry an EXIF orientation."""
    return KINDS[kind][0] not in ("gif", "bmp")


def write_odd_folder(root: Path, count: int = 60, largest: int = 4000, seed: int = 7) -> Path:
    """`count` drawn faces, three of each person, as odd pictures in three folders, with attributes.csv."""
    rows, sizes = [], np.geomspace(16, largest, count).round().astype(int)
    for i, height in enumerate(np.random.default_rng(seed).permutation(sizes)):
        look = sample_look(seed, i // 3, i % 3)
        kind, folder = list(KINDS)[i % len(KINDS)], ["", "alice", "bob/holidays"][i % 3]
        (root / folder).mkdir(parents=True, exist_ok=True)
        picture = draw(look).convert("RGB").resize((round(height * 178 / 218), int(height)), Image.Resampling.LANCZOS)
        path = save_odd(picture, root / folder / f"{i:03d}_{kind}.x", kind, 1 + i % 8 if turns(kind) else 1)
        labels = {name: int(value) for name, value in look.attributes().items()}
        rows.append({"image_id": path.relative_to(root).as_posix()} | labels | {"identity": f"person {i // 3}"})
    pd.DataFrame(rows).to_csv(root / "attributes.csv", index=False, sep=";", encoding="utf-16")
    for name in ("._000_phone.jpg", "Thumbs.db", ".DS_Store"):
        (root / name).write_bytes(b"\0\5\26\7")
    return root


if __name__ == "__main__":
    write_odd_folder(Path(sys.argv[1]), *map(int, sys.argv[2:]))
