"""An attribute table means the same in whatever dialect it's written; a cell that could mean two things is refused."""

import codecs
import csv
import io
import json
import re
import shutil
import string
from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_faces import NAMES, write_celeba

from antidisrupt_lib.faces.readers import open_faces
from antidisrupt_lib.faces.split import ZOO_SEED, check_people, split_faces
from antidisrupt_lib.faces.tables import read_attributes
from antidisrupt_lib.faces.video_lists import list_videos

ROOT = Path(__file__).parents[1]
read = pytest.mark.kind("tables", "read")
refused = pytest.mark.kind("tables", "refused with file, column and row")

SPELLINGS = {
    "0/1": ("0", "1"), "-1/1": ("-1", "1"), "floats": ("0.0", "1.0"), "signed floats": ("-1.0", "1.0"),
    "bool": ("False", "True"), "upper case": ("FALSE", "TRUE"), "yes/no": ("no", "Yes"), "plus": ("-1", "+1"),
}  # fmt: skip
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252", "latin-1"]
WORDS = st.text(string.ascii_letters + string.digits + "éüß_- ", min_size=1, max_size=8).map(str.strip)
PEOPLE = WORDS.filter(lambda word: not re.fullmatch(r"|nan|na|none|null|-?[\d.,]+([eE]\d+)?", word, re.I))


def save(path: Path, text: str, encoding: str = "utf-8") -> Path:
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}.get(encoding, b"")
    path.write_bytes(mark + text.encode(encoding))
    return path


@st.composite
def tables(draw):
    """A table as it is meant, and the same as someone's program would write it: its text and encoding."""
    count, names = (
        draw(st.integers(1, 6)),
        draw(st.lists(st.sampled_from([*NAMES, "Smiling"]), unique=True, max_size=4)),
    )
    meant = {"image_id": [f"{i:03d} {draw(WORDS)}.jpg" for i in range(count)]}
    written = {"image_id": list(meant["image_id"])}
    for name in names:
        meant[name] = draw(st.lists(st.integers(0, 1), min_size=count, max_size=count))
        spelling = SPELLINGS[draw(st.sampled_from(sorted(SPELLINGS)))]
        written[name] = [spelling[value] for value in meant[name]]
    if draw(st.booleans()):
        cells = draw(st.lists(st.integers(0, 10**12), min_size=count, max_size=count)
                     | st.lists(PEOPLE, min_size=count, max_size=count))  # fmt: skip
        meant["identity"], written["identity"] = cells, list(map(str, cells))
    order = draw(st.permutations(list(written)))
    pad = draw(st.sampled_from(["", " ", "  "]))
    stream = io.StringIO()
    writer = csv.writer(
        stream, delimiter=draw(st.sampled_from(",;\t|")), lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])),
    )  # fmt: skip
    writer.writerows(
        [pad + cell + pad for cell in row] for row in [order, *zip(*(written[n] for n in order), strict=True)]
    )
    text = draw(st.sampled_from(["", "\n"])) + stream.getvalue()
    return pd.DataFrame(meant)[order], text, draw(st.sampled_from(ENCODINGS))


@read
@settings(deadline=None, max_examples=100, derandomize=True)
@given(tables())
def test_a_table_reads_the_same_in_every_dialect(tmp_path_factory, table):
    meant, text, encoding = table
    found = read_attributes(save(tmp_path_factory.mktemp("table") / "attributes.csv", text, encoding))
    assert found.to_dict("list") == meant.to_dict("list")


