"""Folders of faces by somebody who means harm: pictures, tables, names and links."""

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile import PROMISE, hostile, refusal
from PIL import Image

from antidisrupt_lib.faces.pictures import read_picture
from antidisrupt_lib.faces.readers import open_faces, write_faces
from antidisrupt_lib.photos.files import read_photo
from antidisrupt_lib.study.hashes import files_below, folder_hash
from antidisrupt_lib.study.paths import reason


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, *chunks: tuple[bytes, bytes], rows: bytes = b"") -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    signed = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(signed)


def jpeg_of_scans(count: int) -> bytes:
    """A progressive JPEG of 36 million pixels with its last scan so many times more."""
    content = encoded(Image.new("L", (6000, 6000)), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + count * scan + content[-2:]


def tiff(*tags: tuple[int, int, int, int]) -> bytes:
    """A TIFF of these tags alone, each (tag, kind, count, value), whose next table is itself."""
    return (
        b"II*\0\x08\0\0\0"
        + struct.pack("<H", len(tags))
        + b"".join(struct.pack("<HHII", *tag) for tag in tags)
        + b"\x08\0\0\0"
    )


def gif(width: int, height: int) -> bytes:
    return (
        b"GIF89a"
        + struct.pack("<HHBBB", width, height, 0xF0, 0, 0)
        + bytes(6)
        + b",\0\0\0\0"
        + struct.pack("<HHB", width, height, 0)
        + b"\x02\x02L\x01\0;"
    )


LONG = b"a\0\0" + zlib.compress(bytes(2**20))
SQUARE = ((256, 3, 1, 50_000), (257, 3, 1, 50_000), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1))
PICTURES = {
    "a PNG of 900 million pixels": png(30_000, 30_000, rows=bytes(2**20)),
    "a PNG of four billion pixels a side": png(2**31 - 1, 2**31 - 1),
    "a PNG of 1,000 texts that unpack": png(8, 8, *[(b"zTXt", LONG)] * 1000),
    "a PNG with a profile that unpacks": png(8, 8, (b"iCCP", b"a\0\0" + zlib.compress(bytes(2**26), 1))),
    "a JPEG of 2,000 scans": jpeg_of_scans(2000),
    "a GIF of 65,535 pixels a side": gif(65_535, 65_535),
    "a TIFF of 50,000 pixels a side": tiff(*SQUARE, (273, 4, 1, 8), (278, 4, 1, 1), (279, 4, 1, 2**31)),
    "a TIFF with a billion of a tag": tiff((256, 4, 2**30, 8), (257, 4, 1, 8)),
    "a WebP of 16,383 pixels a side": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\xfe\x3f\0\xfe\x3f\0",
    "a BMP of two billion pixels a side": b"BM"
    + struct.pack("<IIIIiiHH", 54, 0, 54, 40, *[2**31 - 1] * 2, 1, 24) + bytes(24),
    "PostScript that runs": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%mkdir ran) (w) file\nshowpage\n",
    "an SVG with a script": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "ImageMagick's delegates": b'push graphic-context\nfill "url(https://x|mkdir ran)"\npop graphic-context\n',
    "a GIF that is a script": b"GIF89a/*" + bytes(30) + b"*/=1;alert(1)",
    "a PDF": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj",
    "a zip": b"PK\3\4" + bytes(100),
    "a program": b"\x7fELF\x02\x01\x01" + bytes(100),
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    """A folder of one sound photo and its table; `b.jpg` is to come."""
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "attributes.csv").write_text("image_id,Male\na.png,1\nb.jpg,0\n")
    return tmp_path


def read(root):
    """All that a study does with a folder of faces, from its hash to the FaceSet."""
    folder_hash(root)
    write_faces(root / "out", open_faces(root), name="a", size=8)


@hostile("pictures that are bombs (pixels, scans, texts, profiles, tags) or something else under a photo's name")
@pytest.mark.parametrize("what", PICTURES)
def test_pictures_that_harm_are_refused(root, what):
    (root / "b.jpg").write_bytes(PICTURES[what])
    assert "1 of 2 images" in refusal(lambda: read(root)) and not (root / "out").exists()
    refusal(lambda: read_photo(root / "b.jpg"))


PHOTO = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8))


def archive() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("../ran", "x")
    return file.getvalue()


@hostile("photos that are something else, too: a zip behind them, a script in their comment", "read as photos, no more")
@pytest.mark.parametrize("more", [
    lambda: encoded(PHOTO, "PNG") + archive(),
    lambda: encoded(PHOTO, "PNG") + b"<?php system('mkdir ran'); ?>",
    lambda: encoded(PHOTO, "TIFF") + archive(),
    lambda: encoded(PHOTO, "BMP") + b"%PDF-1.7 /JavaScript",
    lambda: encoded(PHOTO, "WEBP", lossless=True, xmp=b"<x:xmpmeta><!ENTITY a SYSTEM 'file:///etc/passwd'>"),
])  # fmt: skip
def test_a_photo_is_read_as_a_photo(tmp_path, more):
    (tmp_path / "a.jpg").write_bytes(more())
    assert np.array_equal(np.asarray(read_picture(tmp_path / "a.jpg")), np.asarray(PHOTO))
    assert os.listdir(tmp_path) == ["a.jpg"]


