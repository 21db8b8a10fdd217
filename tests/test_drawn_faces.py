"""What the drawn faces promise: the same everywhere, CelebA's layout, attributes that can be seen and learned."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from antidisrupt_lib.faces.drawn import CHUNK, write_drawn_celeba
from antidisrupt_lib.faces.looks import HAIR, sample_look, sample_person
from antidisrupt_lib.faces.sketch import draw

PEOPLE = [sample_person(3, identity) for identity in range(1, 1001)]


def read_table(path: Path, header: int = 0) -> dict[str, list[str]]:
    return {name: values for name, *values in map(str.split, path.read_text().splitlines()[header:])}


def image_bytes(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "img_align_celeba").iterdir())]


@pytest.fixture(scope="module")
def celeba(tmp_path_factory) -> Path:
    return write_drawn_celeba(tmp_path_factory.mktemp("drawn"), CHUNK + 5, seed=7, workers=1)


def test_a_face_hangs_on_seed_identity_and_shot_alone(celeba):
    again = np.asarray(draw(sample_look(7, 3, 1)))
    assert np.array_equal(again, np.asarray(draw(sample_look(7, 3, 1))))
    for other in [(8, 3, 1), (7, 4, 1), (7, 3, 2)]:
        assert not np.array_equal(again, np.asarray(draw(sample_look(*other))))
    written = np.asarray(Image.open(celeba / "img_align_celeba" / "000010.jpg"))
    assert np.abs(written - again.astype(float)).mean() < 6  # JPEG


def test_a_script_without_a_main_guard_draws_with_several_workers_and_runs_once(tmp_path):
    script = tmp_path / "draw.py"
    draws = "write_drawn_celeba('faces', CHUNK + 1, workers=2)"
    script.write_text(f"from antidisrupt_lib.faces.drawn import *\nprint('once')\n{draws}")
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (ran.stdout, ran.returncode) == ("once\n", 0), ran.stderr
    assert len(image_bytes(tmp_path / "faces" / "celeba")) == CHUNK + 1


def test_workers_and_count_do_not_change_a_face(celeba, tmp_path):
    by_two = write_drawn_celeba(tmp_path / "two", CHUNK + 5, seed=7, workers=2)
    fewer = write_drawn_celeba(tmp_path / "few", 6, seed=7)
    assert image_bytes(by_two) == image_bytes(celeba)
    assert image_bytes(fewer) == image_bytes(celeba)[:6]
    for table in ("list_attr_celeba.txt", "identity_CelebA.txt", "list_eval_partition.txt"):
        assert (by_two / table).read_bytes() == (celeba / table).read_bytes()


def test_the_folder_has_the_official_layout(celeba):
    count, names, first = (celeba / "list_attr_celeba.txt").read_text().splitlines()[:3]
    values = read_table(celeba / "list_attr_celeba.txt", header=2)
    files = sorted(path.name for path in (celeba / "img_align_celeba").iterdir())
    assert int(count) == len(files) == CHUNK + 5
    assert {"Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young"} <= set(names.split())
    assert names.split() == sorted(names.split())
    assert first.startswith("000001.jpg ") and list(values) == files
    assert all(len(row) == len(names.split()) and set(row) <= {"1", "-1"} for row in values.values())
    with Image.open(celeba / "img_align_celeba" / files[-1]) as image:
        assert (image.format, image.size, image.mode) == ("JPEG", (178, 218), "RGB")
    assert sorted(path.name for path in celeba.parent.iterdir()) == ["celeba"]


def test_an_identity_stays_in_one_part(celeba):
    identities, parts = read_table(celeba / "identity_CelebA.txt"), read_table(celeba / "list_eval_partition.txt")
    assert list(identities) == list(parts)
    pairs = {(identities[name][0], parts[name][0]) for name in identities}
    assert len(pairs) == len({identity for identity, _ in pairs}) == -(-(CHUNK + 5) // 4)
    shares = [[part for _, part in pairs].count(p) / len(pairs) for p in "012"]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.03)


def test_attributes_are_balanced_and_hair_has_one_colour():
    assert all(0.44 < np.mean([getattr(p, trait) for p in PEOPLE]) < 0.56 for trait in ("male", "young"))
    shown = [sample_look(3, identity, 0).attributes() for identity in range(1, 301)]
    assert all(sum(row[name] for name in HAIR) == 1 for row in shown)
    shares = {name: np.mean([p.hair == name for p in PEOPLE]) for name in HAIR}
    assert 0.02 < shares.pop("Gray_Hair") < 0.08
    assert all(0.27 < share < 0.37 for share in shares.values())
    assert 0.4 < np.mean([row["Smiling"] for row in shown]) < 0.6


def test_hair_colours_never_overlap():
    tones = {name: [sum(p.hair_colour) for p in PEOPLE if p.hair == name] for name in HAIR if name != "Gray_Hair"}
    assert max(tones["Black_Hair"]) + 40 < min(tones["Brown_Hair"])
    assert max(tones["Brown_Hair"]) + 150 < min(tones["Blond_Hair"])


def test_it_refuses_before_it_writes(celeba, tmp_path):
    before = image_bytes(celeba)
    with pytest.raises(FileExistsError, match="remove it or give another root"):
        write_drawn_celeba(celeba.parent, 3)
    assert image_bytes(celeba) == before
    for wrong in ({"count": 0}, {"count": 3, "seed": -1}, {"count": 3, "faces_per_identity": 0}):
        with pytest.raises(ValueError, match="give"):
            write_drawn_celeba(tmp_path / "new", **wrong)
    assert not (tmp_path / "new").exists()