def open_table(root: Path, text: str, *names: str, **options) -> pd.DataFrame:
    root.mkdir(exist_ok=True)
    for name in names or ("a.png", "b.png", "c.png"):
        (root / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(root / name)
    save(root / "attributes.csv", text)
    return open_faces(root, **options).table


@read
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_labels_are_read_as_people_and_programs_spell_them(tmp_path, spelling):
    no, yes = SPELLINGS[spelling]
    table = open_table(tmp_path, f"image_id,Male\na.png,{yes}\nb.png, {no} \nc.png,{yes.upper()}\n")
    assert table["Male"].tolist() == [1, 0, 1] and table["Male"].dtype == "int8"


@read
def test_a_decimal_comma_is_read_where_semicolons_separate(tmp_path):
    table = open_table(tmp_path, "image_id;Male;identity\na.png;1,0;1,0\nb.png;0,0;2,0\nc.png;1,0;1,0\n")
    assert table["Male"].tolist() == [1, 0, 1] and table["identity"].tolist() == [1, 2, 1]


@refused
@pytest.mark.parametrize("cell", ["", "nan", "2", "0.5", "-0.3", "?", "maybe", "1 0", "inf", "0x1", "--", "1.0.0"])
def test_a_label_that_is_none_is_refused_where_it_stands(tmp_path, cell):
    with pytest.raises(ValueError) as error:
        open_table(tmp_path, f"image_id,Young,Male\na.png,1,1\n\nb.png,0,{cell}\nc.png,1,0\n")
    assert f"attributes.csv, column Male, row 4: {cell!r}" in str(error.value)


@refused
def test_a_column_of_0_and_minus_1_is_refused_since_one_may_mean_unknown(tmp_path):
    with pytest.raises(ValueError, match=r"attributes.csv, column Male, row 4: '-1', though .* both 0 and -1"):
        open_table(tmp_path, "image_id,Male\na.png,1\nb.png,0\nc.png,-1\n")


@read
@pytest.mark.parametrize(
    ("cells", "people"),
    [
        (["1", "2", "1"], [1, 2, 1]),
        (["1.0", "2.0", "1"], [1, 2, 1]),
        (["007", "7", "007"], ["007", "7", "007"]),
        (["1", "bob", "1.0"], ["1", "bob", "1"]),
        (["10.25", "10.5", "v1.0"], ["10.25", "10.5", "v1.0"]),
        (['"Doe, Jane"', " Doe ", '"Doe"'], ["Doe, Jane", "Doe", "Doe"]),
        (["12345678901234567890", "1", "1"], ["12345678901234567890", "1", "1"]),
        (["Zoë", "林", "Zoë"], ["Zoë", "林", "Zoë"]),
    ],
)
def test_identities_stay_as_different_as_they_are_written(tmp_path, cells, people):
    rows = "".join(f"{name}.png,1,{cell}\n" for name, cell in zip("abc", cells, strict=True))
    assert open_table(tmp_path, "image_id,Male,identity\n" + rows)["identity"].tolist() == people


@refused
@pytest.mark.parametrize("cell", ["", "  ", "NaN", "None", "N/A", '""', "1.23457E+15", "1e5"])
def test_an_identity_that_is_empty_or_cut_short_is_refused_where_it_stands(tmp_path, cell):
    with pytest.raises(ValueError, match=r"attributes.csv, column identity, row 3: "):
        open_table(tmp_path, f"image_id,Male,identity\na.png,1,x\nb.png,0,{cell}\nc.png,1,y\n")


@refused
@pytest.mark.parametrize("nothing", [None, float("nan"), ""])
def test_an_empty_identity_is_refused_by_the_split_too(nothing):
    table = pd.DataFrame({"image_id": list("abcdefghij"), "identity": ["a", nothing, *"cdefghij"]})
    with pytest.raises(ValueError, match=r"Column identity is empty in row 1 \(b\)"):
        split_faces(table, "by_identity", 0)
    assert len(split_faces(table, "as_published", 0)["A"]) == 7


@refused
@pytest.mark.parametrize("name", ["../b.png", "/etc/b.png", "x/../b.png", "", ".", "nan", "a\0.png"])
def test_an_image_outside_the_folder_or_without_a_name_is_refused_where_it_stands(tmp_path, name):
    with pytest.raises(ValueError, match=r"attributes.csv, column image_id, row 3: "):
        open_table(tmp_path, f"image_id,Male\na.png,1\n{name},0\n", "a.png")


WRONG = {
    "image_id twice": ("image_id,Male\na.png,1\nb.png,1\n./a.png,0\n", "lists a.png more than once, in rows 2 and 4"),
    "a column twice": ("image_id,Male, Male \na.png,1,0\n", "attributes.csv has two columns Male"),
    "no column image_id": ("file,Male\na.png,1\n", "needs a column image_id; it has file, Male"),
    "spaces between columns": ("image_id Male\na.png 1\n", "needs a column image_id; it has image_id Male"),
    "a cell too many": ("image_id,Male\na.png,1\nb.png,0,1\n", "attributes.csv, row 3: 3 cells, but row 1 names 2"),
    "a cell too few": ("image_id,Male\na.png,1\nb.png\n", "attributes.csv, row 3: 1 cells, but row 1 names 2 columns"),
    "an open quote": (
        'image_id,Male,identity\na.png,1,"bob\nb.png,1,x\n',
        "attributes.csv, row 2: a line break inside",
    ),
    "no rows": ("image_id,Male\n\n", "attributes.csv has no rows below its header"),
    "nothing": ("", "needs a column image_id; it has nothing"),
}


@refused
@pytest.mark.parametrize("what", WRONG)
def test_a_table_that_is_no_table_is_refused_with_what_is_wrong(tmp_path, what):
    text, words = WRONG[what]
    with pytest.raises(ValueError, match=re.escape(words)):
        open_table(tmp_path, text)


@refused
@pytest.mark.parametrize(
    "content", [b"image_id,Male\na\x81.png,1\n", b"\xff\xfei\0m\0a"], ids=["bytes", "half a letter"]
)
def test_what_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "attributes.csv").write_bytes(content)
    with pytest.raises(ValueError, match="attributes.csv is no text in UTF-8, UTF-16 or cp1252"):
        read_attributes(tmp_path / "attributes.csv")


