"""Study files, declared parameters, and the graph that they make."""

import json
from pathlib import Path

import pytest
import yaml

from antidisrupt_lib.study.graph import Study, load_study
from antidisrupt_lib.study.params import BY_HAND, read_notebook

SPLIT = f'count: int = 3\nseed = 0\nout = "{BY_HAND}01_split"'
DISRUPT = f'photos = "{BY_HAND}01_split/B"\nattack = "pgd"\neps: float = 0.025\nseed = 0\nout = "{BY_HAND}04_disrupt"'
PURIFY = f'photos = "{BY_HAND}04_disrupt"\npurifier = "jpeg"\nout = "{BY_HAND}05_purify"'
FAKES = f'photos: dict[str, str] = {{"clean": "{BY_HAND}01_split/B"}}\nout = "{BY_HAND}06_fakes"'
EVALUATE = f'tables = ["{BY_HAND}04_disrupt"]\nlevels = [0.9]\nnote: str | None = None\nout = "{BY_HAND}08_evaluate"'


def write_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook of these code cells, the first tagged `parameters`."""
    book = [{"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None, "source": c} for c in cells]
    book[0]["metadata"] = {"tags": ["parameters"]}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"cells": book, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}))
    return path


def make_study(root: Path, stages: dict, assignments: tuple = (), **top: object) -> Study:
    """Load a study of these stages from root/study.yaml, with root/notebooks and root/outputs."""
    file = root / "study.yaml"
    file.write_text(yaml.safe_dump({"study": "tiny", "stages": stages} | top))
    return load_study(file, outputs=root / "outputs", notebooks=root / "notebooks", assignments=assignments)


@pytest.fixture
def root(tmp_path):
    sources = {
        "01_split": SPLIT,
        "04_disrupt": DISRUPT,
        "05_purify": PURIFY,
        "06_fakes": FAKES,
        "08_evaluate": EVALUATE,
    }
    for name, parameters in sources.items():
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", parameters)
    return tmp_path


GRIDS = {
    "01_split": {},
    "04_disrupt": {"grid": {"attack": ["fgsm", "pgd"]}},
    "05_purify": {"grid": {"purifier": ["jpeg", "blur"]}},
}


def test_a_stage_inherits_the_axes_of_its_inputs_and_multiplies_them_by_its_own(root):
    study = make_study(root, GRIDS)
    assert [node for node in study.nodes if node.startswith("05")] == [
        f"05_purify[attack={attack},purifier={purifier}]" for attack in ("fgsm", "pgd") for purifier in ("jpeg", "blur")
    ]
    node = study.nodes["05_purify[attack=fgsm,purifier=blur]"]
    assert node.parameters == {"purifier": "blur"}  # an inherited axis is a label, no parameter
    assert study.paths(node) == {"photos": str(root / "outputs/tiny/04_disrupt[attack=fgsm]")}
    assert node.folder == Path("05_purify[attack=fgsm,purifier=blur]")


def test_inputs_join_on_the_axes_in_common(root):
    fakes = {"photos": {"disrupted": "04_disrupt", "purified": "05_purify/B", "clean": "01_split"}}
    study = make_study(root, GRIDS | {"06_fakes": fakes})
    assert len([node for node in study.nodes if node.startswith("06")]) == 4
    reads = study.nodes["06_fakes[attack=pgd,purifier=jpeg]"].reads
    assert {label: (read.node, read.path) for label, read in reads.items()} == {
        "photos.disrupted": ("04_disrupt[attack=pgd]", ""),
        "photos.purified": ("05_purify[attack=pgd,purifier=jpeg]", "B"),
        "photos.clean": ("01_split", ""),
    }


def test_a_list_input_collects_all_variants_and_inherits_no_axis(root):
    study = make_study(root, GRIDS | {"08_evaluate": {"tables": ["04_disrupt", "05_purify/scores"]}})
    paths = study.paths(study.nodes["08_evaluate"])["tables"]
    assert len(paths) == 6 and paths[0].endswith("04_disrupt[attack=fgsm]") and paths[-1].endswith("blur]/scores")


def test_skip_leaves_out_variants_and_all_that_would_need_them(root):
    disrupt = GRIDS["04_disrupt"] | {"skip": [{"attack": "fgsm"}]}
    assert len(make_study(root, GRIDS | {"04_disrupt": disrupt}).nodes) == 1 + 1 + 2
    purify = GRIDS["05_purify"] | {"only": [{"attack": "pgd", "purifier": "blur"}]}
    assert "05_purify[attack=pgd,purifier=blur]" in (nodes := make_study(root, GRIDS | {"05_purify": purify}).nodes)
    assert len(nodes) == 1 + 2 + 1


def test_one_notebook_can_be_several_stages(root):
    stages = {
        "01_split": {},
        "first": {"notebook": "04_disrupt"},
        "second": {"notebook": "04_disrupt", "photos": "first"},
    }
    assert list(make_study(root, stages).nodes) == ["01_split", "first", "second"]


def test_values_come_from_the_notebook_then_common_then_the_stage_then_its_grid(root):
    disrupt = {"04_disrupt": {"eps": 1, "grid": {"seed": [7, 8]}}}
    study = make_study(
        root, {"01_split": {}} | disrupt, common={"seed": 5, "eps": 0.5}, assignments=["01_split.count=9"]
    )
    assert study.nodes["01_split"].parameters == {"count": 9, "seed": 5}
    assert study.nodes["04_disrupt[seed=8]"].parameters == {"attack": "pgd", "eps": 1.0, "seed": 8}


def test_a_study_can_build_on_another_file(root):
    make_study(root, GRIDS, common={"seed": 5})
    (root / "study.yaml").rename(root / "base.yaml")
    study = make_study(root, {"01_split": {"count": 9}}, study="other", base="base.yaml")
    assert study.name == "other" and study.nodes["01_split"].parameters == {"count": 9, "seed": 5}
    assert "04_disrupt[attack=pgd]" in study.nodes
    with pytest.raises(ValueError, match="builds on itself"):
        make_study(root, {"01_split": {}}, base="study.yaml")


@pytest.mark.parametrize(
    "stages, message",
    [
        ({"04_disrupt": {}}, r"04_disrupt: .*input `photos` reads stage 01_split.*Add `01_split: {}`"),
        ({"01_split": {"cuont": 3}}, r"01_split: there is no parameter `cuont`. Did you mean `count`\?"),
        ({"01_split": {"gird": {}}}, r"no parameter `gird`. Did you mean `grid`"),
        ({"01_splitt": {}}, r"no notebook .*01_splitt.ipynb. Did you mean `01_split`"),
        ({"01_split": {"count": "3"}}, r"`count` must be int, and '3' is not"),
        ({"01_split": {"count": True}}, r"`count` must be int, and True is not"),
        ({"01_split": {"out": "x"}}, r"`out` is the runner's to give"),
        ({"01_split": {"threads": 0}}, r"`threads` must be"),
        ({"01_split": {}, "04_disrupt": {"eps": "1_0"}}, r"`eps` must be float.*without quotes and underscores"),
        ({"01_split": {}, "04_disrupt": {"eps": float("inf")}}, r"`eps` is inf, which JSON can't hold"),
        ({"01_split": {}, "04_disrupt": {"photos": "01_spilt"}}, r"no stage `01_spilt`. Did you mean `01_split`"),
        ({"01_split": {}, "04_disrupt": {"photos": "01_split/../.."}}, r"must stay inside its stage"),
        ({"01_split": {"grid": {"count": [1, "a/b"]}}}, r"grid axis `count` name folders"),
        ({"01_split": {"grid": {"count": [1, 1]}}}, r"Use distinct numbers"),
        ({"01_split": {"grid": {"count": 1}}}, r"`grid` must list the values"),
        ({"01_split": {"grid": {"count": [1]}, "count": 2}}, r"`count` is given twice"),
        ({"01_split": {"grid": {"count": [1]}, "skip": [{"count": 2}]}}, r"no variant has count=2. There are: count=1"),
        ({"01_split": {"grid": {"count": [1]}, "skip": [{"count": 1}]}}, r"no variant is left"),
        ({"04_disrupt": {"photos": "05_purify"}, "05_purify": {}}, r"in a circle: .*04_disrupt"),
    ],
)
def test_a_wrong_study_is_refused_in_words(root, stages, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        make_study(root, stages)
    assert not (root / "outputs").exists()


def test_unknown_top_level_and_common_names_are_refused(root):
    with pytest.raises(ValueError, match="no name `comon`. Did you mean `common`"):
        make_study(root, {"01_split": {}}, comon={})
    with pytest.raises(ValueError, match="common: there is no parameter `sed`. Did you mean `seed`"):
        make_study(root, {"01_split": {}}, common={"sed": 1})
    with pytest.raises(ValueError, match="--set 01_spli.count=1: there is no stage"):
        make_study(root, {"01_split": {}}, assignments=["01_spli.count=1"])


@pytest.mark.parametrize(
    "cell, message",
    [
        ("count = 3", "declares no `out`"),
        ('count = int("3")\nout = "x"', "malformed node"),
        ('import os\nout = "x"', "line 1, `import os`, declares no parameter"),
        ('count: int = "three"\nout = "x"', "`count` must be int"),
        ('count: Path = 1\nout = "x"', "annotation `Path` is not made of"),
    ],
)
def test_a_parameters_cell_holds_literals_only(tmp_path, cell, message):
    with pytest.raises(ValueError, match=message):
        read_notebook(write_notebook(tmp_path / "a.ipynb", cell))


def test_types_come_from_the_annotation_else_from_the_default(root):
    stages = {"01_split": {}, "04_disrupt": {}, "08_evaluate": {"levels": [0.5, 1.0], "note": "text"}}
    assert make_study(root, stages).nodes["08_evaluate"].parameters == {"levels": [0.5, 1.0], "note": "text"}
    with pytest.raises(ValueError, match="`levels` must be"):
        make_study(root, stages | {"08_evaluate": {"levels": ["high"]}})
