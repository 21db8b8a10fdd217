"""Study files: what of YAML is read, what is refused and where, and that nothing in one is an accident."""

import json
import string
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from test_study_graph import DISRUPT, SPLIT, make_study, write_notebook

from antidisrupt_lib.study.graph import load_study
from antidisrupt_lib.study.params import BY_HAND
from antidisrupt_lib.study.yaml_files import MOST, parse_yaml, read_yaml

ROOT = Path(__file__).parents[1]
FREE = f'value = None\nflag: bool = False\nword: str = ""\nout = "{BY_HAND}free"'
refused = pytest.mark.kind("YAML", "refused with file and line, in milliseconds")
BOMB = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
)


@pytest.fixture
def root(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT)
    write_notebook(tmp_path / "notebooks/04_disrupt.ipynb", DISRUPT)
    write_notebook(tmp_path / "notebooks/free.ipynb", FREE)
    return tmp_path


def load(root, text, **options):
    file = root / "study.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_study(file, outputs=root / "outputs", notebooks=root / "notebooks", **options)


@pytest.mark.parametrize("path", sorted((ROOT / "params").rglob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.kind("YAML", "read as PyYAML reads them, also in order")
def test_shipped_files_mean_what_they_meant(path):
    expected = yaml.safe_load(path.read_text())
    assert repr(read_yaml(path)) == repr(expected)


@refused
@pytest.mark.parametrize(
    "text, line, words",
    [
        ("study: a\nstages:\n  01_split: {count: 1}\n  01_split: {count: 2}\n", 4, "given twice, in lines 3 and 4"),
        ("study: a\nstages: {01_split: {count: 1, count: 2}}\n", 2, "`count` is given twice, in lines 2 and 2"),
        ("a: 1\n<<: {b: 1}\n<<: {c: 1}\n", 3, "`<<` is given twice, in lines 2 and 3"),
        (BOMB, 1, f"longer than {MOST} characters"),
        (f"text: &a {'x' * 9000}\nall: [{'*a, ' * 100}]\n", 1, f"longer than {MOST} characters"),
        ("study: a\nstages: &s {01_split: *s}\n", 2, "a reference to what it stands in"),
        ("a: &a\n  - 1\n  - <<: *a\n", 1, "a reference to what it stands in"),
        ("study: a\nx: " + "[" * 10_000, 2, "more than 40 tables or lists"),
        ("{a: " * 10_000, 1, "more than 40 tables or lists"),
        ("- " * 10_000, 1, "more than 40 tables or lists"),
        ("study: a\nseed: 010\n", 2, "'010' is an octal number to some"),
        ("study: a\nseed: -007\n", 2, "'-007' is an octal number to some"),
        ("study: a\nstages:\n\t01_split: {}\n", 3, "'\\t' that cannot start any token"),
        ("study: a\n---\nstudy: b\n", 2, "found another document"),
        ("study: !!python/object/apply:os.getcwd []\n", 1, "the tag !!python/object/apply:os.getcwd"),
        ("study: a\nx: !!python/name:os.system\n", 2, "the tag !!python/name:os.system"),
        ("study: a\nx: !mine {a: 1}\n", 2, "the tag !mine"),
        ("study: a\nx: !!binary aGk=\n", 2, "the tag !!binary"),
        ("study: a\nx: !!set {a, b}\n", 2, "the tag !!set"),
        ("study: a\nx: !!int three\n", 2, "'three' is no int"),
        ("study: a\nx: {<<: 5}\n", 2, "`<<` takes a table or a list of tables"),
        ("study: a\n1: b\n", 2, "the name 1 is no text"),
        ("study: a\n? [b]\n: c\n", 2, "the name ['b'] is no text"),
        ("study: a\nx: *nowhere\n", 2, "undefined alias 'nowhere'"),
        ("study: a\nx: [1, 2\ny: 3\n", 3, "expected ',' or ']'"),
        ("study: a\nx: 'never closed\n", 3, "unexpected end of stream"),
        (f"study: a\nseed: {'9' * 5000}\n", 2, "has 5000 digits"),
        ('study: a\nx: "\\ud800"\n', 2, "a character that no file can hold"),
        ('study: a\nx: "\\0"\n', 2, "a character that no file can hold"),
        ("study: a\nx: \x07\n", 2, "the character '\\x07' is no valid YAML"),
        ("study: a\nx: caf\xe9\n".encode("latin-1"), 2, "no text in UTF-8"),
    ],
    ids=range(31),
)
def test_a_file_that_surprises_is_refused_at_its_line(root, text, line, words):
    start = time.perf_counter()
    with pytest.raises(ValueError) as refusal:
        load(root, text)
    said = str(refusal.value)
    assert said.startswith(f"{root / 'study.yaml'}, line {line}: ") and "\n" not in said and words in said
    assert len(said) < len(str(root)) + 400 and time.perf_counter() - start < 5  # unhindered, a bomb takes for ever


@pytest.mark.kind("YAML", "refused with the file, in milliseconds")
@pytest.mark.parametrize(
    "text, words",
    [
        ("", "expected names with values, found None"),
        ("# only a comment\n", "expected names with values, found None"),
        ("- a\n- list\n", "expected names with values, found ['a', 'list']"),
        ("just words\n", "expected names with values, found 'just words'"),
        ("study: 5\nstages: {01_split: {}}\n", "`study: 5` can't name"),
        ("study: [a]\nstages: {01_split: {}}\n", "can't name the study's folder"),
        ("study: true\nstages: {01_split: {}}\n", "`study: True` can't name"),
        ("study: CON\nstages: {01_split: {}}\n", "`study: 'CON'` can't name"),
        ("study: a.\nstages: {01_split: {}}\n", "`study: 'a.'` can't name"),
        ("study: a/b\nstages: {01_split: {}}\n", "can't name the study's folder"),
        ("stages: {01_split: {}}\n", "`study: None` can't name"),
        ("study: a\n", "stages: expected names with values, found None"),
        ("study: a\nstages: {}\n", "has no stages"),
        ("study: a\nstages: {01_split: 0}\n", "stage 01_split: expected names with values, found 0"),
        ("study: a\nstages: {01_split: false}\n", "stage 01_split: expected names with values, found False"),
        ("study: a\ncommon: []\nstages: {01_split: {}}\n", "common: expected names with values, found []"),
        ("study: a\nbase: 5\nstages: {01_split: {}}\n", "`base: 5` names no study file"),
        ("study: a\nresults: [x]\nstages: {01_split: {}}\n", "results: there is no stage without a grid"),
        ("study: a\nthreads: 1.5\nstages: {01_split: {}}\n", "`threads` must be"),
        ("study: a\nstages: {01_split: {seed: .inf}}\n", "`seed` is inf, which JSON can't hold"),
        ("study: a\nstages: {01_split: {seed: .nan}}\n", "`seed` is nan, which JSON can't hold"),
        ("study: a\nstages: {01_split: {count: 1:30}}\n", "`count` must be int, and '1:30' is not"),
        ("study: a\nstages: {01_split: {count: 2026-01-01}}\n", "`count` must be int, and '2026-01-01' is not"),
        ("study: a\nstages: {01_split: {count: 1_000}}\n", "without quotes and underscores"),
        ("study: a\nstages: {free: {flag: no}}\n", "`flag` must be bool, and 'no' is not"),
        ("study: a\nstages: {free: {flag: On}}\n", "Write true or false"),
        ("study: a\nstages: {free: {word: null}}\n", "`word` must be str, and None is not"),
        (f"study: a\nx: {'y' * MOST}\n", "is larger than 256 KiB"),
    ],
    ids=range(28),
)
def test_a_file_of_another_shape_is_refused_by_name(root, text, words):
    with pytest.raises(ValueError) as refusal:
        load(root, text)
    said = str(refusal.value)
    assert said.startswith(str(root / "study.yaml")) and words in said and "\n" not in said
    assert not (root / "outputs").exists()


@pytest.mark.kind("YAML", "read as version 1.2 has it")
@pytest.mark.parametrize(
    "text, value",
    [
        ("no", "no"), ("Yes", "Yes"), ("on", "on"), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("0b11", "0b11"),
        ("1_000", "1_000"), ("=", "="), ("0o10", 8), ("0x1F", 31), ("1e-4", 1e-4), ("1E4", 1e4), ("5.", 5.0),
        ("-.5", -0.5), ("+3", 3), ("0", 0), ("0.1", 0.1), ("true", True), ("False", False), ("~", None), ("", None),
        ("'010'", "010"), ("!!str 010", "010"), ("none", "none"), ("nan", "nan"), ("é 😀", "é 😀"), ("'<<'", "<<"),
    ],
)  # fmt: skip
def test_a_scalar_is_what_version_1_2_says(text, value):
    read = parse_yaml(f"a: {text}", "here")["a"]
    assert read == value and type(read) is type(value)


@pytest.mark.kind("YAML", "read")
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_marks_encodings_and_line_ends_of_other_systems_are_read(root, encoding, newline):
    text = newline.join(["study: a", "stages:", "  01_split:", "    count: 4  # é", ""])
    assert load(root, text.encode(encoding)).nodes["01_split"].parameters["count"] == 4


@pytest.mark.kind("YAML", "each a copy of its own")
def test_references_and_merge_keys_are_copies():
    read = parse_yaml("a: &a {x: [1]}\nb: *a\nc: {<<: [{x: 2}, *a], y: 3}\nd: {x: 4, <<: *a}\n", "here")
    assert read == {"a": {"x": [1]}, "b": {"x": [1]}, "c": {"x": 2, "y": 3}, "d": {"x": 4}}
    assert read["a"] is not read["b"] and read["a"]["x"] is not read["b"]["x"]


@pytest.mark.kind("YAML", "refused: their folders would be one")
@pytest.mark.parametrize("axis", [[1, "1"], [1.5, "1.5"], [True, "true"], [1, 1], ["PGD", "pgd"], ["é", "e\u0301"]])
def test_grid_values_that_share_a_folder_are_refused(root, axis):
    with pytest.raises(ValueError, match="study.yaml, stage free: the values of grid axis `value` name folders"):
        make_study(root, {"free": {"grid": {"value": axis}}})


@pytest.mark.kind("YAML", "kept apart")
def test_grid_values_of_other_types_are_kept_apart(root):
    write_notebook(root / "notebooks/next.ipynb", f'read = "{BY_HAND}free"\nvalue = None\nout = "{BY_HAND}next"')
    stages = {"free": {"grid": {"value": [1, True, 2]}}, "next": {"grid": {"value": [True, 2.0]}}}
    nodes = make_study(root, stages).nodes
    assert list(nodes) == ["free[value=1]", "free[value=True]", "free[value=2]", "next[value=True]", "next[value=2.0]"]
    assert nodes["next[value=True]"].needs == {"free[value=True]"}
    with pytest.raises(ValueError, match="no variant has value=False"):
        make_study(root, {"free": {"grid": {"value": [0, 1]}, "only": [{"value": False}]}})


@pytest.mark.kind("YAML", "refused before anything is written")
@pytest.mark.parametrize("count", [300, 5000])
def test_grid_values_that_make_too_long_a_folder_are_refused(root, count):
    with pytest.raises(ValueError, match=f"has a name of {count + 12} bytes, and 220 fit"):
        make_study(root, {"free": {"grid": {"value": ["x" * count]}}})


@pytest.mark.kind("YAML", "refused, as in a file")
@pytest.mark.parametrize(
    "assignment, words",
    [
        ("01_split.seed=010", "--set 01_split.seed=010: '010' is an octal number"),
        ("01_split.seed={a: 1, a: 2}", "`a` is given twice"),
        ("01_split.seed=&a [*a]", "a reference to what it stands in"),
        ("01_split.seed=!!python/name:os.system", "the tag !!python/name:os.system"),
        ("01_split.seed=[1", "this is no valid YAML"),
        ("01_split.seed=1:30", "`seed` must be int"),
        ("01_split.seed=", "`seed` must be int, and None is not"),
        ("01_split.grid={seed: [1, 1]}", "Use distinct numbers"),
        ("study=5", "write it as stage.name=value"),
    ],
)
def test_a_value_of_the_command_line_is_checked_as_one_of_a_file(root, assignment, words):
    with pytest.raises(ValueError) as refusal:
        load(root, "study: a\nstages: {01_split: {}}\n", assignments=[assignment])
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


# Files at random: each loads or is refused in one sentence

words = st.sampled_from(["01_split", "04_disrupt", "free", "count", "eps", "seed", "value", "photos", "only", "x", "é"])
scalars = st.one_of(
    words, st.none(), st.booleans(), st.integers(), st.floats(), st.text(string.printable + "é\0\ud800", max_size=6)
)
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(words, v, max_size=3), max_leaves=8)
keys = st.sampled_from(
    ["count", "eps", "seed", "attack", "grid", "only", "skip", "threads", "notebook", "photos", "value"]
)
stages = st.dictionaries(words, values | st.dictionaries(keys, values, max_size=4), max_size=4)
tables = st.fixed_dictionaries(
    {"study": st.just("a") | scalars, "stages": stages | values},
    optional={"common": st.dictionaries(keys, values) | values, "threads": scalars, "results": values, "base": scalars},
)
lines = st.lists(
    st.text("ab:-[]{}&*!|>'\"#%@`,? \t<0159.~", max_size=12)
    | st.sampled_from(["study: a", "stages:", "  01_split: {}"])
)


@pytest.fixture(scope="module")
def place():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name, cell in (("01_split", SPLIT), ("04_disrupt", DISRUPT), ("free", FREE)):
            write_notebook(root / "notebooks" / f"{name}.ipynb", cell)
        yield root


def loads_or_says_why(root, text):
    try:
        assert load(root, text).nodes
    except (ValueError, FileNotFoundError) as refusal:  # of a notebook or a base that isn't there
        said = str(refusal)
        assert "\n" not in said and len(said) < 1500 and (str(root) in said or "has a name of" in said)
    assert not (root / "outputs").exists()


@pytest.mark.kind("YAML", "read, or refused in one sentence that names the file")
@settings(max_examples=100, deadline=None, derandomize=True)
@given(table=tables)
def test_any_table_is_a_study_or_refused_in_one_sentence(place, table):
    loads_or_says_why(place, yaml.safe_dump(table, allow_unicode=True).encode(errors="surrogatepass"))


@pytest.mark.kind("YAML", "read, or refused in one sentence that names the file")
@settings(max_examples=100, deadline=None, derandomize=True)
@given(text=lines.map("\n".join) | st.binary(max_size=40))
def test_any_bytes_are_a_study_or_refused_in_one_sentence(place, text):
    loads_or_says_why(place, text)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda v: st.lists(v, max_size=3) | st.dictionaries(st.text("abé:#{", max_size=4), v, max_size=3),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.kind("YAML", "read as it was written")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(value=plain)
def test_what_json_writes_is_read_back(value):
    assert parse_yaml(json.dumps({"a": value}), "here") == {"a": value}
