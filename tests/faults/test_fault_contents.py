"""Content counts: what a parameter names and what a stage reads is known by its bytes, not by size and time."""

import os
from pathlib import Path

import pytest
import yaml
from faulty import STAGES, altered, edit_json, flip_last_byte, go, small_study
from test_study_command import run_all
from test_study_graph import DISRUPT, SPLIT, make_study, write_notebook
from test_study_runner import WRITE_SPLIT

from antidisrupt_lib.study import hashes
from antidisrupt_lib.study.hashes import content_without_times, file_hash, folder_hash
from antidisrupt_lib.study.manifest import named_content
from antidisrupt_lib.study.params import BY_HAND

FACES = (
    SPLIT
    + '\nfaces: str = "drawn"\nforgers: dict[str, str] = {}\nextra_files: list[str] = []\nword = ""\nx = {"a": [""]}'
)


@pytest.fixture
def root(tmp_path):
    """A finished stage that reads a folder of faces, in which one folder is a link, and files in a table and a list."""
    small_study(tmp_path)
    write_notebook(tmp_path / "notebooks/01_split.ipynb", FACES, WRITE_SPLIT)
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces/attributes.csv").write_text("image_id,Male\n1.jpg,0\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/1.jpg").write_bytes(b"a photo of someone")
    (tmp_path / "faces/photos").symlink_to(tmp_path / "elsewhere")
    for name in ("G", "H"):
        (tmp_path / name).write_text(f"weights of {name}")
    return tmp_path


def why(root: Path, **values) -> list[str]:
    """The stages that run again, of one stage with these parameters."""
    return go(root, {"01_split": {"faces": "faces"} | values}).ran


@pytest.mark.fault("a label, or a photo behind a link, is swapped for one of the same size and time",
                   "the stage that reads it runs again")  # fmt: skip
@pytest.mark.parametrize("file", ["faces/attributes.csv", "faces/photos/1.jpg"])
def test_faces_count_by_their_content(root, file):
    assert why(root) == ["01_split"] and why(root) == []
    altered(root / file, lambda content: content[:-2] + b"1\n")
    assert why(root) == ["01_split"] and why(root) == []


@pytest.mark.fault("a file that a list, a table or a nested value names changes", "the stage runs again")
@pytest.mark.parametrize(
    "values",
    [{"forgers": {"a": "G"}}, {"extra_files": ["H", "G"]}, {"x": {"a": ["../G"]}}, {"word": "../G"}],
    ids=str,
)
def test_paths_in_lists_and_tables_count(root, values):
    assert why(root, **values) == ["01_split"] and why(root, **values) == []
    altered(root / "G", flip_last_byte)
    assert why(root, **values) == ["01_split"]


@pytest.mark.fault("`faces: ~/faces`, and the folder changes", "the stage runs again")
def test_a_home_counts(root, monkeypatch):
    monkeypatch.setenv("HOME", str(root))
    assert why(root, faces="~/faces", word="~/G") == ["01_split"]
    assert why(root, faces="~/faces", word="~/G") == []
    altered(root / "G", flip_last_byte)
    assert why(root, faces="~/faces", word="~/G") == ["01_split"]
    altered(root / "faces/attributes.csv", lambda content: content[:-2] + b"1\n")
    assert why(root, faces="~/faces", word="~/G") == ["01_split"]


@pytest.mark.fault("a value that is no path but could be read as one (`/`, `..`, `~`, a NUL)", "counts as a value only")
@pytest.mark.parametrize("word", ["/", "..", "~", "../..", ".", "a\nb", "x" * 5000, "pgd"])
def test_what_names_nothing_is_not_read(root, word):
    node = make_study(root, {"01_split": {"word": word}}).nodes["01_split"]
    assert named_content(node) == {}


@pytest.mark.fault("what a parameter names changes while the node runs", "the result is refused: it isn't its recipe's")
def test_a_change_under_a_running_node_is_refused(root):
    cell = WRITE_SPLIT + "\n(Path(faces) / 'new.jpg').touch()"
    write_notebook(root / "notebooks/01_split.ipynb", FACES, cell.replace("Path(faces)", f"Path('{root}/faces')"))
    outcome = go(root, {"01_split": {"faces": "faces"}})
    assert "what `faces` names changed while it ran" in outcome.failed["01_split"]
    assert why(root) == ["01_split"]


@pytest.mark.fault("a byte flipped in a result, same size and time", "noticed when the next run begins")
def test_an_altered_result_is_noticed(tmp_path):
    go(small_study(tmp_path))
    altered(tmp_path / "outputs/tiny/01_split/B/n", flip_last_byte)
    assert go(tmp_path).ran == ["01_split"]  # it comes out as it was, so nothing after it runs


READ = f'photos = "{BY_HAND}01_split/B"\nout = "{BY_HAND}04_disrupt"'


