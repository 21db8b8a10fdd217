"""README: `antidisrupt protect`, `purify` and `check` do to a photo what they say, and say what they achieved."""

import io
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from antidisrupt_lib.__main__ import main
from antidisrupt_lib.by_name import forger, judge
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.deepfakes.translations import forge_all, translations
from antidisrupt_lib.faces.drawn import write_drawn_celeba
from antidisrupt_lib.metrics.distances import l2
from antidisrupt_lib.photos.doing import check, protect, purify
from antidisrupt_lib.photos.files import half_and_back, jpeg_of, read_photo, write_photo
from antidisrupt_lib.photos.judging import open_forgery
from antidisrupt_lib.photos.squares import SCALE, Square, carried, find_square

PICTURES = "pictures"
FEW = {"forger": "stargan", "steps": 2, "face_detector": "none"}
TWO = ["a.png", "b.png"]
WORDS = ["--forger", "stargan", "--face-detector", "none"]


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    """A drawn face, 178 x 218."""
    folder = write_drawn_celeba(tmp_path_factory.mktemp("drawn"), 1, seed=3)
    return Image.open(next((folder / "img_align_celeba").iterdir())).convert("RGB")


def saved(path, image, **how):
    image.save(path, **how)
    return path


# What stays of a file


@pytest.mark.kind(PICTURES, "kept")
@pytest.mark.parametrize("ending", ["jpg", "JPEG", "png", "webp", "tif", "bmp", "avif"])
def test_a_protected_photo_keeps_type_size_and_metadata(ending, face, tmp_path):
    exif = Image.Exif()
    exif[0x010F], exif[0x9003] = "Phone", "2024:01:01 10:00:00"
    kept = {} if ending == "bmp" else {"exif": exif}
    dpi = {"dpi": (300, 300)} if ending not in ("webp", "avif") else {}
    photo = saved(tmp_path / f"a.{ending}", face, **kept, **dpi)
    protect(photo, tmp_path / f"b.{ending}", **FEW)
    with Image.open(photo) as before, Image.open(tmp_path / f"b.{ending}") as after:
        assert (after.format, after.size, after.mode) == (before.format, before.size, before.mode)
        kept = [{tag: image.getexif().get(tag) for tag in (0x010F, 0x9003)} for image in (before, after)]
        assert kept[0] == kept[1] and (ending == "bmp" or kept[1][0x010F] == "Phone")
        assert after.info.get("dpi") == pytest.approx(before.info.get("dpi"))


@pytest.mark.kind(PICTURES, "kept")
@pytest.mark.parametrize("eps", [0.0125, 0.05, 0.1])
@pytest.mark.parametrize("ending", ["png", "webp", "tif", "bmp"])
def test_no_value_of_a_file_without_losses_leaves_the_eps_ball(ending, eps, face, tmp_path):
    photo = saved(tmp_path / f"a.{ending}", face, **({"lossless": True} if ending == "webp" else {}))
    protect(photo, tmp_path / f"b.{ending}", eps=eps, **FEW)
    before, after = (np.asarray(Image.open(tmp_path / f"{name}.{ending}"), int) for name in "ab")
    assert 0 < np.abs(after - before).max() <= 255 * eps
    assert (after != before)[20:198].any(axis=(1, 2)).all() and np.array_equal(after[:20], before[:20])