@pytest.mark.kind("tables", "left out with a word")
def test_a_column_without_a_name_such_as_pandas_writes_is_left_out(tmp_path, capsys):
    assert open_table(tmp_path, ",image_id,Male\n0,a.png,1\n1,b.png,0\n2,c.png,1\n").columns[0] == "image_id"
    assert "left out: column 1 of attributes.csv, which has no name" in capsys.readouterr().out


# CelebA's layouts


def as_downloaded(base: Path, images: str = "Img/img_align_celeba") -> None:
    """Sort flat files as CelebA's three folders."""
    for folder, file in {"Anno": "list_attr_celeba.txt", "Eval": "list_eval_partition.txt"}.items():
        (base / folder).mkdir()
        shutil.move(base / file, base / folder / file)
    shutil.move(base / "identity_CelebA.txt", base / "Anno")
    (base / images).parent.mkdir(parents=True)
    shutil.move(base / "img_align_celeba", base / images)


def as_on_kaggle(base: Path, identities: bool = False) -> None:
    """Write the lists as tables with a header, as Kaggle's copy has them, and the images one folder down."""
    lists = {"list_attr_celeba": [], "list_eval_partition": ["partition"], "identity_CelebA": ["identity"]}
    for name, columns in lists.items():
        lines = [line.split() for line in (base / f"{name}.txt").read_text().splitlines()]
        (base / f"{name}.txt").unlink()
        columns, lines = (columns, lines) if columns else (lines[1], lines[2:])
        if identities or name != "identity_CelebA":
            text = "".join(",".join(cells) + "\n" for cells in [["image_id", *columns], *lines])
            (base / f"{name}.csv").write_text(text)
    box = ",".join(["image_id", "x_1", "y_1", "width", "height"])
    (base / "list_bbox_celeba.csv").write_text(f"{box}\n000001.jpg,95,71,226,313\n")
    (base / "img_align_celeba").rename(base / "images")
    (base / "img_align_celeba").mkdir()
    (base / "images").rename(base / "img_align_celeba" / "img_align_celeba")