TABLES = {
    "a million columns": "image_id," + ",".join(f"c{i}" for i in range(10**6)) + "\na.png" + ",1" * 10**6 + "\n",
    "three million rows": "image_id,Male\n" + "".join(f"{i}.png,1\n" for i in range(3 * 10**6)),
    "a cell of ten million signs": "image_id,Male\na.png," + "1" * 10**7 + "\n",
    "an open quote": 'image_id,Male\n"' + "a" * 10**6,
    "a name of a million signs": "image_id,Male\n" + "a/" * 60_000 + "a.png,1\n",
    "names that lead out": "image_id,Male\n../../etc/passwd,1\n",
    "names that steer terminals": "image_id,Male\n\x1b[2J\x07.png,1\n",
    "formulas": 'image_id,Male\na.png,"=cmd|\' /C calc\'!A0"\n',
    "code": "image_id,Male\na.png,__import__('os').mkdir('ran')\n",
    "a pickle": "\x80\x04\x95cos\nmkdir\n(X\x03\0\0\0rantR.",
    "nothing but commas": "," * 10**6,
}  # fmt: skip


@hostile("tables of a million columns or rows, of endless cells, of formulas, code and names that lead out")
@pytest.mark.parametrize("what", TABLES)
def test_tables_that_harm_are_refused(root, what):
    (root / "attributes.csv").write_text(TABLES[what])
    refusal(lambda: read(root))
    assert sorted(os.listdir(root)) == ["a.png", "attributes.csv"]


@hostile("CelebA's lists with a million columns, or counts that lie")
@pytest.mark.parametrize("lines", [
    f"1\n{'a ' * 10**6}\n1.jpg {'1 ' * 10**6}\n", f"{10**18}\na\n1.jpg 1\n", f"{'9' * 5000}\na\n1.jpg 1\n",
])  # fmt: skip
def test_celebas_lists_that_harm_are_refused(root, lines):
    (root / "attributes.csv").unlink()
    (root / "list_attr_celeba.txt").write_text(lines)
    refusal(lambda: open_faces(root))


@hostile("a table that is a sparse file of a terabyte, a fifo, a device, a link to itself")
@pytest.mark.parametrize("what", ["sparse", "fifo", "device", "link"])
def test_tables_without_end_are_refused(root, what):
    table = root / "attributes.csv"
    table.unlink()
    if what == "sparse":
        table.touch()
        os.truncate(table, 2**40)
    elif what == "fifo":
        os.mkfifo(table)
    else:
        table.symlink_to("/dev/zero" if what == "device" else table)
    refusal(lambda: open_faces(root))


def web(folder: Path) -> None:
    """Thirty folders, each with two links to the next: a billion ways."""
    for i in range(30):
        (folder / f"{i}").mkdir()
    for i in range(29):
        for name in ("a", "b"):
            (folder / f"{i}" / name).symlink_to(folder / f"{i + 1}")


@hostile("photos that are links: to a device, a fifo, a folder, nothing, themselves, a file that is no photo")
@pytest.mark.parametrize("target", ["/dev/zero", "pipe", "folder", "nowhere", "b.jpg", "/etc/passwd"])
def test_links_that_are_no_photos_are_refused(root, target):
    os.mkfifo(root / "pipe")
    (root / "folder").mkdir()
    (root / "b.jpg").symlink_to(target)
    said = refusal(lambda: read(root))
    assert "b.jpg" in said and "root:" not in said and not (root / "out").exists()


@hostile("a faces folder with links to the system's folders, or to one that holds it", "refused by name")
@pytest.mark.parametrize("target", ["/", "/proc", "/proc/self", "/sys", "/dev", ".."])
def test_links_that_lead_out_are_refused(root, target):
    (root / "l").symlink_to(target)
    assert f"{root / 'l'} leads to" in refusal(lambda: folder_hash(root))


@hostile("a faces folder whose links make a web of a billion ways", "each folder is read once, and each link counts")
def test_a_web_of_links_is_read_once(root):
    (root / "b.jpg").write_bytes((root / "a.png").read_bytes())
    web(root)
    files, again = files_below(root)
    assert sorted(files) == ["a.png", "attributes.csv", "b.jpg"] and len(again) == 58
    before = folder_hash(root)
    (root / "3/a").unlink()
    (root / "3/a").symlink_to(root / "7")
    assert folder_hash(root) != before
    open_faces(root)


@hostile("names of files that steer terminals, in what is refused", PROMISE + "; shown escaped")
def test_names_do_not_steer_terminals(root):
    (root / "\x1b[2J\u202egpj.exe.png").touch()
    with pytest.raises(ValueError) as error:
        open_faces(root)
    assert "\\x1b[2J\\u202egpj.exe.png" in reason(error.value)
