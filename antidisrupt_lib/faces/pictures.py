"""One picture file, as a viewer shows it: upright, in sRGB, on a white page. What can't be shown so is refused.

EXIF (or XMP) turns are made; an embedded colour profile is converted to sRGB; 16-bit greys are scaled to 8 bits; what
is transparent shows the page. Of an animation, of a TIFF's pages or of a phone's several pictures it is the first.
"""

import os
import stat
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")  # plain pixels: no scripts, no links to other files
ENDINGS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".dib", ".gif",
}  # fmt: skip
PIXEL_CAP = 40_000_000
BYTE_CAP = 2**28  # of a file: more than so many pixels need, in 16 bits
SCAN_CAP = 100  # of a JPEG, each of which goes over all pixels; a progressive one has about ten
PAGE = "white"  # what shows through
STRAIGHT = {"La": "LA", "RGBa": "RGBA"}  # colours multiplied by their alpha, and not
PROFILED = {  # colour space of an ICC profile: mode that the pixels must have for it, from which modes
    "RGB ": ("RGB", {"1", "L", "P", "RGB", "RGBX", "YCbCr", "HSV"}),
    "GRAY": ("L", {"1", "L"}),
    "CMYK": ("CMYK", {"CMYK"}),
}
SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)  # white, red, green and blue, in a PNG's order
SRGB_GAMMA = 0.45455
WHITE_IS_ZERO = 0  # of TIFF's photometric interpretations


def read_picture(path: Path, *, coarsely: bool = False) -> Image.Image:
    """The picture in `path` as a viewer shows it, in mode RGB.

    Args:
        coarsely: a JPEG may come at an eighth of its size: all of it is decoded, but quickly.

    Raises:
        ValueError: as `opened` does; or its colours have no agreed look. A decoder raises what it likes on a damaged
            file.
    """
    with opened(path) as image:
        if coarsely:
            image.draft("RGB", (1, 1))
        return as_shown(image)


def opened(path: Path) -> Image.Image:
    """The picture in a file, not yet decoded; no small file may take much memory or time.

    Raises:
        ValueError: it is no file, no picture, or one of too many pixels, bytes or scans.
    """
    if (found := what_is(path)) != "a file":
        raise ValueError(found)  # opening a fifo would wait for ever
    if (size := path.stat().st_size) > BYTE_CAP:
        raise ValueError(f"{size:,} bytes, more than {BYTE_CAP:,}")
    content = path.read_bytes()
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except UnidentifiedImageError as error:
        why = f"not a picture in a format that is read ({', '.join(FORMATS)})" if content else "0 bytes"
        raise ValueError(why) from error
    if image.width * image.height > PIXEL_CAP:
        raise ValueError(f"{image.width} x {image.height} pixels, more than {PIXEL_CAP:,}")
    if image.format == "JPEG" and (scans := content.count(b"\xff\xda")) > SCAN_CAP:
        raise ValueError(f"a JPEG of {scans:,} scans, more than {SCAN_CAP}")
    return image


def why_unreadable(path: Path) -> str | None:
    """Why `read_picture` would fail; None, if it wouldn't."""
    try:
        read_picture(path, coarsely=True)
    except Exception as error:  # whatever a decoder raises is its verdict on the file
        return str(error).replace(str(path), path.name) or type(error).__name__
    return None


def largest_square(picture: Image.Image, size: int) -> np.ndarray:
    """The largest centred square, resized with antialiasing: uint8 size x size x 3.

    Of CelebA's 178 x 218 files this is the published crop (protocol 1.2).
    """
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((size, size), Image.Resampling.BILINEAR))


def as_shown(image: Image.Image) -> Image.Image:
    """An opened image of any mode as a viewer shows it, in mode RGB.

    Raises:
        ValueError: its mode or its colours have no agreed look.
    """
    ImageOps.exif_transpose(image, in_place=True)
    about, image = image.info, _in_8_bits(image)
    _refuse_unreadable_colours(about)
    if not image.has_transparency_data:
        return _in_srgb(image, about.get("icc_profile"))
    image = image.convert(STRAIGHT.get(image.mode, "LA" if image.mode in ("L", "LA") else "RGBA"))
    colours = image.convert(image.mode.removesuffix("A"))
    page = Image.new("RGB", image.size, PAGE)
    page.paste(_in_srgb(colours, about.get("icc_profile")), mask=image.getchannel("A"))
    return page


def _in_8_bits(image: Image.Image) -> Image.Image:
    """Greys of 16 (or a TIFF's 12) bits scaled to 8; a grey that counts as transparent in an alpha channel.

    32-bit integers and floats are refused: nothing says which of them is white.
    """
    if image.mode in ("I", "F"):
        raise ValueError(f"numbers of 32 bits (mode {image.mode}), of which none is known to be white: save as 8 bits")
    if not image.mode.startswith("I;16"):
        return image
    grey, tags = np.asarray(image), getattr(image, "tag_v2", {})
    scaled = (grey * (255 / (2 ** tags.get(BITSPERSAMPLE, (16,))[0] - 1))).round().astype(np.uint8)
    if tags.get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO:  # Pillow turns these round for 8 bits only
        scaled = 255 - scaled
    shown = Image.fromarray(scaled)
    if "transparency" in image.info:
        shown.putalpha(Image.fromarray(np.where(grey == image.info["transparency"], 0, 255).astype(np.uint8)))
    return shown


def _refuse_unreadable_colours(about: dict) -> None:
    key = about.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:
        raise ValueError("a transparent colour of 16 bits, which can't be told after decoding: save with 8 bits")
    if "srgb" in about or "icc_profile" in about:
        return
    distances = np.subtract(about.get("chromaticity", SRGB), SRGB)
    if abs(about.get("gamma", SRGB_GAMMA) - SRGB_GAMMA) > 0.02 or np.abs(distances).max() > 0.01:
        raise ValueError("a PNG whose gAMA or cHRM chunk asks for other colours than sRGB's: save as sRGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    if not profile or image.mode == "LAB":
        return image if image.mode == "RGB" else image.convert("RGB")
    try:
        source = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = source.profile.xcolor_space
        mode, fitting = PROFILED.get(space, ("", ()))
        if image.mode not in fitting:
            raise ValueError(f"a colour profile for {space.strip()} on pixels of mode {image.mode}: save as sRGB")
        return ImageCms.profileToProfile(image.convert(mode), source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise ValueError(f"a colour profile that can't be read ({error}): save as sRGB") from error


def what_is(path: Path) -> str:
    """ "a file", if that's what is there (or where a link leads); otherwise what it is instead."""
    try:
        kind = stat.S_IFMT(os.stat(path).st_mode)
    except (OSError, ValueError):
        return "a link to nothing" if os.path.islink(path) else "not there"
    kinds = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a fifo", stat.S_IFSOCK: "a socket"}
    return kinds.get(kind, "a device")