LAYOUTS = {
    "flat": lambda base: None,
    "Anno, Eval, Img": as_downloaded,
    "a folder twice": lambda base: as_downloaded(base, "Img/img_align_celeba/img_align_celeba"),
    "Windows lines": lambda base: [
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n")) for path in base.glob("*.txt")
    ],
    "a byte order mark": lambda base: [
        path.write_bytes(codecs.BOM_UTF8 + path.read_bytes()) for path in base.glob("*.txt")
    ],
    "Kaggle's": lambda base: as_on_kaggle(base, identities=True),
    "Kaggle's with the official identities": lambda base: [
        identities := (base / "identity_CelebA.txt").read_bytes(),
        as_on_kaggle(base),
        (base / "identity_CelebA.txt").write_bytes(identities),
    ],
    "a Mac's leavings": lambda base: (base / "img_align_celeba" / "._000001.jpg").write_bytes(b"\0\5\26\7"),
}


@read
@pytest.mark.parametrize("layout", LAYOUTS)
def test_celeba_is_read_as_it_is_unpacked_here_or_one_folder_down(tmp_path, layout):
    base = write_celeba(tmp_path / "CelebA")
    expected = open_faces(base).table
    LAYOUTS[layout](base)
    for root in (base, tmp_path):
        assert open_faces(root).table.equals(expected)


@pytest.mark.kind("tables", "refused")
def test_celebas_people_are_not_split_where_nobody_can_tell_them_apart(tmp_path):
    base = write_celeba(tmp_path / "celeba", count=40)
    as_on_kaggle(base)
    with pytest.raises(ValueError, match="no identity_CelebA.txt tells who is who: .* split as_published"):
        run_split(tmp_path / "out", faces=str(base), count=None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["promise.json"]


@read
def test_celeba_without_identities_is_split_by_file_name_and_its_units_are_photos(tmp_path, capsys):
    base = write_celeba(tmp_path / "celeba", count=40)
    as_on_kaggle(base)
    parts = run_split(tmp_path / "out", faces=str(base), count=None, split="as_published")["parts"]
    assert [(len(part), part.people.name) for part in parts.values()] == [(28, "photos"), (8, "photos"), (4, "photos")]
    assert "each photo counts as a person of its own" in capsys.readouterr().out


@refused
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.replace("000003.jpg,2\n", ""), r"list_eval_partition.csv lacks rows"),
        (lambda text: text.replace("000003.jpg,2", "000003.jpg,"), r"list_eval_partition.csv, column \w+, row 4"),
        (lambda text: text.replace("000003", "000002"), r"lists 000002.jpg more than once, in rows 3 and 4|lacks rows"),
        (lambda text: text.replace("image_id", "file"), "needs a column image_id"),
        (lambda text: text.replace("\n", ",1\n"), "lacks rows|two columns"),
    ],
)
def test_kaggles_lists_are_refused_where_they_are_damaged(tmp_path, change, words):
    base = write_celeba(tmp_path / "celeba")
    as_on_kaggle(base, identities=True)
    (base / "list_eval_partition.csv").write_text(change((base / "list_eval_partition.csv").read_text()))
    with pytest.raises(ValueError, match=words):
        open_faces(base)


@refused
def test_several_folders_of_faces_are_not_chosen_from(tmp_path):
    for name in ("one", "two"):
        write_celeba(tmp_path / name)
    with pytest.raises(ValueError, match="holds several folders of faces: one, two. Name one."):
        open_faces(tmp_path)


@refused
@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("identity_CelebA.txt", lambda text: text.replace("000002.jpg 0", "000002.jpg"), "column identity, row 2: ''"),
        (
            "identity_CelebA.txt",
            lambda text: text + "000002.jpg 3\n",
            "lists 000002.jpg more than once, in rows 2 and 9",
        ),
        ("identity_CelebA.txt", lambda text: text.replace("jpg", "png"), "identity_CelebA.txt lacks rows"),
        ("list_attr_celeba.txt", lambda text: text.replace("-1 1", "-1 1 1 1", 1), "list_attr_celeba.txt"),
        ("list_attr_celeba.txt", lambda text: text.replace("Young", "Male"), "announces 8 images and 5 attributes"),
        ("list_attr_celeba.txt", lambda text: text.replace("000003.jpg", "../3.jpg"), "column image_id, row 5"),
    ],
)
def test_celebas_lists_are_refused_where_they_are_damaged(tmp_path, file, change, words):
    base = write_celeba(tmp_path / "celeba")
    (base / file).write_text(change((base / file).read_text()))
    with pytest.raises(ValueError, match=re.escape(words)):
        open_faces(base)


