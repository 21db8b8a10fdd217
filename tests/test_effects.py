"""Disruptors compared: shares, paired differences, DADFI's distances and their claims, from tables made by hand."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.linalg import sqrtm

from antidisrupt_lib.claims.table import claims_table
from antidisrupt_lib.metrics.effects import (
    PAPER,
    beyond,
    effect_results,
    frechet_rows,
    photo_results,
    survival_results,
    that_count,
)
from antidisrupt_lib.metrics.results import mean_result, plain_result
from antidisrupt_lib.plots.disruptors import broken_map, broken_shares, share_curves, survival_map

AXES = {"stage": "compare", "faces": "drawn"}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Two disruptors and noise, two ways, two forgers, 20 people with one edit each; the l2 are known."""
    rng, rows = np.random.default_rng(0), []
    for disruptor, scale in (("uniform_noise", 0.02), ("dadfi", 0.12), ("pgd_for_all", 0.15)):
        for way, left in (("", 1.0), ("jpeg_75", 0.5)):
            for forger, weak in (("easy", 1.0), ("hard", 0.3)):
                for person, size in enumerate(rng.uniform(0.2, 1, 20)):
                    known = {"disruptor": disruptor, "way": way, "forger": forger, "person": str(person)}
                    known |= {"edit": "Male", "image_id": f"{person}.jpg", "changes": person != 3}
                    rows.append(
                        known | {"l2": scale * left * weak * size, "l2_masked": np.nan if person == 5 else size}
                    )
    return pd.DataFrame(rows)


def row(rows: list[dict], **where: object) -> dict:
    (found,) = [one for one in rows if all(one[key] == value for key, value in where.items())]
    return found


def test_shares_are_of_the_edits_of_each_disruptor_way_and_forger(table):
    rows = effect_results(table, AXES)
    assert len(rows) == 3 * 2 * 2 * 2
    part = table.query("disruptor == 'dadfi' and way == 'jpeg_75' and forger == 'easy'")
    found = row(rows, attack="dadfi", purifier="jpeg_75", forger="easy", metric="share_disrupted")
    assert found["value"] == pytest.approx((part["l2"] >= 0.05).mean()) and found["over"] == "20 people"
    assert row(rows, attack="dadfi", purifier=None, forger="hard", metric="share_disrupted_masked")["n"] == 19


def test_survival_is_the_mean_over_the_ways_of_what_is_broken_after_each(table):
    shares = [row(effect_results(table, AXES), attack="dadfi", purifier=way, forger="easy", metric="share_disrupted")
              for way in (None, "jpeg_75")]  # fmt: skip
    found = row(survival_results(table, AXES), attack="dadfi", forger="easy")
    assert found["value"] == pytest.approx(np.mean([one["value"] for one in shares])) and found["n"] == 40
    assert found["over"] == "20 people" and found["unit"].endswith("mean over 2 ways")


@pytest.mark.parametrize("of", [1.0, 0.8])
def test_what_one_breaks_beyond_another_is_paired(table, of):
    rows = beyond(table, AXES, "pgd_for_all", of)
    name = f"share_disrupted_minus_{'' if of == 1 else '0.8_'}pgd_for_all"
    here = table.query("way == '' and forger == 'easy'").set_index("disruptor")
    ours, theirs = ((here.loc[one, "l2"] >= 0.05).to_numpy() for one in ("dadfi", "pgd_for_all"))
    found = row(rows, attack="dadfi", purifier=None, forger="easy", metric=name)
    assert found["value"] == pytest.approx((ours - of * theirs).mean())
    assert not any(one["attack"] == "pgd_for_all" for one in rows)
    ours, theirs = (here.loc[one, "l2"].mean() for one in ("dadfi", "pgd_for_all"))
    moved = row(rows, attack="dadfi", purifier=None, forger="easy", metric=name.replace("share_disrupted", "l2"))
    assert moved["value"] == pytest.approx(ours - of * theirs)


def test_only_edits_that_take_and_change_something_count(table):
    took = {forger: {("Male", f"{person}.jpg"): person != 7 for person in range(20)} for forger in ("easy", "hard")}
    assert set(that_count(table, took)["person"]) == {str(person) for person in range(20)} - {"3", "7"}


