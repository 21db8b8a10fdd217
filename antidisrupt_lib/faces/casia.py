"""CASIA-FaceV5's layout: 500 people in folders 000 ... 499, five photos each as 000/000_0.bmp, 640 x 480 pixels.

Nobody has labelled them. So every label is 0, and each of the five edits of a photo asks for its attribute: black,
blond and brown hair, a man, a young face. The face is in the middle but small: `align` cuts it out, by a face detector.
"""

import re
from pathlib import Path

import pandas as pd

FOLDER, PHOTO = re.compile(r"\d{3}"), re.compile(r"(\d{3})_\d\.bmp", re.IGNORECASE)
UNLABELLED = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")  # what forgers edit


def is_casia(root: Path) -> bool:
    """Whether a folder holds photos in this layout, and no table that would say more."""
    return not (root / "attributes.csv").exists() and any(_photos(root))


def read_casia(root: Path) -> pd.DataFrame:
    """The table of all photos: image_id ("000/000_0.bmp"), identity, and labels of 0.

    Raises:
        ValueError: a photo lies in another person's folder.
    """
    names = sorted(_photos(root))
    if lost := [name for name in names if name[4:7] != name[:3]]:
        raise ValueError(f"{root / lost[0]} lies in the folder of another person: move it to {lost[0][4:7]}.")
    print(f"{root} is CASIA-FaceV5, without attributes: every label is 0, so that each edit asks for its attribute.")
    table = pd.DataFrame({"image_id": names, "identity": [int(name[:3]) for name in names]})
    return table.assign(**dict.fromkeys(UNLABELLED, 0)).astype(dict.fromkeys(UNLABELLED, "int8"))


def _photos(root: Path) -> list[str]:
    folders = [folder for folder in root.iterdir() if FOLDER.fullmatch(folder.name) and folder.is_dir()]
    return [f"{folder.name}/{one.name}" for folder in folders for one in folder.iterdir() if PHOTO.fullmatch(one.name)]