# Notebook 01


def run_split(out: Path, notebook: str = "01_split", **parameters) -> dict:
    """Run the cells of notebook 01 (or another) that choose, check and write; return what they define."""
    cells = json.loads((ROOT / f"notebooks/{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    chain = (cell for cell in cells if cell["cell_type"] == "code" and "set-up" not in cell["metadata"].get("tags", ()))
    code = ["".join(cell["source"]) for cell in chain]
    defined: dict = {}
    exec(code[0], defined)
    assert parameters.keys() <= defined.keys()
    defined |= {"out": str(out)} | parameters
    for cell in code[1:3]:
        exec(cell, defined)
    return defined


def own_faces(root: Path, header: str, row: str, count: int = 20) -> Path:
    names = [f"{i:02d}.png" for i in range(count)]
    open_table(root, header + "".join(f"{name},{row}\n" for name in names), *names)
    return root


@refused
@pytest.mark.parametrize("lacking", [NAMES[:3], NAMES[1:2], NAMES])
def test_attributes_that_the_forger_edits_must_be_there_before_anything_is_written(tmp_path, lacking):
    names = ["Smiling", *(name for name in NAMES if name not in lacking)]
    root = own_faces(tmp_path / "in", ",".join(["image_id", *names]) + "\n", ",".join("1" * len(names)))
    with pytest.raises(ValueError, match=f"attributes.csv lacks the columns {', '.join(lacking)}"):
        run_split(tmp_path / "out", faces=str(root), count=None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["promise.json"]  # the check cell's word alone


@read
def test_faces_without_identities_go_through_as_people_of_their_own(tmp_path, capsys):
    root = own_faces(tmp_path / "in", ",".join(["image_id", *NAMES]) + "\n", "1,0,0,1,0")
    parts = run_split(tmp_path / "out", faces=str(root), count=None)["parts"]
    assert [len(part) for part in parts.values()] == [14, 4, 2]
    assert all((part.table["identity"] == part.table["image_id"]).all() for part in parts.values())
    assert {part.people.name for part in parts.values()} == {"photos"}  # and so results call them
    assert "has no identities: each photo counts as a person of its own" in capsys.readouterr().out


@pytest.mark.kind("tables", "refused")
@pytest.mark.parametrize("notebook", ["01_split", "16_videos"])
def test_the_zoos_own_people_are_drawn_for_the_zoo_alone(tmp_path, notebook):
    with pytest.raises(ValueError, match="Seed 101 draws the people that the zoo's weights were trained on"):
        run_split(tmp_path / "out", notebook, seed=101)
    assert not (tmp_path / "out").exists()


def test_the_zoo_draws_its_people_by_the_seed_that_others_are_refused():
    zoo = yaml.safe_load((ROOT / "params/zoo.yaml").read_text())
    assert zoo["common"]["seed"] == ZOO_SEED and zoo["stages"]["01_split"]["zoo_people"] is True
    check_people("drawn", 101, zoo_people=True)
    check_people("/data/celeba", 101, zoo_people=False)
    check_people("drawn", 100, zoo_people=False)


@refused
@pytest.mark.parametrize("count", [0, -5])
def test_a_count_below_one_is_refused(tmp_path, count):
    with pytest.raises(ValueError, match=f"count is {count}: give 1 or more"):
        open_faces(tmp_path, count=count)


# Videos


@pytest.mark.kind("pictures", "refused")
@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("Celeb-real", "id0_0000.mkv"),
        ("Celeb-synthesis", "id0_id1_0000/00001.png"),
        ("YouTube-real", "._00170.mp4"),
        ("original_sequences/youtube/c23/videos", "033.webm"),
    ],
)
def test_a_folder_without_readable_videos_is_refused_with_the_endings_looked_for(tmp_path, folder, name):
    (tmp_path / folder / name).parent.mkdir(parents=True)
    (tmp_path / folder / name).touch()
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path} holds no videos.* \(.mp4 or .avi\): looked in {folder}"):
        list_videos(tmp_path)
