"""Study files, values, notebooks and results of others: nothing in them is code, unless it is named as such."""

import json
import subprocess
import sys

import pytest
import yaml
from hostile import hostile, refusal
from test_study_command import RUN_ALL
from test_study_graph import SPLIT, make_study, write_notebook
from test_study_runner import go

from antidisrupt_lib.study.compare import compare_studies
from antidisrupt_lib.study.graph import load_study
from antidisrupt_lib.study.manifest import read_manifest
from antidisrupt_lib.study.params import BY_HAND, read_notebook

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
MANY = [*range(4000)]
STUDIES = {
    "a billion laughs": LAUGHS,
    "references to themselves": "study: &a [*a]\n",
    "twenty thousand merge keys": "a: &a {x: 1}\n" + "".join(f"a{i}: {{<<: [*a, *a]}}\n" for i in range(20_000)),
    "a hundred thousand brackets": "[" * 100_000,
    "a hundred thousand levels": "".join(" " * i + "a:\n" for i in range(500)),
    "a megabyte": "a: " + "x" * 2**20,
    "a number of a million digits": "study: a\nstages: {01_split: {count: " + "9" * 10**5 + "}}\n",
    "an object of Python's": "!!python/object/apply:os.mkdir [ran]\n",
    "a function of Python's": "study: !!python/name:os.system\n",
    "a module of Python's": "study: a\nstages: {01_split: {count: !!python/module:antigravity }}\n",
    "a name that leads out": "study: ../../ran\nstages: {01_split: {}}\n",
    "a name that is a path": "study: /tmp/ran\nstages: {01_split: {}}\n",
    "a stage that leads out": "study: a\nstages: {../ran: {notebook: 01_split}}\n",
    "a notebook's name that is code": "study: a\nstages: {01_split: {notebook: '01_split; mkdir ran'}}\n",
    "a parameter's name that is code": "study: a\nstages: {01_split: {'seed = 1; import os; os.mkdir(\"ran\")': 1}}\n",
    "an axis that is code": "study: a\nstages: {01_split: {grid: {\"__import__('os').mkdir('ran')\": [1]}}}\n",
    "a value that leads out": "study: a\nstages: {01_split: {grid: {name: [../../ran]}}}\n",
    "an input that leads out": "study: a\nstages: {01_split: {}, 02_read: {photos: 01_split/../../ran}}\n",
    "a grid of millions": f"study: a\nstages: {{01_split: {{grid: {{seed: {MANY}, count: {MANY}}}}}}}\n",
    "a base that is itself": "study: a\nbase: study.yaml\n",
    "a base that is a device": "study: a\nbase: /dev/zero\n",
}  # fmt: skip


@pytest.fixture
def root(tmp_path):
    write_notebook(tmp_path / "notebooks/01_split.ipynb", SPLIT + '\nname: str = ""')
    write_notebook(tmp_path / "notebooks/02_read.ipynb", f'photos = "{BY_HAND}01_split"\nout = "{BY_HAND}02_read"')
    return tmp_path


@hostile("study files that are bombs, objects of Python's, or whose names are paths or code")
@pytest.mark.parametrize("what", STUDIES)
def test_study_files_that_harm_are_refused(root, what):
    (root / "study.yaml").write_text(STUDIES[what])
    refusal(lambda: load_study(root / "study.yaml", outputs=root / "outputs", notebooks=root / "notebooks"))
    assert sorted(path.name for path in root.iterdir()) == ["notebooks", "study.yaml"]


NOTEBOOKS = {
    "a call": "seed = __import__('os').mkdir('ran')",
    "a comprehension": "seed = [i for i in range(10**9)]",
    "a type that is code": "seed: __import__('os').mkdir('ran') = 1",
    "a type that takes for ever": "seed: 9**9**9**9 = 1",
    "a type beyond memory": "seed: [0] * 10**12 = 1",
    "brackets in brackets": "seed = " + "[" * 10**5,
    "signs upon signs": "seed = " + "-" * 10**5 + "1",
    "a number of a million digits": "seed = " + "9" * 10**5,
    "magic": "%run evil.py",
    "a shell": "!mkdir ran",
}


