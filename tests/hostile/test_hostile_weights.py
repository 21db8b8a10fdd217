"""Weights, checkpoints and results of others: pickles in every container, lying headers and cards, archives."""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hostile import Code, hostile, refusal
from safetensors.torch import save
from torch import nn

from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.stargan import Generator
from antidisrupt_lib.detection.detectors import load_detector
from antidisrupt_lib.faces.faceset import FaceSet, write_faceset
from antidisrupt_lib.training import run_training

SMALL = {"conv_dim": 8, "c_dim": 5, "blocks": 1}
STATE = Generator(**SMALL).state_dict()


def torch_file(content, **options) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def resume(path):
    network = nn.Linear(1, 1)
    return run_training(lambda i: {}, {"network": network}, steps=1, checkpoint=path, about={}, what="a network")


PICKLES = {
    "a bare pickle": pickle.dumps,
    "a zip of torch": torch_file,
    "torch's old format": lambda code: torch_file(code, _use_new_zipfile_serialization=False),
    "beside tensors": lambda code: torch_file(STATE | {"more": code}),
    "in a tensor's attribute": lambda code: torch_file({"w": nn.Parameter(torch.zeros(1)), "hook": code}),
    "in numpy's objects": lambda code: torch_file(np.array([code], dtype=object)),
}