@pytest.mark.kind(PICTURES, "read")
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_turned_photo_is_written_upright_and_says_so(turn, face, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = turn
    photo = saved(tmp_path / "a.png", face, exif=exif)
    protect(photo, tmp_path / "b.png", **FEW)
    with Image.open(tmp_path / "b.png") as after:
        assert after.getexif().get(0x0112, 1) == 1
        shown = ImageOps.exif_transpose(Image.open(photo))
        assert np.abs(np.asarray(after, int) - np.asarray(shown)).max() <= 12


@pytest.mark.kind(PICTURES, "kept")
def test_a_thumbnail_that_shows_the_face_as_it_was_is_left_out(face, tmp_path):
    small = io.BytesIO()
    face.resize((40, 48)).save(small, "JPEG")
    exif = Image.Exif()
    exif[0x010F] = "Phone"
    ifd = exif.get_ifd(1)
    ifd[0x0201], ifd[0x0202], ifd[0x0103] = 0, len(small.getvalue()), 6
    raw = exif.tobytes() + small.getvalue()
    photo = saved(tmp_path / "a.jpg", face, exif=raw)
    assert small.getvalue() in photo.read_bytes()
    protect(photo, tmp_path / "b.jpg", **FEW)
    written = (tmp_path / "b.jpg").read_bytes()
    assert small.getvalue() not in written and written.count(b"\xff\xd8\xff") == 1
    assert Image.open(tmp_path / "b.jpg").getexif()[0x010F] == "Phone"


@pytest.mark.kind(PICTURES, "kept")
@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_a_colour_profile_is_kept_with_the_values_that_it_is_for(ending, face, tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo = saved(tmp_path / f"a.{ending}", face, icc_profile=profile)
    protect(photo, tmp_path / f"b.{ending}", **FEW)
    assert Image.open(tmp_path / f"b.{ending}").info["icc_profile"] == profile


@pytest.mark.kind(PICTURES, "kept")
def test_transparency_and_text_are_kept(face, tmp_path):
    from PIL.PngImagePlugin import PngInfo

    text = PngInfo()
    text.add_text("Author", "me")
    rgba = face.copy()
    rgba.putalpha(Image.linear_gradient("L").resize(face.size))
    photo = saved(tmp_path / "a.png", rgba, pnginfo=text)
    protect(photo, tmp_path / "b.png", **FEW)
    after = Image.open(tmp_path / "b.png")
    assert after.text == {"Author": "me"} and np.array_equal(after.getchannel("A"), rgba.getchannel("A"))


@pytest.mark.kind(PICTURES, "read")
@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "LA", "1", "I;16"])
def test_modes_that_hold_no_small_change_become_rgb_which_is_said(mode, face, tmp_path):
    image = Image.fromarray(np.asarray(face.convert("L"), np.uint16) * 257) if mode == "I;16" else face.convert(mode)
    photo = saved(tmp_path / "a.tif", image)
    found = protect(photo, tmp_path / "b.tif", **FEW)
    assert Image.open(tmp_path / "b.tif").mode == "RGB" and any("stored as RGB" in note for note in found.notes)


@pytest.mark.kind(PICTURES, "refused")
@pytest.mark.parametrize(
    ("make", "out", "text"),
    [
        (lambda path, face: path.write_bytes(b""), "b.png", "can't be read: 0 bytes|can't be read: cannot identify"),
        (lambda path, face: path.write_bytes(b"GIF89a"), "b.png", "can't be read"),
        (
            lambda path, face: face.save(path, "GIF", save_all=True, append_images=[face.rotate(9)]),
            "b.png",
            "2 pictures",
        ),
        (lambda path, face: face.save(path, "PNG"), "b.gif", "palette of 256 colours: name it .png"),
        (lambda path, face: face.save(path, "PNG"), "b.doc", "no picture's ending"),
        (lambda path, face: path.mkdir(), "b.png", "is a folder"),
    ],
    ids=["empty", "cut", "animation", "gif", "doc", "folder"],
)
def test_what_is_no_photo_or_cannot_hold_one(make, out, text, face, tmp_path):
    make(tmp_path / "a.png", face)
    with pytest.raises(ValueError, match=text):
        protect(tmp_path / "a.png", tmp_path / out, **FEW)
    assert not (tmp_path / out).exists() and not list(tmp_path.glob(".partial*"))


# Where the face is, and how a change is carried


@settings(deadline=None, max_examples=25, derandomize=True)
@given(side=st.integers(3, 300), seed=st.integers(0, 99))
def test_a_carried_change_never_leaves_what_it_was_between(side, seed):
    change = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) * 0.2 - 0.1
    large = Square(0, 0, side, "").enlarged(change)
    assert large.shape == (side, side, 3) and np.abs(large).max() <= change.abs().max() + 1e-6


