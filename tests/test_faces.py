"""FaceSets keep images exactly and appear whole or not at all; readers check everything before they write anything."""

import hashlib
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from antidisrupt_lib.faces import pictures, readers
from antidisrupt_lib.faces.faceset import FaceSet, to_uint8, write_faceset
from antidisrupt_lib.faces.readers import list_faces, open_faces, write_faces

NAMES = ["Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"]


def save(faces: FaceSet, folder: Path) -> FaceSet:
    batches = np.array_split(faces.images, 3)
    return write_faceset(folder, batches, faces.table, faces.axes, size=faces.size)


def write_celeba(base: Path, count: int = 8, size: tuple[int, int] = (60, 70)) -> Path:
    """Noise in CelebA's official layout; attribute j of image i is set where i + j is even."""
    (base / "img_align_celeba").mkdir(parents=True)
    rng, names = np.random.default_rng(0), [f"{i:06d}.jpg" for i in range(1, count + 1)]
    for name in names:
        pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(base / "img_align_celeba" / name, quality=95)
    rows = [f"{name} {' '.join('1 ' if (i + j) % 2 == 0 else '-1' for j in range(5))}" for i, name in enumerate(names)]
    (base / "list_attr_celeba.txt").write_text("\n".join([str(count), " ".join(NAMES), *rows]) + "\n")
    (base / "identity_CelebA.txt").write_text("".join(f"{name} {i // 2}\n" for i, name in enumerate(names)))
    (base / "list_eval_partition.txt").write_text("".join(f"{name} {i % 3}\n" for i, name in enumerate(names)))
    return base


@pytest.fixture
def celeba(tmp_path) -> Path:
    return write_celeba(tmp_path / "celeba")


# FaceSet


def test_a_faceset_survives_the_disk(faces, tmp_path):
    found = save(faces, tmp_path / "A")
    assert np.array_equal(found.images, faces.images) and found.table.equals(faces.table)
    assert (found.axes, len(found), found.size) == ({"faces": "random"}, 12, 32)
    assert sorted(path.name for path in (tmp_path / "A").iterdir()) == ["axes.json", "faces.parquet", "images.npy"]


def test_x_is_pixels_over_255_as_float_nchw(faces):
    x = faces.x([3, 1])
    assert x.dtype == torch.float32 and x.shape == (2, 3, 32, 32)
    assert np.allclose(x.numpy(), faces.images[[3, 1]].transpose(0, 3, 1, 2) / 255, atol=1e-7)
    assert torch.equal(faces.x(torch.tensor([3, 1])), x) and np.array_equal(to_uint8(x), faces.images[[3, 1]])


def test_batches_rows_and_first_follow_the_order_of_the_table(faces):
    chosen = [part for part, _ in faces.batches(5)]
    assert [(part.start, part.stop) for part in chosen] == [(0, 5), (5, 10), (10, 12)]
    assert torch.equal(torch.cat([x for _, x in faces.batches(5)]), faces.x())
    assert faces.rows([4, 2]).image_ids == ["000005.jpg", "000003.jpg"] and faces.first(None) is faces
    assert torch.equal(faces.first(3).x(), faces.x(slice(3)))
    assert torch.equal(faces.labels(["Male"]).squeeze(1), torch.tensor(faces.table["Male"].to_numpy()).float())
    with pytest.raises(ValueError, match="no attribute 'Smiling'. They have: .*Male"):
        faces.labels(["Male", "Smiling"])


def fails_halfway(faces):
    yield faces.images[:5]
    raise RuntimeError("the disk is gone")


@pytest.mark.parametrize("batches", [fails_halfway, lambda faces: [faces.images[:5]], lambda faces: [faces.images] * 2])
def test_a_writer_that_fails_leaves_the_older_faceset_and_nothing_else(faces, make_faces, tmp_path, batches):
    old = save(make_faces(seed=9), tmp_path / "A")
    with pytest.raises((RuntimeError, ValueError)):
        write_faceset(tmp_path / "A", batches(faces), faces.table, {}, size=32)
    assert [path.name for path in tmp_path.iterdir()] == ["A"]
    assert np.array_equal(FaceSet.open(tmp_path / "A").images, make_faces(seed=9).images) and len(old) == 12


