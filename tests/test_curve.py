"""A detector that is scored on its way is trained as if nobody had looked, and its points are what fewer steps give."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_arms import scores

from antidisrupt_lib import training
from antidisrupt_lib.detection.curve import check_curve, clear_curve, score_on_the_way, with_curve
from antidisrupt_lib.detection.detectors import detect_with
from antidisrupt_lib.detection.train import DetectorConfig, PlainSet, score_table, train_detector
from antidisrupt_lib.metrics.arms import CURVE, detector_results, find_scores

CURVE_AT, STEPS = [1, 3, 4, 6], 6


def trained(faces, folder, steps=STEPS, curve=(), **options):
    """A detector with BatchNorm, at a constant learning rate, and its scores on the way and at the end."""
    folder.mkdir(exist_ok=True)
    half = faces.rows(np.arange(6)), faces.rows(np.arange(6, 12))
    half[1].table["source_id"] = half[0].table["image_id"]
    config = DetectorConfig("test_resnet", steps=steps, batch_size=4, lr=0.01, lr_end=0.01)
    look = score_on_the_way(folder, *half)
    detector, history = train_detector(
        PlainSet(*half), config, checkpoint=folder / "c", curve=curve, on_curve=look, **options
    )
    weights = {name: value.clone() for name, value in detector.state_dict().items()}
    return weights, history, with_curve(score_table(detect_with(detector), *half), folder, curve, steps)


@pytest.fixture(scope="module")
def whole(faces, tmp_path_factory):
    return trained(faces, tmp_path_factory.mktemp("whole"), curve=CURVE_AT)


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_looking_changes_neither_the_weights_nor_the_losses(whole, faces, tmp_path):
    weights, history, scored = trained(faces, tmp_path)
    assert same(weights, whole[0]) and history.equals(whole[1])
    assert scored.equals(whole[2][whole[2]["steps"] == STEPS].reset_index(drop=True))


@pytest.mark.parametrize("steps", CURVE_AT)
def test_at_a_constant_rate_a_point_is_what_a_training_of_so_many_steps_gives(steps, whole, faces, tmp_path):
    _, _, alone = trained(faces, tmp_path, steps)
    assert alone.equals(whole[2][whole[2]["steps"] == steps].reset_index(drop=True))
    assert whole[2].groupby("steps").size().to_dict() == dict.fromkeys(CURVE_AT, 12)


@pytest.mark.parametrize("stopped", range(STEPS))
def test_a_stopped_and_resumed_training_has_the_same_curve_and_weights(stopped, whole, faces, tmp_path, monkeypatch):
    def interrupted(items, *args, **kwargs):
        for item in items:
            if item == stopped:
                raise KeyboardInterrupt
            yield item

    monkeypatch.setitem(training.run_training.__kwdefaults__, "save_every", 3)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "progress", interrupted)
        trained(faces, tmp_path, curve=CURVE_AT)
    weights, _, scored = trained(faces, tmp_path, curve=CURVE_AT)
    assert same(weights, whole[0]) and scored.equals(whole[2])
    clear_curve(tmp_path, CURVE_AT)
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_a_checkpoint_of_another_curve_is_refused(faces, tmp_path):
    trained(faces, tmp_path, curve=[2, 6])
    with pytest.raises(ValueError, match="was made with other hyperparameters"):
        trained(faces, tmp_path, curve=[1, 2, 6])


@pytest.mark.kind("studies that can't run", "refused")
@pytest.mark.parametrize("curve", [[0, 5], [5, 5], [20, 10], [10, 101]])
def test_a_curve_that_no_training_passes_is_refused(curve):
    with pytest.raises(ValueError, match="curve must hold rising numbers of steps from 1 to steps = 100"):
        check_curve(curve, 100)


def test_every_number_of_steps_has_its_drop_and_recovery_and_the_last_one_is_the_result():
    gaps = {10: (0.28, 0.05, 0.15), 100: (0.29, 0.02, 0.2)}
    axes = [{"arm": "clean", "poison_ratio": 0.0}, {"arm": "poisoned", "attack": "pgd"},
            {"arm": "purified", "attack": "pgd", "purifier": "jpeg"}]  # fmt: skip
    parts = [scores(gap, steps=steps, seed=seed, **of) for steps, each in gaps.items()
             for gap, of in zip(each, axes, strict=True) for seed in (0, 1, 2)]  # fmt: skip
    rows = pd.DataFrame(detector_results(pd.concat(parts), draws=50))
    only = pd.DataFrame(detector_results(pd.concat([part for part in parts if (part["steps"] == 100).all()]), draws=50))
    final_rows = rows[rows["stage"] == "detect"].reset_index(drop=True)
    pd.testing.assert_frame_equal(final_rows.drop(columns="steps"), only.drop(columns="steps"))
    curve = rows[(rows["stage"] == CURVE) & rows["seed"].isna()].set_index(["steps", "arm", "metric"])["value"]
    for steps in gaps:
        clean, poisoned, purified = (curve[steps, of["arm"], "auc"] for of in axes)
        assert curve[steps, "poisoned", "drop_auc"] == pytest.approx(clean - poisoned)
        assert curve[steps, "purified", "recovery_auc"] == pytest.approx((purified - poisoned) / (clean - poisoned))
    final = only[only["seed"].isna()].set_index(["arm", "metric"])["value"]
    assert curve[100].to_dict() == final.loc[curve[100].index].to_dict()


def test_scores_of_several_numbers_of_steps_stay_apart_and_old_ones_have_none(tmp_path):
    for name, table in {"old": scores(0.2, arm="clean"), "new": scores(0.2, arm="poisoned", steps=7)}.items():
        (tmp_path / name).mkdir()
        more = table.assign(steps=9) if "steps" in table else table
        pd.concat([table, more]).drop_duplicates().to_parquet(tmp_path / name / "scores.parquet")
    found = find_scores([tmp_path])
    assert found.groupby(["arm", "steps"]).size().to_dict() == {
        ("clean", 0): 160,
        ("poisoned", 7): 160,
        ("poisoned", 9): 160,
    }
    rows = pd.DataFrame(detector_results(found, draws=20))
    assert set(rows.loc[rows["stage"] == CURVE, "arm"]) == {"poisoned"}
