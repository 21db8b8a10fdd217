"""A detector meets other worlds with the same scores and measures as at home, and each world has its name."""

import numpy as np
import pandas as pd
import pytest
import torch

from antidisrupt_lib.detection.detectors import Detector, detect_with
from antidisrupt_lib.detection.train import DetectorConfig, TrainingSet, score_table, train_detector
from antidisrupt_lib.detection.worlds import find_detectors, open_worlds, score_worlds
from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.metrics.arms import world_results
from antidisrupt_lib.metrics.detection import MEASURES, detection_measures
from antidisrupt_lib.metrics.results import plain_result
from antidisrupt_lib.plots.maps import world_map
from antidisrupt_lib.weights import save_weights

AXES = {"faces": "random", "arm": "purified", "attack": "pgd", "purifier": "jpeg", "detector": "d", "poison_ratio": 1.0}


@pytest.fixture
def world(make_faces, tmp_path):
    """Folders of photos and fakes that were disrupted by PGD and purified by JPEG."""
    photos = make_faces(count=6)
    fakes = make_faces(count=12, seed=1, fakes_of=photos)
    for name, faces in (("05", photos), ("06", fakes)):
        axes = {"faces": "random", "attack": "pgd", "purifier": "jpeg"}
        write_faceset(tmp_path / name / "C", [faces.images], faces.table, axes, size=32)
    return tmp_path


def test_worlds_are_called_by_what_was_done_to_their_photos(world, make_faces):
    assert list(open_worlds([world / "05"], [world / "06"])) == ["pgd_then_jpeg"]
    photos = make_faces(count=6)
    write_faceset(world / "01/C", [photos.images], photos.table, {"faces": "random"}, size=32)
    with pytest.raises(ValueError, match="06 were made from none of the photos"):
        open_worlds([world / "01"], [world / "06"])


def test_worlds_of_several_forgers_are_called_by_them(world):
    made = FaceSet.open(world / "06/C")
    for forger in ("stgan", "attention"):
        write_faceset(world / forger / "C", [made.images], made.table, made.axes | {"forger": forger}, size=32)
    folders = [world / "stgan", world / "attention"]
    assert list(open_worlds([world / "05"], folders)) == ["pgd_then_jpeg_by_stgan", "pgd_then_jpeg_by_attention"]
    with pytest.raises(ValueError, match="Two folders of fakes hold the world pgd_then_jpeg"):
        open_worlds([world / "05"], [world / "06", world / "06"])


def test_unedited_passes_are_a_world_in_which_the_share_called_fake_is_measured(world):
    photos, made = (FaceSet.open(world / name / "C") for name in ("05", "06"))
    axes = made.axes | {"forger": "stargan_unedited"}
    table = made.table.drop_duplicates("source_id")
    write_faceset(world / "unedited/C", [made.images[table.index]], table.reset_index(drop=True), axes, size=32)
    worlds = open_worlds([world / "05"], [world / "unedited"])
    assert list(worlds) == ["pgd_then_jpeg_by_stargan_unedited"]
    scores = score_table(lambda x: (x.mean((1, 2, 3)) > 0.5).float(), *worlds[next(iter(worlds))])
    (row,) = [row for row in world_results(scores.assign(**AXES, seed=0, world="w"))
              if row["metric"] == "recall_fake_in_w" and row["seed"] is None]  # fmt: skip
    bright = (made.x(table.index).mean((1, 2, 3)) > 0.5).float().mean().item()
    assert row["value"] == pytest.approx(bright) and row["low"] < bright < row["high"]


def test_scores_and_measures_in_a_world_are_those_of_the_detector_there(world):
    for seed in (0, 1):
        torch.manual_seed(seed)
        detector = Detector("test_efficientnet")
        about = {"architecture": detector.architecture, "axes": AXES | {"seed": seed}}
        save_weights(world / f"07/seed{seed}/detector.safetensors", detector, about)
    scores = score_worlds(find_detectors([world / "07"]), open_worlds([world / "05"], [world / "06"]))
    alone = score_table(detect_with(detector), *(FaceSet.open(world / name / "C") for name in ("05", "06")))
    here = scores[scores["seed"] == 1]
    np.testing.assert_allclose(here["score"], alone["score"], atol=1e-6)
    rows = {(row["metric"], row["seed"]): row["value"] for row in world_results(scores)}
    assert {metric for metric, _ in rows} == {f"{name}_in_pgd_then_jpeg" for name in MEASURES}
    assert rows["auc_in_pgd_then_jpeg", 1] == pytest.approx(detection_measures(alone)["auc"])


def test_a_map_of_worlds_has_a_row_of_its_own_for_each_detector():
    def row(detector, world, value):
        axes = {"stage": "detect", "arm": "clean", "forger": "stargan", "detector": detector}
        return plain_result(axes, f"accuracy_in_{world}", value, 9, "share")

    names, worlds = ("resnet18", "low_frequencies+resnet18"), ("clean_by_stgan", "clean_by_stargan")
    rows = [
        row(name, world, 0.6 + 0.1 * i + 0.01 * j) for i, name in enumerate(names) for j, world in enumerate(worlds)
    ]
    ax = world_map(pd.DataFrame(rows)).axes[0]
    assert [text.get_text() for text in ax.texts] == ["0.60", "0.61", "0.70", "0.71"]
    assert [text.get_text().rpartition(", ")[2] for text in ax.get_yticklabels()] == [
        "resnet18",
        "low frequencies+resnet18",
    ]


def test_a_folder_without_detectors_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Run notebooks/07_train_detectors.ipynb first"):
        find_detectors([tmp_path / "07_train_detectors"])


def test_a_network_of_ones_own_can_be_the_detector(world, tmp_path):
    class Brightness(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, x):
            return self.scale * (x.flatten(1).mean(1) - 0.5)

    photos, fakes = (FaceSet.open(world / name / "C") for name in ("05", "06"))
    data = TrainingSet((photos, fakes), (photos, fakes), np.zeros(6, bool))
    config = DetectorConfig("brightness", steps=2, batch_size=4, lr=0.1)
    trained, _ = train_detector(data, config, detector=Brightness(), checkpoint=tmp_path / "c")
    assert isinstance(trained, Brightness) and trained.scale.item() != 1