def test_the_papers_distances_see_a_clean_edit_as_well():
    x, y0, y = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    y0[..., :2, :] = 0.4
    found = {name: measure(y, y0, x).item() for name, measure in PAPER.items()}
    assert found["d_pix"] == pytest.approx(np.sqrt(48 * 0.25)) and found["d_pix_normalised"] == pytest.approx(0.5)
    assert found["d_mask"] == pytest.approx(np.sqrt(24 * 0.25)) and found["d_mask_normalised"] == pytest.approx(0.5)
    assert found["d_pix_undisrupted"] == pytest.approx(np.sqrt(0.08)) and found["d_mask_undisrupted"] == pytest.approx(
        0.4
    )
    assert found["d_pix_added"] == pytest.approx(0.5 - np.sqrt(0.08))


def test_the_frechet_distance_is_taken_to_photos_and_to_clean_edits():
    photos, clean, broken = (np.random.default_rng(i).normal(i, 1 + i, (60, 4)) for i in range(3))
    rows = frechet_rows(photos, {"a": clean}, {("dadfi", "a"): broken}, AXES, "test")

    def distance(a, b):
        covariances = np.cov(a.T), np.cov(b.T)
        return np.square(a.mean(0) - b.mean(0)).sum() + np.trace(
            sum(covariances) - 2 * sqrtm(np.dot(*covariances)).real
        )

    pairs = {"d_frechet_test": (photos, broken), "d_frechet_to_clean_test": (clean, broken)}
    pairs["d_frechet_undisrupted_test"] = photos, clean
    assert {one["metric"]: one["value"] for one in rows} == pytest.approx({k: distance(*v) for k, v in pairs.items()})


def test_what_the_eye_meets_is_measured_beside_the_original():
    x = torch.full((2, 3, 16, 16), 0.5)
    rows = photo_results(x, {"dadfi": x + 0.1}, pd.Series(["a", "b"], name="people"), AXES)
    found = {one["metric"]: one["value"] for one in rows}
    assert found["photo_psnr"] == pytest.approx(20, abs=1e-3) and found["photo_largest_change"] == pytest.approx(0.1)


def test_claims_about_disruptors_rest_on_these_rows(table):
    rows = effect_results(table, AXES) + beyond(table, AXES, "uniform_noise") + beyond(table, AXES, "pgd_for_all", 0.8)
    far = np.linspace(0.2, 0.3, 20)
    rows.append(mean_result(AXES | {"attack": "dadfi", "forger": "easy"}, "d_pix_normalised", far, map(str, far), "-"))
    for attack, seconds in (("dadfi", 0.01), ("pgd_for_all", 1.0)):
        rows.append(plain_result(AXES | {"attack": attack}, "seconds_per_image_batch_1", seconds, 1, "s"))
    verdicts = claims_table(pd.DataFrame(rows), "dadfi", "disruptors").set_index("id")["verdict"]
    assert verdicts["faster_disruption"] == verdicts["d_pix"] == verdicts["moves_all"] == "holds"
    assert verdicts["breaks_all"].startswith(("undecided", "does not hold"))  # nothing breaks of "hard"
    assert verdicts["fine_tuning"].startswith("not measured") and verdicts["d_pix_added"].startswith("not measured")


def test_figures_show_a_row_per_disruptor(table):
    shares = broken_shares(table.query("way == ''"), "l2")
    assert list(shares.index) == ["uniform_noise", "dadfi", "pgd_for_all"] and list(shares.columns) == ["easy", "hard"]
    assert broken_map(table).axes[0].get_yticklabels()[1].get_text() == "DADFI"
    ways = survival_map(table, "easy").axes[0].get_xticklabels()
    assert [label.get_text() for label in ways] == ["as it is", "JPEG at 75"]
    curves = share_curves(table.assign(eps=table["way"].map({"": 12.75, "jpeg_75": 6.375})), "eps", "eps")
    assert [len(ax.lines) for ax in curves.axes] == [3, 3]