def test_a_missing_faceset_names_the_notebook_that_makes_it(tmp_path, faces):
    with pytest.raises(FileNotFoundError, match=re.escape("Run notebooks/01_split.ipynb first")):
        FaceSet.open(tmp_path / "outputs" / "01_split" / "A")
    with pytest.raises(FileNotFoundError, match="nothing at .*elsewhere. Check the path"):
        FaceSet.open(tmp_path / "elsewhere")
    save(faces, tmp_path / "A")
    np.save(tmp_path / "A" / "images.npy", faces.images[:3])
    with pytest.raises(ValueError, match="3 images but 12 rows"):
        FaceSet.open(tmp_path / "A")


# Readers


def test_celebas_official_files_are_read(celeba):
    for root in (celeba, celeba.parent):  # as such, or as torchvision stores it
        table = open_faces(root).table
        assert table.columns.tolist() == ["image_id", *NAMES, "identity", "partition"]
        assert table["image_id"].tolist() == [f"{i:06d}.jpg" for i in range(1, 9)]
        assert table[NAMES].to_numpy().tolist() == [[int((i + j) % 2 == 0) for j in range(5)] for i in range(8)]
        assert table["identity"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
        assert table["partition"].tolist() == [i % 3 for i in range(8)]
    assert open_faces(celeba, count=3).table["image_id"].tolist() == ["000001.jpg", "000002.jpg", "000003.jpg"]


def test_identity_and_partition_files_are_optional_but_not_partial(celeba):
    (celeba / "list_eval_partition.txt").unlink()
    assert "partition" not in open_faces(celeba).table
    (celeba / "identity_CelebA.txt").write_text("000001.jpg 5\n")
    with pytest.raises(ValueError, match="identity_CelebA.txt lacks rows"):
        open_faces(celeba)


@pytest.mark.parametrize("size", [(178, 218), (300, 250), (100, 130)])
def test_the_largest_centred_square_is_taken_which_of_celebas_files_is_the_published_crop(tmp_path, size):
    base = write_celeba(tmp_path / "in", 2, size)
    found = write_faces(tmp_path / "out", open_faces(base), [1], name="celeba", size=32)
    image = Image.open(base / "img_align_celeba" / "000002.jpg")
    expected = np.asarray(Compose([CenterCrop(min(size)), Resize(32)])(image))  # protocol 1.2
    assert found.axes == {"faces": "celeba"} and found.image_ids == ["000002.jpg"]
    assert np.array_equal(found.images[0], expected)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda base: (base / "img_align_celeba" / "000003.jpg").unlink(), "1 rows have no image (first: 000003.jpg)"),
        (
            lambda base: shutil.copy(base / "img_align_celeba" / "000003.jpg", base / "img_align_celeba" / "x.jpg"),
            "1 images have no row (first: x.jpg)",
        ),
        (lambda base: shutil.rmtree(base / "img_align_celeba"), "should be in"),
        (lambda base: rewrite(base, lambda lines: ["9", *lines[1:]]), "announces 9 images and 5 attributes"),
        (lambda base: rewrite(base, lambda lines: lines[:-1]), "holds 7 rows of 5"),
        (
            lambda base: rewrite(base, lambda lines: [*lines[:-1], lines[-1][:-4]]),
            "row of 000008.jpg must hold -1 or 1",
        ),
        (
            lambda base: rewrite(base, lambda lines: [x.replace("-1", "?") for x in lines]),
            "row of 000001.jpg must hold",
        ),
        (lambda base: rewrite(base, lambda lines: lines[2:]), "must begin with a line of the count"),
        (lambda base: rewrite(base, lambda lines: [*lines[:-1], lines[2]]), "lists 000001.jpg more than once"),
    ],
)
def test_rows_that_do_not_match_the_images_are_refused(celeba, spoil, words):
    spoil(celeba)
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(words)):
        open_faces(celeba)