@hostile("pickles with code as weights, named .ckpt or .safetensors, and as a training's checkpoint")
@pytest.mark.parametrize("load, name", [
    (load_generator, "w.ckpt"), (load_generator, "w.safetensors"), (load_detector, "w.safetensors"),
    (resume, "checkpoint.pt"),
])  # fmt: skip
@pytest.mark.parametrize("container", PICKLES)
def test_no_pickle_of_weights_runs(tmp_path, load, name, container):
    (tmp_path / name).write_bytes(PICKLES[container](Code(tmp_path / "ran")))
    assert name in refusal(lambda: load(tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_the_code_of_these_trials_does_run_where_it_may(tmp_path):
    pickle.loads(pickle.dumps(Code(tmp_path / "ran")))
    assert (tmp_path / "ran").is_dir()


def with_records(**records) -> bytes:
    """A zip of torch, compressed, whose records are others."""
    source, file = zipfile.ZipFile(io.BytesIO(torch_file({"w": torch.zeros(4)}))), io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for part in source.infolist():
            name = part.filename.rpartition("/")[2]
            with archive.open(part.filename, "w", force_zip64=True) as record:
                for piece in records.get(f"_{name}".replace(".", "_"), [source.read(part)]):
                    record.write(piece)
    return file.getvalue()


def overlapping() -> bytes:
    """A zip whose directory names one record of 1 MiB 4,096 times."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data/0", bytes(2**20))
        part = archive.filelist[0]
        for i in range(1, 4096):
            again = zipfile.ZipInfo(f"archive/data/{i}")
            again.CRC, again.file_size, again.compress_size, again.header_offset = part.CRC, 2**20, 2**20, 0
            archive.filelist.append(again)
    return file.getvalue()


BOMBS = {
    "a tensor of 512 MiB in 2": lambda: with_records(_0=[bytes(2**20)] * 512),
    "a pickle of 512 MiB": lambda: with_records(_data_pkl=[b"\x80\x02", *[b"N0" * 2**19] * 512, b"N."]),
    "records that overlap": overlapping,
    "a zip of zips": lambda: with_records(_0=[overlapping()] * 8),
}


@hostile("archives as weights: parts that unpack to gigabytes, overlap, or are archives again")
@pytest.mark.parametrize("bomb", BOMBS)
def test_archives_do_not_unpack_to_more_than_they_hold(tmp_path, bomb):
    (tmp_path / "w.ckpt").write_bytes(BOMBS[bomb]())
    assert "damaged, incomplete or no PyTorch checkpoint" in refusal(
        lambda: load_generator(tmp_path / "w.ckpt"), mib=256
    )


@hostile("archives whose parts are named to lie elsewhere (../, /, links)", "one sentence; nothing is written anywhere")
@pytest.mark.parametrize("name", ["../ran", "/tmp/ran-of-a-test", "archive/../../ran"])
def test_archives_write_nothing_anywhere(tmp_path, name):
    link = zipfile.ZipInfo("archive/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "w.ckpt", "w") as archive:
        archive.writestr(name, b"ran")
        archive.writestr(link, "/etc/passwd")
    refusal(lambda: load_generator(tmp_path / "w.ckpt"))
    assert os.listdir(tmp_path) == ["w.ckpt"] and not os.path.exists("/tmp/ran-of-a-test")


def header(tensors: dict | bytes, data: bytes = b"") -> bytes:
    text = tensors if isinstance(tensors, bytes) else json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(shape, start, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


HEADERS = {
    "longer than the file": struct.pack("<Q", 2**63) + b"{}",
    "90 MiB of spaces": header(b" " * (90 * 2**20)),
    "deep": header(b"[" * 100_000),
    "tensors that overlap": header({"a": one([2], 0, 8), "b": one([2], 0, 8)}, bytes(8)),
    "a hole": header({"a": one([1], 8, 12)}, bytes(12)),
    "a shape that overflows": header({"a": one([2**62, 4], 0, 0)}),
    "a negative shape": header({"a": one([-1], 0, 4)}, bytes(4)),
    "a shape of fractions": header({"a": one([1.5], 0, 6)}, bytes(6)),
    "past its end": header({"a": one([2**30], 0, 2**32)}),
    "an unknown kind": header({"a": one([1], 0, 8, "OBJECT")}, bytes(8)),
    "too many tensors": header({f"a{i}": one([0], 0, 0) for i in range(50_000)}),
    "a name as long as a book": header({"a" * 10**6: one([1], 0, 4)}, bytes(4)),
}


@hostile("safetensors whose header lies: lengths, offsets, shapes, kinds, numbers of tensors")
@pytest.mark.parametrize("lie", HEADERS)
def test_headers_that_lie_are_refused(tmp_path, lie):
    (tmp_path / "w.safetensors").write_bytes(HEADERS[lie])
    refusal(lambda: load_generator(tmp_path / "w.safetensors"))


@hostile("weights that are a sparse file of a terabyte, a fifo, a device, a link to itself")
@pytest.mark.parametrize("what", ["sparse", "a tensor of a terabyte", "fifo", "device", "link"])
@pytest.mark.parametrize("ending", ["ckpt", "safetensors"])
def test_files_without_end_are_refused(tmp_path, what, ending):
    path = tmp_path / f"w.{ending}"
    if what == "fifo":
        os.mkfifo(path)
    elif what in ("device", "link"):
        path.symlink_to("/dev/zero" if what == "device" else path)
    else:
        path.write_bytes(header({"a": one([2**38], 0, 2**40)}) if what.startswith("a tensor") else struct.pack("<Q", 9))
        os.truncate(path, path.stat().st_size + 2**40)
    refusal(lambda: load_generator(path))


CARDS = {
    "a million blocks": {"network": "StarGAN generator", "architecture": SMALL | {"blocks": 10**6}},
    "a width beyond memory": {"network": "StarGAN generator", "architecture": SMALL | {"conv_dim": 10**6}},
    "somebody's code": {"network": "os:system", "architecture": {"command": "mkdir ran"}},
    "a file of code": {"network": "/tmp/evil.py:Generator", "architecture": {}},
    "a dotted name": {"network": "os.system", "architecture": {}},
    "a hub": {"network": "detector", "architecture": {"name": "hf-hub:evil/model"}},
    "a folder of timm's": {"network": "detector", "architecture": {"name": "local-dir:/tmp"}},
    "pretrained": {"network": "detector", "architecture": {"name": "resnet18", "pretrained": True}},
    "letters that steer terminals": {"network": "\x1b[2J\x1b]0;evil\x07" * 100, "architecture": {}},
}


@hostile("cards that lie: sizes beyond memory, code, hubs, downloads")
@pytest.mark.parametrize("card", CARDS)
def test_cards_that_lie_are_refused(tmp_path, card):
    state = STATE | {"large": torch.zeros(10**6)}  # which bears the sizes out
    (tmp_path / "w.safetensors").write_bytes(save(state, {"about": json.dumps(CARDS[card])}))
    load = load_detector if CARDS[card]["network"] == "detector" else load_generator
    assert "\x1b" not in refusal(lambda: load(tmp_path / "w.safetensors"))


# FaceSets


def npy(shape, kind="|u1") -> bytes:
    text = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode().ljust(118)
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def as_npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


IMAGES = {
    "a pickle": lambda code: pickle.dumps(code),
    "objects": lambda code: npy((1,), "|O") + pickle.dumps(np.array([code], dtype=object)),
    "an archive": lambda code: as_npz(a=np.zeros(3)),
    "more than there is": lambda code: npy((10**9, 64, 64, 3)),
    "a shape that overflows": lambda code: npy((2**40, 2**40, 2**40, 3)),
    "floats": lambda code: npy((1, 8, 8, 3), "<f8") + bytes(8 * 8 * 8 * 3),
    "a header that is code": lambda code: npy("__import__('os').mkdir('ran')"),
}


@pytest.fixture
def faces(tmp_path):
    table = pd.DataFrame({"image_id": ["a"], "Male": [1]})
    write_faceset(tmp_path / "faces", [np.zeros((1, 8, 8, 3), np.uint8)], table, {"faces": "a"}, size=8)
    return tmp_path / "faces"


@hostile("a FaceSet whose images are a pickle, an archive, or not what their header says")
@pytest.mark.parametrize("what", IMAGES)
def test_images_that_lie_are_refused(faces, tmp_path, what):
    (faces / "images.npy").write_bytes(IMAGES[what](Code(tmp_path / "ran")))
    assert "Make it anew" in refusal(lambda: FaceSet.open(faces))
    assert not (tmp_path / "ran").exists()


def parquet_of_ten_gigabytes(path):
    import pyarrow
    import pyarrow.parquet

    rows = pyarrow.DictionaryArray.from_arrays(np.zeros(10**7, np.int32), ["a" * 1000])
    pyarrow.parquet.write_table(pyarrow.table({"image_id": rows}), path)


@hostile("a FaceSet whose table unpacks to gigabytes, is no table, or whose axes are deep")
@pytest.mark.parametrize("part", ["faces.parquet", "axes.json", "pickle"])
def test_tables_that_lie_are_refused(faces, tmp_path, part):
    if part == "faces.parquet":
        parquet_of_ten_gigabytes(faces / part)
    elif part == "axes.json":
        (faces / part).write_text("[" * 10**6)
    else:
        (faces / "faces.parquet").write_bytes(pickle.dumps(Code(tmp_path / "ran")))
    refusal(lambda: FaceSet.open(faces))
    assert not (tmp_path / "ran").exists()
