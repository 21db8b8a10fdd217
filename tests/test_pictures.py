"""What a viewer shows is what the study sees; what can't be shown so is refused by name."""

import io
import os
import socket
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_pictures import KINDS, STORED, faded, matrix_profile, save_odd, shown, turns, with_alpha, write_odd_folder
from PIL import Image, ImageDraw

from antidisrupt_lib.faces import pictures, readers
from antidisrupt_lib.faces.face_detectors import opencv_cascade
from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.faces.pictures import as_shown, largest_square, read_picture, why_unreadable
from antidisrupt_lib.faces.readers import open_faces, write_faces
from antidisrupt_lib.faces.sketch import draw

read = pytest.mark.kind("pictures", "read")
refused = pytest.mark.kind("pictures", "refused")
skipped = pytest.mark.kind("pictures", "skipped with a word")


@pytest.fixture(scope="module")
def face() -> Image.Image:
    return draw(sample_look(3, 1, 0)).convert("RGB").resize((80, 98), Image.Resampling.LANCZOS)


def write_folder(root: Path, **images: Image.Image) -> Path:
    for name, image in images.items():
        image.save(root / f"{name}.png")
    return write_table(root, *(f"{name}.png" for name in images))


def write_table(root: Path, *names: str) -> Path:
    (root / "attributes.csv").write_text("image_id,Male\n" + "".join(f"{name},1\n" for name in names))
    return root


# One picture


@read
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_of_any_format_and_mode_is_seen_as_a_viewer_shows_it(face, tmp_path, kind):
    path = save_odd(face, tmp_path / "a", kind, 6 if turns(kind) else 1)
    found = np.asarray(read_picture(path)).astype(float)
    assert found.shape == (98, 80, 3) and why_unreadable(path) is None
    assert np.abs(found - shown(face, kind)).mean() <= KINDS[kind][4]


@read
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_camera_gives_an_upright_picture(face, tmp_path, orientation):
    for kind in ("phone", "rgb", "webp", "avif", "scan", "cut_out"):
        found = np.asarray(read_picture(save_odd(face, tmp_path / kind, kind, orientation))).astype(float)
        assert np.abs(found - shown(face, kind)).mean() < 4, kind


@read
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LAB"])
def test_a_mode_without_transparency_is_converted(face, mode):
    found, expected = as_shown(face.convert(mode)), face.convert(mode).convert("RGB")
    assert found.mode == "RGB" and np.array_equal(found, expected)


@read
@pytest.mark.parametrize("mode", ["RGBA", "RGBa", "LA", "La", "PA"])
def test_what_is_transparent_shows_a_white_page_whatever_lies_under_it(face, mode):
    noise = np.random.default_rng(0).integers(0, 256, (98, 80, 3), dtype=np.uint8)
    under = Image.fromarray(np.where(np.arange(98)[:, None, None] < 90, np.asarray(face), noise))
    if mode == "PA":
        stored = under.quantize(256).convert("PA")
        stored.putalpha(with_alpha(under).getchannel("A"))
    else:
        stored = with_alpha(under, "LA" if mode in ("LA", "La") else "RGBA").convert(mode)
    grey = mode in ("LA", "La")
    assert np.abs(np.asarray(as_shown(stored)) - faded(under.convert("L") if grey else under)).mean() < 4
    stored.putalpha(0) if mode in ("LA", "RGBA", "PA") else None
    assert mode not in ("LA", "RGBA", "PA") or np.all(np.asarray(as_shown(stored)) == 255)


@read
@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16"])
def test_a_colour_that_counts_as_transparent_shows_the_page(tmp_path, mode):
    values = np.full((20, 20), 90, np.uint16)
    values[5:10] = 30
    image = Image.fromarray(values if mode == "I;16" else values.astype(np.uint8)).convert(mode)
    key = (30, 30, 30) if mode == "RGB" else image.getpixel((0, 6))
    image.save(tmp_path / "a.png", transparency=key)
    found = np.asarray(read_picture(tmp_path / "a.png"))
    assert np.all(found[5:10] == 255) and np.all(found[:5] == (0 if mode == "I;16" else 90))


@read
def test_one_greys_16_bits_are_scaled_and_not_clipped(tmp_path):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        assert np.array_equal(np.asarray(read_picture(tmp_path / name))[..., 0].ravel(), np.arange(256))


