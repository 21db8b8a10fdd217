"""Videos become FaceSets: frames evenly spaced, faces cropped square, bad files listed, nothing decoded twice."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from antidisrupt_lib.faces import face_detectors
from antidisrupt_lib.faces import videos as reading
from antidisrupt_lib.faces.drawn_videos import FRAME, drawn_frames, write_drawn_celeb_df, write_video
from antidisrupt_lib.faces.face_detectors import face_detector, mtcnn, opencv_cascade
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.faces.looks import sample_look
from antidisrupt_lib.faces.video_crops import Cropping, crop_face, find_face, read_faces
from antidisrupt_lib.faces.video_frames import UnusableVideo, evenly_spaced, read_frames
from antidisrupt_lib.faces.video_lists import TEST_LIST, list_faceforensics, list_videos
from antidisrupt_lib.faces.videos import read_videos, write_crops

FACE = [80, 60, 240, 220]  # where drawn faces are, for a detector that need not look
TAKEN = {"train": 3, "test": 2}


def in_the_middle(frame: np.ndarray) -> np.ndarray:
    """A detector that knows: drawn faces stand in the middle, and a plain frame has none."""
    return np.array([FACE] if np.ptp(frame) > 60 else [], float).reshape(-1, 4)


@pytest.fixture(scope="module")
def celeb_df(tmp_path_factory) -> Path:
    return write_drawn_celeb_df(tmp_path_factory.mktemp("videos"), people=4, videos=1, frames=12, seed=3)


@pytest.fixture(scope="module")
def listing(celeb_df):
    videos = list_videos(celeb_df)
    return replace(videos, table=videos.table.assign(split=videos.table["listed"]))


def read(listing, cache, *, detect=in_the_middle, workers=1, bad_share=0.4, **settings):
    cropping = Cropping(detect, **({"size": 32} | settings))
    return read_videos(listing, cache, cropping, frames=TAKEN, bad_share=bad_share, workers=workers)


@pytest.fixture(scope="module")
def crops(listing, tmp_path_factory):
    return read(listing, tmp_path_factory.mktemp("cache"))


# Layouts


def test_celeb_df_tells_who_is_in_a_video_and_whose_face(listing):
    table = listing.table.set_index("video_id")
    assert table["fake"].value_counts().to_dict() == {0: 8, 1: 4}
    fake = table.loc["Celeb-synthesis/id2_id3_0000.mp4", ["fake", "identity", "source_identity", "method", "listed"]]
    assert fake.tolist() == [1, "id2", "id3", "Celeb-synthesis", "test"]
    real = table.loc["Celeb-real/id1_0000.mp4", ["fake", "identity", "source_identity", "listed"]]
    assert real.tolist() == [0, "id1", "id1", "train"]
    assert table.loc["YouTube-real/00001.mp4", "identity"] == "00001"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (TEST_LIST, "0 Celeb-real/id0_0000.mp4\n", "contradicts the folder of Celeb-real/id0_0000.mp4"),
        (TEST_LIST, "real Celeb-real/id0_0000.mp4\n", "must be 1 .real. or 0, and a video"),
        (TEST_LIST, "1 elsewhere/id0_0000.mp4\n", "lies in none of Celeb-real"),
        ("Celeb-synthesis/holiday.mp4", "", "holiday.mp4 does not tell who is in it"),
    ],
)
def test_names_and_lists_that_contradict_the_layout_are_refused(tmp_path, name, content, words):
    (tmp_path / "Celeb-real").mkdir()
    (tmp_path / "Celeb-synthesis").mkdir()
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=words):
        list_videos(tmp_path)


def test_faceforensics_and_its_lists_of_pairs_are_read(tmp_path):
    for folder, names in {
        "original_sequences/youtube/c23": ["033", "097", "000"],
        "manipulated_sequences/Deepfakes/c23": ["033_097"],
        "manipulated_sequences/FaceSwap/c40": ["097_033"],
        "manipulated_sequences/DeepFakeDetection/c23": ["01_02__walking__ABC"],
    }.items():
        (tmp_path / folder / "videos").mkdir(parents=True)
        for name in names:
            (tmp_path / folder / "videos" / f"{name}.mp4").touch()
    table = list_videos(tmp_path).table.set_index("video_id")
    fake = table.loc["manipulated_sequences/Deepfakes/c23/videos/033_097.mp4"]
    assert fake.tolist() == [1, "033", "097", "Deepfakes"] and len(table) == 4
    (tmp_path / "splits").mkdir()
    for part, pairs in {"train": [["033", "097"]], "test": [["000", "003"]]}.items():
        (tmp_path / "splits" / f"{part}.json").write_text(json.dumps(pairs))
    listed = list_videos(tmp_path).table
    assert dict(zip(listed["identity"], listed["listed"], strict=True)) == {
        "000": "test",
        "033": "train",
        "097": "train",
    }
    assert list_faceforensics(tmp_path, "c40").table["method"].tolist() == ["FaceSwap"]
    with pytest.raises(FileNotFoundError, match="no videos of compression raw"):
        list_faceforensics(tmp_path, "raw")


def test_a_folder_of_another_layout_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="Expected Celeb-DF's folders .* or FaceForensics"):
        list_videos(tmp_path)


# Frames and crops


def test_frames_are_the_middles_of_equal_parts(celeb_df):
    assert evenly_spaced(100, 5).tolist() == [10, 30, 50, 70, 90] and evenly_spaced(3, 25).tolist() == [0, 1, 2]
    video = celeb_df / "Celeb-real/id0_0000.mp4"
    frames = list(read_frames(video, 3))
    assert [frame.number for frame in frames] == [2, 6, 10]
    assert [frame.time for frame in frames] == pytest.approx([2 / 25, 6 / 25, 10 / 25])
    for frame, drawn in zip(read_frames(video, 12), drawn_frames(sample_look(3, 1, 0), 12), strict=True):
        assert np.abs(frame.pixels - np.asarray(drawn).astype(float)).mean() < 6  # H.264


def test_a_video_of_faces_at_hand_is_read_back(make_faces, tmp_path):
    pictures = [Image.fromarray(face).resize((96, 96)) for face in make_faces(6).images]
    write_video(tmp_path / "own.mp4", pictures)
    assert [frame.pixels.shape for frame in read_frames(tmp_path / "own.mp4", 20)] == [(96, 96, 3)] * 6


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_video_cut_off_anywhere_is_broken(celeb_df, tmp_path, share):
    for options in ({}, {"movflags": "faststart"}):
        write_video(tmp_path / "cut.mp4", drawn_frames(sample_look(3, 1, 0), 20), options=options)
        whole = (tmp_path / "cut.mp4").read_bytes()
        (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UnusableVideo) as caught:
            list(read_frames(tmp_path / "cut.mp4", 5))
        assert caught.value.reason == "broken"


def test_only_videos_are_opened_whatever_the_name_says(tmp_path):
    (tmp_path / "list.mp4").write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    with pytest.raises(UnusableVideo, match="Invalid data"):
        list(read_frames(tmp_path / "list.mp4", 5))


def test_a_crop_is_square_with_its_margin_and_stays_in_the_frame():
    ramp = np.zeros((100, 200, 3), np.uint8)
    ramp[..., 0], ramp[..., 1] = np.arange(200), np.arange(100)[:, None]
    inner = crop_face(ramp, np.array([80, 30, 110, 70]), size=52)  # 40 * 1.3 = 52, so that pixels are kept
    assert (
        inner.shape == (52, 52, 3) and inner[0, 0, :2].tolist() == [69, 24] and inner[-1, -1, :2].tolist() == [120, 75]
    )
    corner = crop_face(ramp, np.array([180, 80, 220, 120]), size=52)
    assert corner[0, 0, :2].tolist() == [148, 48] and corner[-1, -1, :2].tolist() == [199, 99]
    assert crop_face(ramp, np.array([0, -50, 200, 150]), size=100).shape == (100, 100, 3)


def test_alignment_levels_the_eyes():
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[88:93, 68:73] = frame[108:113, 128:133] = 255  # the right one is lower
    box = np.array([50, 50, 150, 150, 70, 90, 130, 110])
    crop = crop_face(frame, box, size=130, align=True)[..., 0]
    left, right = (np.nonzero(part > 99)[0].mean() for part in (crop[:, :65], crop[:, 65:]))
    assert left == pytest.approx(right, abs=1)
    with pytest.raises(ValueError, match="detector that finds the eyes"):
        crop_face(frame, box[:4], size=130, align=True)


def test_the_largest_face_counts_also_in_a_large_frame():
    seen = []

    def two_faces(frame):
        seen.append(frame.shape)
        return np.array([[0, 0, 10, 10], [20, 20, 60, 50]])

    assert find_face(np.zeros((720, 1280, 3), np.uint8), two_faces).tolist() == [40, 40, 120, 100]
    assert seen == [(360, 640, 3)]
    assert find_face(np.zeros((48, 64, 3), np.uint8), in_the_middle) is None


@pytest.mark.parametrize("name", ["opencv_cascade", "mtcnn"])
def test_a_real_detector_finds_drawn_faces(name):
    if name == "mtcnn" and not importlib.util.find_spec("facenet_pytorch"):
        pytest.skip("facenet-pytorch is installed by hand: its pins are of 2024")
    detect, boxes = face_detector(name), []
    assert detect in (opencv_cascade, mtcnn)
    for person in (1, 2, 3, 4):
        (picture,) = drawn_frames(sample_look(0, person, 0), 1)
        boxes += [box for box in [find_face(np.asarray(picture), detect)] if box is not None]
    centres = np.array([(box[:2] + box[2:4]) / 2 for box in boxes])
    assert len(boxes) >= 3 and np.abs(centres - [160, 135]).max() < 25
    assert find_face(np.full((*FRAME[::-1], 3), 90, np.uint8), detect) is None


def test_an_unknown_or_missing_detector_says_what_to_do(monkeypatch):
    with pytest.raises(ValueError, match="no face detector 'retina'. Choose one of mtcnn, opencv_cascade"):
        face_detector("retina")
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    face_detectors._mtcnn.cache_clear()
    with pytest.raises(ImportError, match="pip install --no-deps facenet-pytorch"):
        face_detector("mtcnn")


# From a folder to FaceSets


def test_bad_videos_are_listed_by_name_and_reason_and_the_rest_goes_on(crops):
    assert dict(zip(crops.failures["video_id"], crops.failures["reason"], strict=True)) == {
        "YouTube-real/00000.mp4": "broken", "YouTube-real/00001.mp4": "empty",
        "YouTube-real/00002.mp4": "faceless", "YouTube-real/00003.mp4": "short",
    }  # fmt: skip
    sizes = crops.table.groupby(["video_id", "split"]).size()
    assert len(sizes) == 8 and all(count == TAKEN[split] for (_, split), count in sizes.items())


def test_a_listed_video_that_is_not_there_is_absent(listing, tmp_path):
    row = listing.table.iloc[[0]].assign(video_id="Celeb-real/id9_0000.mp4")
    crops = read(replace(listing, table=pd.concat([listing.table.iloc[:2], row])), tmp_path)
    assert crops.failures["reason"].tolist() == ["absent"]


def test_too_many_bad_videos_are_refused(listing, tmp_path):
    with pytest.raises(ValueError, match=r"4 of 12 videos .* YouTube-real/00000.mp4 \(broken: .* bad_share \(now 0.3"):
        read(listing, tmp_path, bad_share=0.3)


def test_crops_become_a_faceset_with_their_video_and_time(crops, listing, tmp_path):
    order = np.random.default_rng(0).permutation(len(crops.table))
    faces = write_crops(tmp_path / "crops", crops.rows(order))
    columns = ["image_id", "video_id", "fake", "identity", "source_identity", "method", "listed", "split"]
    assert faces.table.columns.tolist() == [*columns, "frame", "time", "detector"]
    assert faces.axes == {"faces": "celeb_df"} and faces.size == 32 and faces.table["image_id"].is_unique
    assert set(faces.table["detector"]) == {"in_the_middle"}
    for i in (0, 7, 15):
        row = faces.table.iloc[i]
        frame = {f.number: f.pixels for f in read_frames(listing.folder / row["video_id"], 12)}[row["frame"]]
        assert np.array_equal(faces.images[i], crop_face(frame, np.array(FACE, float), size=32))
        assert row["time"] == pytest.approx(row["frame"] / 25)
    assert len(FaceSet.open(tmp_path / "crops")) == len(crops.table) == 20


def test_done_videos_are_not_decoded_again_and_changed_ones_are(listing, tmp_path, monkeypatch):
    few, read_again = replace(listing, table=listing.table.iloc[:3]), []
    first = read(few, tmp_path)

    def noted(path, count, cropping):
        read_again.append(path.name)
        return read_faces(path, count, cropping)

    monkeypatch.setattr(reading, "read_faces", noted)
    assert read(few, tmp_path).table.equals(first.table) and not read_again
    (tmp_path / first.files[few.table["video_id"][1]].name).unlink()  # as if stopped before it
    assert read(few, tmp_path).table.equals(first.table) and len(read_again) == 1
    read(few, tmp_path, margin=0.5)
    assert len(read_again) == 4


def test_workers_do_not_change_the_crops(listing, crops, tmp_path):
    few = replace(listing, table=listing.table.iloc[[0, 1, 2, 9]])
    one, two = (read(few, tmp_path / str(workers), detect=opencv_cascade, workers=workers) for workers in (1, 2))
    assert one.table.equals(two.table) and one.failures.equals(two.failures) and len(one.table)


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(float)


def test_drawn_videos_hang_on_their_seed_alone(celeb_df, tmp_path):
    one, other = (np.stack(list(map(np.asarray, drawn_frames(sample_look(3, 1, 0), 4)))) for _ in range(2))
    assert np.array_equal(one, other)
    again = write_drawn_celeb_df(tmp_path / "again", people=4, videos=1, frames=12, seed=3, damaged=False)
    names = [path.relative_to(again) for path in again.rglob("*.mp4")]
    films = {folder: np.stack([decoded(folder / name) for name in names]) for folder in (again, celeb_df)}
    assert len(names) == 8 and np.abs(films[again] - films[celeb_df]).mean() < 0.5  # of 255: the encoder may round
    assert np.abs(films[again] - films[again][::-1]).mean() > 5  # other people
    with pytest.raises(ValueError, match="even number from 4"):
        write_drawn_celeb_df(tmp_path / "odd", people=3)
