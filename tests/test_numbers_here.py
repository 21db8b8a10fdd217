"""The numbers that are shipped come out on whatever machine runs these tests: CI's isn't the one that made them."""

from pathlib import Path

import pytest

import antidisrupt_lib as ad
from antidisrupt_lib.study.expected import compare_with_expected
from antidisrupt_lib.study.yaml_files import read_yaml

ROOT = Path(__file__).parents[1]
SPLIT = read_yaml(ROOT / "params" / "quick.yaml")["stages"]["01_split"]


@pytest.fixture(scope="module")
def part_c(tmp_path_factory) -> ad.faces.FaceSet:
    """Part C of quick, drawn anew."""
    folder, count = tmp_path_factory.mktemp("quick"), SPLIT["count"]
    ad.faces.write_drawn_celeba(folder, count, seed=0)
    listing = ad.faces.open_faces(folder, count=count, attributes=ad.ATTRIBUTES)
    rows = ad.faces.split_faces(listing.table, "by_identity", 0)["C"][: SPLIT["keep"]["C"]]
    return ad.faces.write_faces(folder / "C", listing, rows, name="drawn", size=SPLIT["size"])


@pytest.mark.parametrize("forger", ["stargan", "attention"])
def test_the_zoos_edits_take_as_often_as_quicks_expected_numbers_say(part_c, forger, tmp_path):
    judge = ad.deepfakes.load_classifier("zoo/judge.safetensors", part_c.size)
    took = ad.deepfakes.edits_that_took(ad.forger(forger), judge, part_c)
    axes = {"stage": "forge", "faces": "drawn", "forger": forger}
    rows = ad.metrics.took_results(took, axes, part_c.people, ad.ATTRIBUTES)
    found = ad.metrics.write_results(tmp_path / "results.csv", rows)
    compared = compare_with_expected(tmp_path / "results.csv", ROOT / "params" / "expected" / "quick.csv")
    assert [said for _, said in compared if not said.endswith("and not there")] == []
    assert set(found["metric"]) == {"edit_accuracy", *(f"edit_accuracy_{name}" for name in ad.ATTRIBUTES)}
