"""What the adaptive standard leaves: per photo and edit the worst case over attacks, by three rules of resubmission.

    mean      the share of draws of the purifier's noise in which the edit comes out disrupted
    any       whether it does so in one of them: the photo's owner needs luck once
    majority  whether it does so in more than half of them

That a defence falls is shown by an attack that works. That one holds is worth saying only if it passed the checks
against false security: else its number is undefined. Whether it falls or holds, claims/hardest.py says.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from antidisrupt_lib.metrics.distances import DISRUPTED
from antidisrupt_lib.metrics.results import mean_result, pick, plain_result, read_results

STAGE = "hardest"
RULES = {"mean": "share of draws", "any": "share of edits, in any draw", "majority": "share of edits, in most draws"}
NONE, NOISE, WORST = "none", "uniform_noise", "worst"
PHOTO = ["eps", "purifier", "person", "image_id", "answer"]
HALF = 0.5


def read_standards(folders: Sequence[Path | str]) -> tuple[pd.DataFrame, dict[str, list[str]], dict, list[dict]]:
    """What notebook 22 left in some folders: (table, failed checks of each purifier, axes, rows that are no shares).

    Of attacks without knowledge, which each purifier's table has, those of one are kept where they met the same.

    Raises:
        FileNotFoundError: a folder has none; the text names the notebook that makes it.
    """
    rows = read_results(Path(folder) / "results.csv" for folder in folders)
    tables = [pd.read_parquet(Path(folder) / "hardest.parquet") for folder in folders]
    table = pd.concat(tables, ignore_index=True).drop_duplicates(["eps", "known", "attack", "draw", *PHOTO[1:]])
    checks = pick(rows, metric="checks_failed")
    failed = {row.purifier: row.note.split(", ") if row.value else [] for row in checks.itertuples()}
    axes = rows[["stage", "faces", "forger"]].iloc[0].to_dict()
    kept = rows[rows["metric"].isin(["checks_failed", "forger_passes", "network_calls"])]
    return table[table["changes"]], failed, axes, kept.to_dict("records")


def broken_draws(table: pd.DataFrame, threshold: float = DISRUPTED) -> pd.DataFrame:
    """A row per attack, PHOTO and purifier that it `known`, with the RULES as columns.

    Args:
        table: a row per draw as well, with `value`, broken from `threshold` on.
    """
    broken = table["value"] >= threshold
    share = broken.groupby([table[name] for name in ("known", "attack", *PHOTO)], sort=False).mean()
    return pd.DataFrame({"mean": share, "any": share > 0, "majority": share > HALF}).reset_index()


def worst_case(broken: pd.DataFrame) -> pd.DataFrame:
    """A row per PHOTO: the RULES where they are worst, over all attacks and whatever they knew; noise is no attack."""
    attacks = broken[broken["attack"] != NOISE]
    return attacks.groupby(PHOTO, sort=False)[[*RULES]].max().astype(float).reset_index()


def hardest_results(table: pd.DataFrame, axes: dict, failed: Mapping[str, Sequence[str]]) -> list[dict]:
    """Results rows `share_disrupted_<rule>_at_<eps>` of each attack, and of the worst case over them.

    Args:
        table: as `broken_draws` takes it, of edits that count alone.
        axes: of all rows; `purifier` and `attack` ("pgd_knows_jpeg", or "worst") are added.
        failed: the failed checks of each purifier that was known; of others nothing but that they fall can be said.
    """
    broken, rows = broken_draws(table), []
    for (known, attack, purifier, eps), part in broken.groupby(["known", "attack", "purifier", "eps"], sort=False):
        here = axes | {"purifier": purifier, "attack": attack_name(attack, known)}
        rows += _rule_rows(part, here, eps)
    for (purifier, eps), part in worst_case(broken).groupby(["purifier", "eps"], sort=False):
        for row in _rule_rows(part, axes | {"purifier": purifier, "attack": WORST}, eps):
            rows.append(row if purifier == NONE else _proved(row, failed.get(purifier)))
    return rows


def attack_name(attack: str, known: str) -> str:
    """What the results call an attack that knew a purifier; one that knew none is called by its name."""
    return attack if known == NONE else f"{attack}_knows_{known}"


def smallest_eps_behind(worst: pd.DataFrame, rule: str = "majority") -> pd.DataFrame:
    """The smallest eps at which each edit is broken behind each purifier; infinite where none tried does it."""
    eps = worst["eps"].where(worst[rule] > HALF, np.inf)
    return eps.groupby([worst[name] for name in PHOTO[1:]], sort=False).min().reset_index()


def broken_up_to(smallest: pd.DataFrame, epsilons: Sequence[float]) -> pd.DataFrame:
    """The share of edits that some eps up to each breaks: a row per purifier, a column per eps."""
    by_purifier = smallest.groupby("purifier", sort=False)["eps"]
    return pd.DataFrame({eps: by_purifier.apply(lambda found, eps=eps: (found <= eps).mean()) for eps in epsilons})


def _rule_rows(part: pd.DataFrame, axes: dict, eps: float) -> list[dict]:
    people = part["person"].rename("people")
    names = {rule: f"share_disrupted_{rule}_at_{eps:g}" for rule in RULES}
    note = "held fixed: forger, purifier"
    return [mean_result(axes, names[rule], part[rule], people, unit, note) for rule, unit in RULES.items()]


def _proved(row: dict, failed: Sequence[str] | None) -> dict:
    """A worst case as it is, or as undefined where it shows no fall of a purifier that wasn't put to the test.

    Args:
        failed: the checks that it failed; None if nobody knew it.
    """
    if row["low"] > HALF or (failed is not None and not failed):
        return row
    axes = {name: row[name] for name in ("stage", "faces", "forger", "attack", "purifier")}
    lacking = f"checks failed: {', '.join(failed)}" if failed else "no attack knew it"
    why = f"{row['value']:.3g} was reached, but {lacking}"
    return plain_result(axes, row["metric"], np.nan, 0, row["unit"], why)