@pytest.mark.fault("a bit rots on the disk, which changes no time at all, then a stage reads it",
                   "its reader fails and names it; the next run makes it anew")  # fmt: skip
def test_inputs_are_hashed_when_they_are_read(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT, WRITE_SPLIT)
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", READ)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump({"study": "tiny", "stages": {"01_split": {}, "04_disrupt": {}}}))
    assert run_all(tmp_path, "--only", "01_split").returncode == 0
    rotten = tmp_path / "outputs/tiny/01_split/B/n"
    altered(rotten, flip_last_byte)

    def as_if_untouched(manifest: dict) -> None:
        manifest["outputs"]["B/n"]["ctime_ns"] = rotten.stat().st_ctime_ns

    edit_json(tmp_path / "outputs/tiny/01_split/manifest.json", as_if_untouched)
    failed = run_all(tmp_path)
    assert failed.returncode == 1 and f"its input {rotten} was altered after it was made" in failed.stdout
    healed = run_all(tmp_path)
    assert healed.returncode == 0 and "2 made: 2 results stand" in healed.stdout


@pytest.mark.fault("a stage is made again with other seconds in its results.csv", "nothing after it runs again")
def test_seconds_are_no_content(tmp_path):
    stages = STAGES | {"after": {"notebook": "05_purify", "photos": "08_evaluate"}}
    write_notebook(small_study(tmp_path) / "notebooks/05_purify.ipynb", READ.replace("01_split/B", "08_evaluate"))
    assert len(go(tmp_path, stages).ran) == 4
    changed = stages | {"08_evaluate": {"note": "7"}}
    assert go(tmp_path, changed).ran == ["08_evaluate"]


@pytest.mark.fault("a table that only looks like results", "counts whole")
@pytest.mark.parametrize(
    "text, timed",
    [("metric,value,unit\na,1,s\n", True), ("metric,value,unit\na,1,share\n", False), ("value,unit\n1\n", False),
     ("a,b\n1,s\n", False), ("", False), ("\0,\n", False)],
)  # fmt: skip
def test_only_seconds_of_results_are_left_out(tmp_path, text, timed):
    (tmp_path / "t.csv").write_text(text)
    assert (content_without_times(tmp_path / "t.csv") is not None) == timed


# The cache of hashes


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hashes, "SETTLED", -(10**9))  # files count as old at once
    hashes._store.cache_clear()
    yield tmp_path / "cache/antidisrupt/hashes.sqlite"
    hashes._store.cache_clear()


def count_reads(monkeypatch) -> list:
    read, real = [], hashes.read_hash
    monkeypatch.setattr(hashes, "read_hash", lambda path: read.append(path) or real(path))
    return read


@pytest.mark.fault("200,000 photos at each look", "read once, and again only those that changed")
def test_unchanged_files_are_read_once(root, cache, monkeypatch):
    read = count_reads(monkeypatch)
    first = folder_hash(root / "faces")
    assert len(read) == 2 and folder_hash(root / "faces") == first and len(read) == 2
    altered(root / "elsewhere/1.jpg", flip_last_byte)
    assert folder_hash(root / "faces") != first and len(read) == 3


@pytest.mark.fault("the cache of hashes is damaged, can't be made, or the clock jumps back",
                   "files are read; the hash is the same")  # fmt: skip
@pytest.mark.parametrize("harm", ["damaged", "no folder", "clock"])
def test_hashes_do_not_depend_on_their_cache(root, cache, monkeypatch, harm, capsys):
    expected = file_hash(root / "G")
    hashes._store.cache_clear()
    if harm == "damaged":
        cache.write_bytes(b"no database at all" * 100)
    elif harm == "no folder":
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "G"))
    else:
        monkeypatch.setattr(hashes.time, "time_ns", lambda: 0)
    read = count_reads(monkeypatch)
    (root / "H").write_text("other")
    assert file_hash(root / "G") == expected and file_hash(root / "H") != expected and read


@pytest.mark.fault(
    "a faces folder whose links make a circle, with fifos and broken links in it", "read once, to its end"
)
def test_circles_of_links_end(root):
    (root / "faces/back").symlink_to(root / "faces")
    (root / "elsewhere/up").symlink_to(root / "faces")
    (root / "faces/broken").symlink_to(root / "nowhere")
    os.mkfifo(root / "faces/pipe")
    names = {"attributes.csv", "photos/1.jpg"}
    files, again = hashes.files_below(root / "faces")
    assert files.keys() == names and again == {"back": "", "photos/up": ""}
    assert folder_hash(root / "faces") == folder_hash(root / "faces")


def test_what_a_stage_reads_by_default_is_no_path_of_the_users(tmp_path):
    write_notebook(small_study(tmp_path) / "notebooks/04_disrupt.ipynb", DISRUPT)
    assert make_study(tmp_path, STAGES).nodes["04_disrupt"].given_paths == {}