@hostile("a notebook's parameters that are code, or take for ever to read")
@pytest.mark.parametrize("what", NOTEBOOKS)
def test_declared_parameters_are_read_and_not_run(root, what):
    path = write_notebook(root / "notebooks/03_evil.ipynb", f'{NOTEBOOKS[what]}\nout = "{BY_HAND}03_evil"')
    assert "03_evil.ipynb" in refusal(lambda: read_notebook(path))
    assert not list(root.glob("**/ran"))


@hostile("a notebook that is a bomb of JSON, or none")
@pytest.mark.parametrize(
    "content", ["[" * 10**6, '{"cells": ' * 5000, '{"cells": 1}', '{"cells": [5]}', "9" * 10**6, "\0"]
)
def test_notebooks_that_are_none_are_refused(root, content):
    (root / "notebooks/01_split.ipynb").write_text(content)
    assert "01_split.ipynb" in refusal(lambda: make_study(root, {"01_split": {}}))


VALUES = [
    '"; import os; os.mkdir("ran") #', "'; import os; os.mkdir('ran') #", '"""\nimport os; os.mkdir("ran")\n"""',
    "\\", '\\"; import os; os.mkdir("ran") #', "\\\n", "\n!mkdir ran\n", "%%bash\nmkdir ran", "$(mkdir ran)",
    "`mkdir ran`", "{__import__('os').mkdir('ran')}", "{{7*7}}", "{% for i in range(10**9) %}", "%s%n",
    "<script>evil()</script>", "\u2028", "\\N{DIGIT ONE}", "\x7f\x1b]0;evil\x07", "\U0001f600", "None",
]  # fmt: skip
KEEP = "import json\nfrom pathlib import Path\n(Path(out) / 'kept.json').write_text(json.dumps([text, texts, table]))"


@hostile(
    "values that are code to Python, a shell, IPython, Jinja or a browser, also as names in tables",
    "texts, kept as they are",
)
def test_values_are_never_code(tmp_path):
    declared = f'text = ""\ntexts: list[str] = []\ntable: dict[str, str] = {{}}\nout = "{BY_HAND}01_keep"'
    write_notebook(tmp_path / "notebooks/01_keep.ipynb", declared, KEEP)
    text, table = "".join(VALUES), dict(zip(VALUES, VALUES, strict=True))
    values = {"text": text, "texts": VALUES, "table": table}
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump({"study": "tiny", "stages": {"01_keep": values}}, allow_unicode=True)
    )
    places = ["--outputs", tmp_path / "outputs", "--notebooks", tmp_path / "notebooks"]
    done = subprocess.run(
        [sys.executable, RUN_ALL, tmp_path / "tiny.yaml", *places], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "outputs/tiny/01_keep/kept.json").read_text()) == [text, VALUES, table]
    assert not list(tmp_path.glob("**/ran"))
    pages = [*tmp_path.glob("outputs/tiny/**/*.html")]
    assert len(pages) >= 2 and not any("<script>evil()" in page.read_text() for page in pages)


# Results


@hostile("a manifest that is a bomb of JSON, or whose files lead out", "counts as none: the node runs again")
@pytest.mark.parametrize(
    "content", ["[" * 10**6, '{"a":' * 10**5, "9" * 10**6, "{}", '{"outputs": {"../../../etc/passwd": 1}}']
)
def test_manifests_that_harm_count_as_none(tmp_path, content):
    (tmp_path / "manifest.json").write_text(content)
    assert read_manifest(tmp_path) == {}


@hostile("results of another study, to compare: endless cells, a million columns, no table")
@pytest.mark.parametrize("content", [
    "metric,value,unit\na," + "1" * 10**6 + ",x\n", "," * 10**6 + "\n", "\0" * 1000, "metric,value\n1,2\n", '"' * 10**6,
])  # fmt: skip
def test_tables_of_others_are_refused(root, content):
    go(root, {"01_split": {}})
    one = root / "outputs/tiny"
    (one / "results.csv").write_text(content)
    refusal(lambda: compare_studies(one, one))