def rewrite(base: Path, change) -> None:
    path = base / "list_attr_celeba.txt"
    path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_a_truncated_photo_is_refused_by_name_or_left_out_and_listed(celeba, capsys):
    truncate(celeba / "img_align_celeba" / "000004.jpg")
    with pytest.raises(ValueError, match=r"1 of 8 images .* can't be read: 000004.jpg \(.*truncated.* bad_share"):
        open_faces(celeba, bad_share=0.1)
    kept = open_faces(celeba, bad_share=0.125).table["image_id"].tolist()
    assert kept == [f"{i:06d}.jpg" for i in (1, 2, 3, 5, 6, 7, 8)]
    assert "left out: 000004.jpg (" in capsys.readouterr().out


def test_what_decides_is_the_content_not_the_ending_of_a_name(celeba):
    Image.new("RGB", (60, 70)).save(celeba / "img_align_celeba" / "000002.jpg", format="PPM")
    Image.new("RGB", (60, 70)).save(celeba / "img_align_celeba" / "000005.jpg", format="PNG")
    with pytest.raises(ValueError, match=r"1 of 8 .*000002.jpg \(not a picture in a format that is read"):
        open_faces(celeba)


def test_a_bomb_of_a_picture_is_refused(celeba, monkeypatch):
    monkeypatch.setattr(pictures, "PIXEL_CAP", 100)
    with pytest.raises(ValueError, match="60 x 70 pixels, more than 100"):
        open_faces(celeba)


def test_a_complete_celeba_must_be_the_official_one(celeba, monkeypatch):
    monkeypatch.setattr(readers, "OFFICIAL_COUNT", 8)
    with pytest.raises(ValueError, match="differs from the official file .*Download it again"):
        open_faces(celeba)
    sums = [("", hashlib.md5(path.read_bytes()).hexdigest(), path.name) for path in celeba.glob("*.txt")]
    monkeypatch.setattr(readers.CelebA, "file_list", sums)
    assert len(open_faces(celeba).table) == 8


def test_a_folder_without_faces_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent does not exist"):
        list_faces(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty is empty"):
        list_faces(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match="no attribute table. Expected list_attr_celeba.txt .* attributes.csv"):
        list_faces(tmp_path)


def test_any_folder_with_attributes_csv_is_read(tmp_path):
    for name in ("7.png", "b.jpg"):
        Image.new("RGB", (40, 30), (200, 100, 50)).save(tmp_path / name)
    (tmp_path / "attributes.csv").write_text("image_id,Male,Young,identity\n7.png,1,-1,12\nb.jpg,0,1,13\n")
    listing = open_faces(tmp_path)
    assert listing.table.dtypes.astype(str).tolist()[1:] == ["int8", "int8", "int64"]
    assert listing.table.to_numpy().tolist() == [["7.png", 1, 0, 12], ["b.jpg", 0, 1, 13]]
    found = write_faces(tmp_path / "out", listing, name="mine", size=16)
    assert found.images.shape == (2, 16, 16, 3) and np.all(found.images[0] == [200, 100, 50])
    for content, words in {
        "file,Male\n7.png,1\nb.jpg,0\n": "needs a column image_id; it has file, Male",
        "image_id,Male\n7.png,2\nb.jpg,0\n": "Column Male of .* must hold 0/1 or -1/1",
        "image_id,Male\n7.png,\nb.jpg,0\n": "Column Male of .* must hold 0/1 or -1/1",
        "image_id,Male\n7.png,1\n": "1 images have no row",
    }.items():
        (tmp_path / "attributes.csv").write_text(content)
        with pytest.raises(ValueError, match=words):
            open_faces(tmp_path)