def tiff(values: np.ndarray, bits: int, photometric: int) -> bytes:
    """The least TIFF of greys (TIFF 6.0, section 3)."""
    packed = values.astype("<u2").tobytes() if bits == 16 else bytes(
        byte for a, b in values.reshape(-1, 2).tolist() for byte in (a >> 4, (a & 15) << 4 | b >> 8, b & 255)
    )  # fmt: skip
    height, width = values.shape
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: height, 279: len(packed)}
    entries = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(packed)) + packed + struct.pack("<H", len(tags)) + entries + bytes(4)


@read
@pytest.mark.parametrize(("bits", "photometric"), [(16, 1), (16, 0), (12, 1)])
def test_a_scan_says_which_number_is_white(tmp_path, bits, photometric):
    ramp = np.linspace(0, 2**bits - 1, 256).round().astype(int).reshape(16, 16)
    (tmp_path / "a.tif").write_bytes(tiff(ramp, bits, photometric))
    found = np.asarray(read_picture(tmp_path / "a.tif"))[..., 0].ravel()
    assert np.array_equal(found if photometric else found[::-1], np.arange(256))


def png(*chunks: tuple[bytes, bytes], size: int = 4, bits: int = 8) -> bytes:
    rows = (b"\0" + bytes(size * 3 * bits // 8)) * size
    head = struct.pack(">IIBBBBB", size, size, bits, 2, 0, 0, 0)
    body = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    signed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in body
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(signed)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


GREY, RGB = Image.new("L", (8, 8)), Image.new("RGB", (8, 8))
WIDE = struct.pack(">8I", 31270, 32900, 64000, 33000, 21000, 71000, 15000, 6000)  # Adobe RGB's primaries
UNSHOWABLE = {
    "empty": (b"", "0 bytes"),
    "a web page": (b"<html><body>Not found</body></html>", "not a picture in a format that is read"),
    "a video": (b"\0\0\0\x18ftypmp42" + bytes(40), "not a picture in a format that is read"),
    "a script": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in a format that is read"),
    "whole numbers of 32 bits": (encoded(Image.new("I", (8, 8), 900), "TIFF"), "32 bits (mode I)"),
    "floats": (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), "32 bits (mode F)"),
    "linear light": (png((b"gAMA", struct.pack(">I", 100000))), "gAMA or cHRM"),
    "wide primaries": (png((b"cHRM", WIDE)), "gAMA or cHRM"),
    "a key of 16 bits": (png((b"tRNS", struct.pack(">3H", 0, 60000, 0)), bits=16), "transparent colour of 16 bits"),
    "a broken profile": (encoded(RGB, "PNG", icc_profile=b"nonsense"), "colour profile that can't be read"),
    "another's profile": (encoded(RGB, "JPEG", icc_profile=matrix_profile(space=b"GRAY")), "profile for GRAY on"),
    "a bomb": (png((b"tEXt", b"a\0b"), size=12), "12 x 12 pixels, more than 100"),
    "a bomb of words": (png((b"iCCP", b"a\0\0" + zlib.compress(bytes(1 << 21)))), "too large"),
}  # fmt: skip


@refused
@pytest.mark.parametrize("name", UNSHOWABLE)
def test_what_has_no_agreed_look_is_refused_by_name_and_reason(tmp_path, monkeypatch, name):
    content, words = UNSHOWABLE[name]
    monkeypatch.setattr(pictures, "PIXEL_CAP", 100)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    (tmp_path / "b.jpg").write_bytes(content)
    write_table(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(ValueError, match=r"1 of 2 images .* can't be read: b.jpg") as error:
        open_faces(tmp_path)
    assert words.lower() in str(error.value).lower()


@read
def test_a_png_that_names_srgbs_own_gamma_and_primaries_is_plain(tmp_path):
    own = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    (tmp_path / "a.png").write_bytes(png((b"gAMA", struct.pack(">I", 45455)), (b"cHRM", own)))
    assert why_unreadable(tmp_path / "a.png") is None


@pytest.mark.kind("pictures", "refused, or read whole")
@settings(deadline=None, max_examples=60, derandomize=True)
@given(st.sampled_from(sorted(KINDS)), st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_off_anywhere_is_never_half_a_face(tmp_path_factory, kind, share):
    folder = tmp_path_factory.mktemp("cut")
    picture = draw(sample_look(3, 1, 0)).convert("RGB").resize((40, 49), Image.Resampling.LANCZOS)
    path = save_odd(picture, folder / "a", kind)
    whole = np.asarray(read_picture(path))
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    if why_unreadable(path) is None:
        assert np.array_equal(read_picture(path), whole)


# Squares


@read
@pytest.mark.parametrize("size", [(16, 16), (178, 218), (1024, 1024), (4000, 3000), (1000, 4000)])
def test_a_photo_of_any_size_is_taken_whole(tmp_path, size):
    side = min(size)
    picture, left, top = Image.new("RGB", size, "red"), (size[0] - side) // 2, (size[1] - side) // 2
    edge = side // 16 or 1
    ImageDraw.Draw(picture).rectangle((left, top, left + side - 1, top + side - 1), "white")
    ImageDraw.Draw(picture).rectangle((left + edge, top + edge, left + side - 1 - edge, top + side - 1 - edge), "black")
    write_folder(tmp_path, a=picture)
    found = write_faces(tmp_path / "out", open_faces(tmp_path), name="own", size=16).images[0].astype(int)
    assert np.all(found[0] > 200) and np.all(found[:, -1] > 200)  # the square's own white edge, and no red
    assert np.all(found[2:-2, 2:-2] < 30)


@read
def test_pixels_that_are_left_out_count_too():
    board = (np.indices((1024, 1024)).sum(0) % 2 * 255).astype(np.uint8)
    found = largest_square(Image.fromarray(board).convert("RGB"), 64)
    assert np.all(np.abs(found.astype(int) - 127.5) < 2)


@read
def test_a_folder_of_odd_photos_gives_faces_that_stand_upright_and_whole(tmp_path):
    listing = open_faces(write_odd_folder(tmp_path / "in", count=30, largest=120))
    found = write_faces(tmp_path / "out", listing, name="odd", size=16)
    assert len(found) == 30 and found.table["identity"].nunique() == 10
    for i, image in enumerate(found.images):
        picture, kind = draw(sample_look(7, i // 3, i % 3)).convert("RGB"), list(KINDS)[i]
        expected = largest_square(Image.fromarray(shown(picture, kind).round().astype(np.uint8)), 16)
        likeness = np.corrcoef(image.ravel(), expected.ravel())[0, 1]
        assert likeness > (0.5 if kind == "two_tones" else 0.9), (found.image_ids[i], likeness)


# What lies in a folder


@read
def test_photos_in_sub_folders_are_named_by_their_paths(tmp_path):
    for person in ("alice", "bob/holidays", "unlisted"):
        (tmp_path / person).mkdir(parents=True)
        Image.new("RGB", (20, 20)).save(tmp_path / person / "1.jpg")
    write_table(tmp_path, "alice/1.jpg", "./bob//holidays/1.jpg")
    listing = open_faces(tmp_path)
    assert listing.table["image_id"].tolist() == ["alice/1.jpg", "bob/holidays/1.jpg"]
    assert write_faces(tmp_path / "out", listing, name="own", size=8).images.shape == (2, 8, 8, 3)
    Image.new("RGB", (20, 20)).save(tmp_path / "alice" / "2.jpg")
    with pytest.raises(ValueError, match=r"1 images have no row \(first: alice/2.jpg\)"):
        open_faces(tmp_path)


def make_socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's whole path must be short
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(here)


NOT_FILES = {
    "a fifo": os.mkfifo,
    "a socket": make_socket,
    "a folder": Path.mkdir,
    "a link to nothing": lambda path: path.symlink_to("nowhere.jpg"),
}


@refused
@pytest.mark.parametrize("what", NOT_FILES)
def test_a_row_that_names_no_file_is_refused_with_what_is_there(tmp_path, what):
    write_folder(tmp_path, a=RGB)
    NOT_FILES[what](tmp_path / "b.jpg")
    write_table(tmp_path, "a.png", "b.jpg")
    with pytest.raises(ValueError, match=rf"1 rows have no image \(first: b.jpg, {what}\)"):
        open_faces(tmp_path)
    assert why_unreadable(tmp_path / "b.jpg") == what


@skipped
@pytest.mark.parametrize("what", NOT_FILES)
def test_what_is_no_file_and_in_no_row_is_passed_by(tmp_path, capsys, what):
    write_folder(tmp_path, a=RGB)
    NOT_FILES[what](tmp_path / "b.jpg")
    assert len(open_faces(tmp_path).table) == 1
    assert "hidden or no pictures: 1 (b.jpg)" in capsys.readouterr().out


@skipped
@pytest.mark.parametrize("name", ["._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt", "a.heic", ".x.jpg"])
def test_what_systems_leave_in_folders_is_passed_by(tmp_path, capsys, name):
    write_folder(tmp_path, a=RGB)
    (tmp_path / name).write_bytes(b"\0\5\26\7")
    assert open_faces(tmp_path).table["image_id"].tolist() == ["a.png"]
    assert f"hidden or no pictures: 1 ({name})" in capsys.readouterr().out


@read
def test_a_link_to_a_photo_is_the_photo(tmp_path):
    RGB.save(tmp_path / "original.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.png").symlink_to(tmp_path / "original.png")
    assert len(open_faces(write_table(tmp_path / "in", "a.png")).table) == 1


# Faces that aren't in the middle


def brightest(frame: np.ndarray) -> np.ndarray:
    """A detector of white squares."""
    rows, columns = np.nonzero(frame.min(axis=2) > 200)
    if not len(rows):
        return np.zeros((0, 4))
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]])


def with_eyes(frame: np.ndarray) -> np.ndarray:
    """The same, with eyes on a line that rises to the right by 45 degrees."""
    boxes = brightest(frame)
    return np.hstack([boxes, boxes[:, [0, 3]], boxes[:, [2, 1]]])


def photo(spot: tuple[int, int] | None) -> Image.Image:
    picture = Image.new("RGB", (300, 200))
    if spot:
        ImageDraw.Draw(picture).rectangle((*spot, spot[0] + 39, spot[1] + 39), "white")
    return picture


@read
@pytest.mark.parametrize("detect", [brightest, with_eyes])
def test_align_cuts_the_face_out_wherever_it_is_and_levels_its_eyes(tmp_path, monkeypatch, detect):
    monkeypatch.setattr(readers, "face_detector", {"spots": detect}.get)
    write_folder(tmp_path, a=photo((220, 80)), b=photo((40, 90)))
    found = write_faces(tmp_path / "out", open_faces(tmp_path, align="spots"), name="own", size=64).images
    for image in found.astype(int):
        assert image[32, 32].min() > 240 and image[[2, 2, -3, -3], [2, -3, 2, -3]].max() < 20
        share = (image > 127).mean()  # the box is 1 / 1.6 of the side; a turned one keeps its area
        assert share == pytest.approx(1 / 1.6**2, abs=0.02)
        corner = image[15, 15].min()  # inside an upright square, outside one on its tip
        assert (corner > 240) if detect is brightest else (corner < 20)


@pytest.mark.kind("pictures", "refused, or left out with a word")
def test_photos_without_a_face_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(readers, "face_detector", {"spots": brightest}.get)
    write_folder(tmp_path, a=photo((220, 80)), empty=photo(None))
    with pytest.raises(ValueError, match=r"1 of 2 .* can't be read: empty.png \(brightest finds no face\)"):
        open_faces(tmp_path, align="spots")
    assert open_faces(tmp_path, align="spots", bad_share=0.5).table["image_id"].tolist() == ["a.png"]
    assert "left out: empty.png (brightest finds no face)" in capsys.readouterr().out
    assert len(open_faces(tmp_path).table) == 2


@read
def test_the_real_detector_finds_a_drawn_face_in_the_corner_of_a_turned_photo(tmp_path):
    pytest.importorskip("cv2")
    picture = Image.new("RGB", (700, 500), "grey")
    picture.paste(draw(sample_look(3, 1, 0)).convert("RGB"), (480, 260))
    save_odd(picture, tmp_path / "a", "phone", 8)
    listing = open_faces(write_table(tmp_path, "a.jpg"), align=opencv_cascade.__name__)
    left, top, right, bottom = listing.boxes["a.jpg"]
    assert 480 < left < right < 480 + 178 and 260 < top < bottom < 500


def test_the_photos_of_the_odd_folder_are_of_every_turn_and_format():
    assert set(STORED) == set(range(2, 9))
    assert {ending.lower() for ending, *_ in KINDS.values()} >= {"jpg", "png", "webp", "avif", "tif", "bmp", "gif"}
