"""CASIA-FaceV5's folder is read as it comes: people by folder, labels that nobody has, faces small in the middle."""

import numpy as np
import pytest
from PIL import Image

from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES
from antidisrupt_lib.faces.casia import UNLABELLED
from antidisrupt_lib.faces.readers import open_faces, write_faces


@pytest.fixture
def casia(tmp_path):
    for person in range(3):
        (tmp_path / f"{person:03d}").mkdir()
        for shot in range(5):
            picture = Image.new("RGB", (640, 480), (10 * person, 200, 40 * shot))
            picture.paste((255, 0, 0), (0, 0, 80, 480))  # what a centred square doesn't show
            picture.save(tmp_path / f"{person:03d}" / f"{person:03d}_{shot}.bmp")
    return tmp_path


def test_people_come_from_folders_and_every_edit_asks_for_its_attribute(casia, tmp_path_factory, capsys):
    faces = write_faces(tmp_path_factory.mktemp("out") / "faces", open_faces(casia), name="casia", size=64)
    assert len(faces) == 15 and faces.image_ids[5] == "001/001_0.bmp" and faces.people.nunique() == 3
    assert UNLABELLED == ATTRIBUTES and not faces.labels(ATTRIBUTES).any()
    assert np.array_equal(faces.images[7, 32, 0], [10, 200, 80])
    said = capsys.readouterr().out
    assert "without attributes" in said and "centred square" in said


def test_with_a_table_of_attributes_it_is_a_folder_like_any_other(casia):
    rows = [f"{p:03d}/{p:03d}_{s}.bmp,{p},1,0,0,1,1" for p in range(3) for s in range(5)]
    (casia / "attributes.csv").write_text("\n".join([f"image_id,identity,{','.join(ATTRIBUTES)}", *rows]))
    assert open_faces(casia).table["Black_Hair"].all()


def test_a_photo_in_another_persons_folder_is_refused(casia):
    (casia / "001" / "001_0.bmp").rename(casia / "002" / "001_0.bmp")
    with pytest.raises(ValueError, match="002/001_0.bmp lies in the folder of another person: move it to 001"):
        open_faces(casia)