@pytest.mark.parametrize("scale", [3, 4, 9])
def test_the_attack_reckons_with_what_the_way_to_the_photos_size_and_back_does(scale, face):
    x = torch.from_numpy(np.array(face.crop((0, 20, 178, 198)).resize((64, 64)))).permute(2, 0, 1)[None] / 255
    x_adv = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0)).sign()).clamp(0.1, 0.9)
    (transform,) = carried(x)
    side = 64 * scale
    large = np.array(Image.fromarray((255 * x[0]).byte().permute(1, 2, 0).numpy()).resize((side, side)), float) / 255
    pixels = (255 * np.clip(large + Square(0, 0, side, "").enlarged(x_adv - x), 0, 1)).round().astype(np.uint8)
    met = Square(0, 0, side, "").small(pixels, 64) - Square(0, 0, side, "").small(
        (255 * large).round().astype(np.uint8), 64
    )
    expected = transform(x_adv) - x
    assert (met - expected).abs().mean() < (0.004 if scale == SCALE else 0.02) and expected.abs().mean() > 0.03


@pytest.mark.parametrize("size", [(178, 218), (300, 100), (64, 64)])
def test_without_a_detector_the_largest_square_is_taken_and_said(size, face):
    square = find_square(np.asarray(face.resize(size)), "none")
    assert square.side == min(size) and square.found == "the whole picture"
    with pytest.raises(ValueError, match="no face detector 'cat'"):
        find_square(np.asarray(face), "cat")


def test_a_small_face_in_a_large_photo_is_found(face):
    pytest.importorskip("cv2")
    page = Image.new("RGB", (900, 700), (90, 120, 150))
    page.paste(face, (600, 300))
    square = find_square(np.asarray(page), "opencv_cascade")
    assert 600 < square.left + square.side / 2 < 778 and square.side < 260 and "largest face" in square.found


# What is said


def test_what_is_said_of_a_photo_is_what_its_file_does(face, tmp_path):
    photo = saved(tmp_path / "a.png", face)
    found = protect(photo, tmp_path / "b.png", forger="stargan", eps=0.1, steps=8, face_detector="none")
    x, x_adv = (
        find_square(np.asarray(Image.open(p)), "none").small(np.asarray(Image.open(p)), 64)
        for p in (photo, tmp_path / "b.png")
    )
    forge, seen = forger("stargan"), lambda x: (judge()(x) > 0).float()
    c = seen(x)
    y, y0, wanted = forge_all(forge, x_adv, c)[:, 0], forge_all(forge, x, c)[:, 0], translations(c)[:, 0]
    take = [
        i for i in range(len(ATTRIBUTES)) if seen(y0[i : i + 1])[0, i] == wanted[i, i] and (wanted[i] != c[0]).any()
    ]
    broken = found.broken["as it is"]["stargan"]
    assert (broken.take, broken.whole) == (len(take), int((l2(y, y0)[take] >= 0.05).sum())) and broken.whole > 0
    assert set(found.broken) == {"as it is", "after JPEG 75", "after half the size and back"}
    again = check(tmp_path / "b.png", photo, forger="stargan", face_detector="none")
    assert again.broken == found.broken


def test_where_nothing_breaks_it_is_said_plainly(face, tmp_path):
    found = protect(saved(tmp_path / "a.png", face), tmp_path / "b.png", forger="attention", eps=0.004, steps=1)
    assert found.broken["as it is"]["attention"].whole == 0
    assert "NOT protected against attention: a larger eps than 0.004 breaks more, and shows more." in found.notes


def test_an_untouched_photo_breaks_nothing_also_against_itself_purified(face, tmp_path):
    photo = saved(tmp_path / "a.png", face)
    for found in (check(photo, photo, face_detector="none"), check(photo, face_detector="none")):
        assert all(one.whole == 0 for one in found.broken["as it is"].values())
    assert "estimate" in found.reference


