"""One tidy table of numbers, with known axes and nothing else."""

import pandas as pd
import pytest

from antidisrupt_lib.metrics.results import (
    AXES,
    COLUMNS,
    pick,
    plain_result,
    read_results,
    result,
    write_results,
)


def test_a_row_has_every_column_and_an_unknown_axis_is_refused():
    row = result({"stage": "purify", "attack": "pgd"}, "l2", 1, 0, 2, n=5, unit="-")
    assert list(row) == list(COLUMNS) and row["attack"] == "pgd" and row["arm"] is None
    with pytest.raises(ValueError, match=r"\['epsilon'\] are no axes of the results. They are: stage, faces"):
        result({"epsilon": 0.1}, "l2", 1, 0, 2, n=5, unit="-")


def test_results_survive_the_disk_and_join(tmp_path):
    rows = [
        plain_result({"stage": "disrupt", "attack": name, "seed": 0}, "l2", i, 1, "-") for i, name in enumerate("ab")
    ]
    written = [write_results(tmp_path / f"{i}.csv", [row]) for i, row in enumerate(rows)]
    found = read_results([tmp_path / "0.csv", tmp_path / "1.csv"])
    assert found.columns.tolist() == list(COLUMNS) == written[0].columns.tolist()
    assert found["value"].tolist() == [0, 1] and found["attack"].tolist() == ["a", "b"] and found["arm"].isna().all()


def test_of_two_rows_that_tell_of_the_same_the_one_of_more_images_stands(tmp_path):
    counts = {"first": 12, "second": 24, "third": 24}
    for name, n in counts.items():
        axes = {"stage": "robust", "attack": "pgd_2_255"}
        write_results(tmp_path / f"{name}.csv", [plain_result(axes, metric, n, n, "-") for metric in ("l2", name)])
    found = read_results(tmp_path / f"{name}.csv" for name in counts)
    assert found["metric"].tolist() == ["first", "l2", "second", "third"] and found["value"].tolist() == [
        12,
        24,
        24,
        24,
    ]


def test_pick_takes_values_lists_and_emptiness():
    table = pd.DataFrame({axis: [None] * 3 for axis in AXES} | {"attack": ["pgd", "bim", None], "value": [1, 2, 3]})
    assert pick(table, attack="pgd")["value"].tolist() == [1]
    assert pick(table, attack=["pgd", "bim"])["value"].tolist() == [1, 2]
    assert pick(table, attack=None)["value"].tolist() == [3]
    assert pick(table, attack="pgd", seed=1).empty
