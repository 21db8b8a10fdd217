"""A photo's file, read and written again with other pixels: its name, type, metadata and colours stay.

Pixels are taken upright and as they are stored, so that a colour profile goes on being right. Greys, palettes and CMYK
become RGB in sRGB, and 16 bits become 8. EXIF (without its turn, which is made, and without its thumbnail, which would
show the face as it was), XMP, resolution, comments and transparency are kept.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from antidisrupt_lib.faces.pictures import as_shown, opened, what_is
from antidisrupt_lib.weights import atomic_path

TYPES = {  # file endings to Pillow's formats, with how each is written
    ".png": ("PNG", {}), ".tif": ("TIFF", {"compression": "tiff_lzw"}), ".tiff": ("TIFF", {"compression": "tiff_lzw"}),
    ".bmp": ("BMP", {}), ".dib": ("BMP", {}), ".webp": ("WEBP", {"lossless": True, "exact": True}),
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), ("JPEG", {"subsampling": 0, "optimize": True})),
    ".avif": ("AVIF", {"subsampling": "4:4:4"}),
}  # fmt: skip
LOSSY = ("JPEG", "AVIF")
STRUCTURE = {  # TIFF's tags for where and how its pixels lie, for XMP and for colours, which are written apart
    *range(254, 270), *range(273, 282), *range(284, 294), *range(317, 348), *range(512, 515), *range(529, 533),
    700, 34675,
}  # fmt: skip
KEPT = ("dpi", "xmp", "icc_profile", "comment")  # what of an image's info its file gets again, beside EXIF


@dataclass(frozen=True)
class Photo:
    """A photo's file.

    Attributes:
        stored: uint8 H x W x 3, upright, in the file's own colours.
        shown: the same as a viewer shows it, in sRGB on a white page.
        alpha: uint8 H x W, or None.
        about: what is written with it again: exif, dpi, xmp, icc_profile, comment, and text of a PNG.
        said: what can't be kept, in words.
    """

    path: Path
    stored: np.ndarray
    shown: np.ndarray
    alpha: np.ndarray | None
    about: dict
    said: tuple[str, ...]


def read_photo(path: Path | str) -> Photo:
    """Read a photo with all that its file says of it.

    Raises:
        ValueError: it is no file, no picture, an animation, too large, or has colours with no agreed look.
    """
    path = Path(path)
    if (found := what_is(path)) != "a file":
        raise ValueError(f"{path} is {found}: give a picture.")
    try:
        return _read(path)
    except Exception as error:  # whatever a decoder raises is its verdict on the file
        why = str(error).replace(str(path), path.name).rstrip(".") or type(error).__name__
        raise ValueError(f"{path} can't be read: {why}.") from error


def _read(path: Path) -> Photo:
    with opened(path) as image:
        if getattr(image, "n_frames", 1) > 1 and image.format != "JPEG":
            raise ValueError(f"it holds {image.n_frames} pictures, and one is done at a time: save them as files")
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        shown, about = as_shown(image.copy()), {name: image.info[name] for name in KEPT if image.info.get(name)}
        about["exif"] = _descriptive(image.getexif())
        about["text"] = dict(getattr(image, "text", {}))
        if image.mode in ("RGB", "RGBA"):
            alpha = np.asarray(image.getchannel("A")) if image.mode == "RGBA" else None
            return Photo(path, np.asarray(image.convert("RGB")), np.asarray(shown), alpha, about, ())
        about.pop("icc_profile", None)
        said = f"It is stored as RGB in sRGB on 8 bits: its own mode {image.mode} holds no such change."
        return Photo(path, np.asarray(shown), np.asarray(shown), None, about, (said,))


def _descriptive(exif: Image.Exif) -> bytes:
    """What EXIF says of the photo, without what a TIFF says of its own pixels, and without the thumbnail's table."""
    for tag in STRUCTURE & set(exif):
        del exif[tag]
    return exif.tobytes()


def written_as(path: Path) -> str:
    """The format that a file of this name gets.

    Raises:
        ValueError: none that can hold a photo's small changes.
    """
    if path.suffix.lower() not in TYPES:
        what = "a palette of 256 colours" if path.suffix.lower() == ".gif" else "no picture's ending that is known"
        raise ValueError(f"{path} has {what}: name it .png.")
    return TYPES[path.suffix.lower()][0]


def write_photo(path: Path | str, photo: Photo, pixels: np.ndarray, *, quality: int = 95) -> None:
    """Write other pixels with all that the photo's file says of it, whole or not at all; the ending tells the type.

    Args:
        pixels: uint8 H x W x 3, in the colours of `photo.stored`.
        quality: of JPEG and AVIF, with colours at full resolution.

    Raises:
        ValueError: the ending is of no type that can hold them.
    """
    path = Path(path)
    kind, how = written_as(path), dict(TYPES[path.suffix.lower()][1])
    image = Image.fromarray(pixels)
    if photo.alpha is not None and kind in ("PNG", "WEBP", "TIFF", "AVIF"):
        image.putalpha(Image.fromarray(photo.alpha))
    how |= {name: value for name, value in photo.about.items() if name != "text"}
    if kind == "PNG":
        how["pnginfo"] = _png_info(photo.about)
    if kind in LOSSY:
        how["quality"] = quality
    with atomic_path(path) as temporary:
        image.save(temporary, kind, **how)


def _png_info(about: dict) -> PngInfo:
    info = PngInfo()
    for name, value in about.get("text", {}).items():
        if name != "XML:com.adobe.xmp":
            info.add_itxt(name, str(value))
    if "xmp" in about:
        xmp = about["xmp"]
        info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else xmp)
    return info


def jpeg_of(pixels: np.ndarray, quality: int) -> np.ndarray:
    """What a JPEG at this quality, its colours at half the resolution, makes of pixels: uint8 H x W x 3."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def half_and_back(pixels: np.ndarray) -> np.ndarray:
    """Pixels at half the size and back, as a site's thumbnail would be: uint8 H x W x 3."""
    image = Image.fromarray(pixels)
    half = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.LANCZOS)
    return np.asarray(half.resize(image.size, Image.Resampling.BICUBIC))