def test_a_purified_photo_edits_again(face, tmp_path):
    photo = saved(tmp_path / "a.png", face)
    broken = protect(photo, tmp_path / "b.png", forger="stargan", eps=0.05, steps=8, face_detector="none")
    (said, *_) = purify(tmp_path / "b.png", tmp_path / "c.png", face_detector="none")
    left = check(tmp_path / "c.png", photo, forger="stargan", face_detector="none")
    now, before = (one.broken["as it is"]["stargan"].whole for one in (left, broken))
    assert now < before and "at 64 px" in said
    assert purify(photo, tmp_path / "d.png", purifier="jpeg_75")[0] == "jpeg_75 on the whole photo."


def test_compression_is_told_of(face, tmp_path):
    found = protect(saved(tmp_path / "a.jpg", face), tmp_path / "b.jpg", quality=40, **FEW)
    assert any("Compression moves single values by up to" in note for note in found.notes)


def test_the_roads_are_what_they_say():
    pixels = np.random.default_rng(0).integers(0, 256, (31, 40, 3), dtype=np.uint8)
    assert half_and_back(pixels).shape == jpeg_of(pixels, 75).shape == pixels.shape
    assert half_and_back(pixels).std() < pixels.std() and len(open_forgery("attention,stgan").forgers) == 2


# The command


@pytest.mark.kind(PICTURES, "skipped with a word")
def test_one_broken_file_in_a_folder_is_named_and_the_others_are_done(face, tmp_path, capsys):
    (tmp_path / "in/sub").mkdir(parents=True)
    for i in range(4):
        face.save(tmp_path / f"in/{'sub/' if i == 3 else ''}{i}.jpg")
    (tmp_path / "in/1.jpg").write_bytes((tmp_path / "in/0.jpg").read_bytes()[:900])
    words = ["protect", str(tmp_path / "in"), str(tmp_path / "out"), "--steps", "1", *WORDS]
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert "3 of 4 done." in out and f"{tmp_path}/in/1.jpg can't be read" in err and "nothing else" in out
    made = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*"))
    assert made == ["0.jpg", "2.jpg", "sub/3.jpg"]
    assert main(["check", str(tmp_path / "out"), "--original", str(tmp_path / "in"), *WORDS]) == 0
    assert "3 of 3 done." in capsys.readouterr().out


@pytest.mark.kind(PICTURES, "refused")
@pytest.mark.parametrize(
    ("words", "text"),
    [(["protect", "a.png", "a.png"], "is the photo itself"), (["protect", "a.png", "there.png"], "is there already"),
     (["purify", "a.png", "."], "is the photo itself"), (["protect", "no.png", "b.png"], "nothing at no.png"),
     (["protect", "empty", "b"], "holds no picture"), (["protect", *TWO, "--eps", "0.001"], "less than one 8-bit"),
     (["protect", *TWO, "--eps", "8"], "Did you mean 8/255"), (["protect", *TWO, "--attack", "pdg"], "no attack 'pdg'"),
     (["protect", *TWO, "--attack", "no.py:f"], "there is no file"),
     (["check", "a.png", "--forger", "cat"], "no forger"),
     (["purify", *TWO, "--purifier", "magic"], "no purifier"),
     (["check", "a.png", "--original", "there.png"], "10 x 10")],
    ids=range(12),
)  # fmt: skip
def test_requests_that_are_wrong_are_refused_and_write_nothing(words, text, face, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    face.save("a.png")
    Image.new("RGB", (10, 10)).save("there.png")
    (tmp_path / "empty").mkdir()
    assert main(words) == 2 and text in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists() and Image.open("there.png").size == (10, 10)


def test_the_command_runs_as_a_module_and_prints_its_help_without_loading_torch():
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "antidisrupt_lib", "protect", "-h"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--eps" in done.stdout and " torch\n" not in done.stderr


@settings(deadline=None, max_examples=20, derandomize=True)
@given(width=st.integers(1, 90), height=st.integers(1, 90), seed=st.integers(0, 9))
def test_a_photo_of_any_size_is_read_and_written_as_it_was(width, height, seed, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "a.png"
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)).save(path)
    photo = read_photo(path)
    write_photo(path.with_name("b.png"), photo, photo.stored)
    assert np.array_equal(read_photo(path.with_name("b.png")).stored, photo.stored)
