"""The study's tables in the papers' style, and its headline: text made from the results table."""

import numpy as np
import pandas as pd

from antidisrupt_lib.claims import gandhi_jain, jung
from antidisrupt_lib.labels import attack_label, defence_label, forger_label, metric_label, purifier_label
from antidisrupt_lib.metrics.results import pick
from antidisrupt_lib.metrics.robustness import DEFENCES, MIXED, STAGE, is_white_box

OF_PHOTOS = (
    r"l1|l2|share_disrupted|psnr|ssim|attributes_kept|frechet_((?!_minus_|_as_published).)+"
    "|seconds_per_image|network_calls"
)
OF_DETECTORS = "(accuracy|recall_real|recall_fake|drop|recovery)(_at_fpr_5)?|auc|(drop|recovery)_auc"
OF_ATTACKS = "accuracy|recall_real|recall_fake|attack_success|attack_success_first_fake|l2_norm"
UNKNOWN = "–"
PUBLISHED = ", published"
AXES_IN_WORDS = {
    "forger": forger_label, "attack": attack_label, "disruptor": attack_label, "purifier": purifier_label,
    "input defence": purifier_label, "arm": defence_label, "metric": metric_label,
}  # fmt: skip
PRIOR_AS_PUBLISHED, PRIOR_ITERATIONS = "deep_image_prior_as_published", 6000


def in_words(table: pd.DataFrame) -> pd.DataFrame:
    """A table as readers see it: its columns and what stands on its axes in words, a dash where nothing is known."""
    said = {
        axis: table[axis].map(lambda name, label=label: label("" if pd.isna(name) else str(name)))
        for axis, label in AXES_IN_WORDS.items()
        if axis in table
    }
    shown = table.assign(**said).astype(object)
    return shown.where(shown.notna(), UNKNOWN).rename(columns=lambda name: metric_label(str(name)))


def forgers_of(results: pd.DataFrame) -> list[str]:
    """The forgers that a study disrupts, in the order of its results."""
    return [*pick(results, stage="disrupt")["forger"].dropna().unique()]


def arm_labels(rows: pd.DataFrame) -> list[str]:
    """What to call the arms of some rows: "clean", "poisoned by PGD", "PGD, purified by ...", and the controls."""
    return [_arm_label(row.arm, row.attack, row.purifier) for row in rows.fillna("").itertuples()]


def _arm_label(arm: str, attack: str, purifier: str) -> str:
    match arm:
        case "clean":
            return "clean"
        case "poisoned":
            return f"poisoned by {attack_label(attack)}"
        case "purified":
            disrupted = attack_label(attack) if attack else "never disrupted"
            return f"{disrupted}, purified by {purifier_label(purifier)}"
    return f"{attack_label(attack)}, {arm.replace('_', ' ')}"


def fully_treated(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of clean arms, and of the others those with the largest share of treated photos."""
    return rows[(rows["arm"] == "clean") | (rows["poison_ratio"] == rows["poison_ratio"].max())]


def purifiers_alone(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows whose forger wasn't trained adversarially, which stands on the axis of the purifiers too."""
    return rows[~rows["purifier"].str.startswith("adversarial")]


def purifier_table(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Paper-style table of the purifiers against one attack, a row for each and forger, no purifier first."""
    rows = pick(results, stage=["disrupt", "purify"], attack=attack)
    return _paper_table(rows.assign(purifier=rows["purifier"].fillna("none")), ["forger", "purifier"], OF_PHOTOS)


def attack_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the disruptions, a row for each and forger."""
    return _paper_table(pick(results, stage="disrupt"), ["forger", "attack"], OF_PHOTOS)


def arm_table(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of the detectors, a row per forger, detector and arm, means over seeds."""
    rows = pick(results, stage="detect", seed=None)
    return _paper_table(rows, ["forger", "detector", "arm", "attack", "purifier", "poison_ratio"], OF_DETECTORS)


def leaderboard(results: pd.DataFrame) -> pd.DataFrame:
    """Every forger x disruptor x purifier x detector that was measured, with 95 % intervals: what stays broken of the
    edits, how near the photos stay, and what the detectors reach that were trained on such photos and fakes.
    """
    axes = ["forger", "attack", "purifier"]
    photos = pick(results, stage=["disrupt", "purify"], metric=["share_disrupted", "psnr"])
    detectors = pick(results, stage="detect", seed=None, metric=["accuracy", "recovery"])
    detectors = fully_treated(pick(detectors, arm=["clean", "poisoned", "purified"]))
    wide = [_beside_axes(rows, keys) for rows, keys in ((photos, axes), (detectors, [*axes, "detector"]))]
    table = wide[0].merge(wide[1], on=axes, how="outer", sort=False)
    columns = ["share_disrupted", "psnr", "detector", "accuracy", "recovery"]
    table = table.reindex(columns=[*axes, *columns]).fillna(dict.fromkeys(columns, UNKNOWN))
    return table.rename(columns={"attack": "disruptor"})


def _beside_axes(rows: pd.DataFrame, axes: list[str]) -> pd.DataFrame:
    """The metrics of some rows beside each other, a row per value of the axes; shares in percent."""
    texts = [told(row, "{:.1f}" if row.metric == "psnr" else "{:.1%}") for row in rows.itertuples()]
    rows = rows.assign(text=texts, **{axis: rows[axis].fillna("") for axis in axes})
    return rows.pivot_table(
        index=axes, columns="metric", values="text", aggfunc="first", sort=False
    ).reset_index().rename_axis(columns=None)  # fmt: skip


def attack_summary(results: pd.DataFrame) -> pd.DataFrame:
    """Paper-style table of attacked detectors, a row per detector, defence, attack and input defence."""
    rows = pick(results, stage=STAGE, seed=None).dropna(subset="detector")
    rows = rows.fillna({"purifier": "none"})
    return _paper_table(rows, ["detector", "arm", "attack", "purifier"], OF_ATTACKS)


def _paper_table(rows: pd.DataFrame, index: list[str], metrics: str) -> pd.DataFrame:
    rows = rows[rows["metric"].str.fullmatch(metrics)]
    rows = rows.assign(
        text=[told(row, "{:.3g}") for row in rows.itertuples()], **{axis: rows[axis].fillna("") for axis in index}
    )
    table = rows.pivot_table(index=index, columns="metric", values="text", aggfunc="first", sort=False)
    return table.fillna("").reset_index().rename_axis(columns=None)


def told(row: tuple, number: str) -> str:
    """A results row's value and interval, each in the format `number`; a dash and the reason, if it is not defined."""
    if np.isnan(row.value):
        return f"{UNKNOWN} ({row.note})"
    value, low, high = (number.format(each) for each in (row.value, row.low, row.high))
    return value if np.isnan(row.low) else f"{value} [{low}, {high}]"


def headline(results: pd.DataFrame, attack: str) -> str:
    """Three lines of Markdown for each forger, each with its number first: what an attack breaks of its edits, what is
    left of that behind the best purifier (adversarially trained forgers are none), and what the first detector reaches
    on clean photos, poisoned by the attack, and purified by the first purifier.
    """
    return "\n".join(_headline(name, pick(results, forger=name), attack) for name in forgers_of(results))


def _headline(forger: str, results: pd.DataFrame, attack: str) -> str:
    edits = pick(results, stage="forge", metric="edit_accuracy", purifier=None)
    rows = pick(results, metric="share_disrupted", attack=attack)
    left = purifiers_alone(pick(rows, stage="purify")).sort_values("value")
    least, most = (purifier_label(left["purifier"].iloc[at]) for at in (0, -1))
    worst = f"; after the worst, {most}, {_value(left[-1:])}" if least != most else ""
    arms = _first_arms(results, attack)
    said = [f"{label} {_value(arms[i : i + 1])}" for i, label in enumerate(arm_labels(arms))]
    reached = " → ".join(f"{value:.0%}" for value in arms["value"].dropna())
    of = forger_label(forger)
    of = of[0].upper() + of[1:]
    return (
        f"**{_value(pick(rows, stage='disrupt', purifier=None))}** {of}: share of the edits that "
        f"{attack_label(attack)} breaks. (They take in {_value(edits)} of all cases.)\n"
        f"**{_value(left[:1])}** {of}: share still broken after the best purifier, {least}{worst}.\n"
        f"**{reached or UNKNOWN}** {of}: accuracy of {arms['detector'].iloc[0]}, {'; '.join(said)}.\n"
    )


def _first_arms(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """Accuracy of the first detector: clean, poisoned by the attack, and purified of it by the first purifier."""
    arms = fully_treated(pick(results, stage="detect", metric="accuracy", seed=None))
    arms = pick(arms, detector=arms["detector"].iloc[0])
    treated = [pick(arms, arm=arm, attack=attack)[:1] for arm in ("poisoned", "purified")]
    return pd.concat([pick(arms, arm="clean"), *treated])


def _value(rows: pd.DataFrame) -> str:
    return told(next(rows.itertuples()), "{:.1%}")


# Attacked and defended detectors as two publications show them: percent, their numbers beside ours


def published_tables(results: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, str]]:
    """The tables of Gandhi & Jain 2020 and of the Korean repository, by name: (table, caption)."""
    theirs = "Percent, with 95 % intervals; published: Gandhi & Jain 2020, on their images. Dashes: not known."
    korean = theirs.replace("Gandhi & Jain 2020, on their images", "JungYuna9515 2022, Celeb-DF, split by crop")
    return {
        "gandhi_jain_clean": (clean_table(results), f"Undefended detectors on untouched images. {theirs}"),
        "gandhi_jain_attacks": (attacked_table(results), f"Recall of perturbed fakes, no defence. {theirs}"),
        "gandhi_jain_lipschitz": (
            regularisation_table(results),
            "Recall of fakes without Lipschitz regularisation, and its mean and maximum over the strengths (the best "
            f"is chosen on the very images it is measured on, so it flatters). {theirs}",
        ),
        "gandhi_jain_input_defences": (
            input_defence_table(results),
            "Input defences, fake from P(fake) >= 0.25 (for their undefended one not stated). Their accuracy is "
            f"over 90 fakes and 10 reals; in ours the classes weigh equally. {theirs}",
        ),
        "korean_defences": (defence_table(results), f"Defences: attack success is the share called real. {korean}"),
    }


def clean_table(results: pd.DataFrame) -> pd.DataFrame:
    """Gandhi & Jain's detectors on untouched images, a row per detector without a defence."""
    rows = pick(_with_published(results, gandhi_jain.PUBLISHED), arm="none", attack="", purifier="")
    return _beside(rows, ["detector"], ["accuracy", "auc", "recall_fake", "recall_real"])


def attacked_table(results: pd.DataFrame) -> pd.DataFrame:
    """Gandhi & Jain's attacks: the share of perturbed fakes still called fake, a row per attack and detector."""
    rows = pick(_with_published(results, gandhi_jain.PUBLISHED), arm="none", purifier="")
    return _beside(_without_mixed(rows), ["attack", "detector"], ["recall_fake"])


def regularisation_table(results: pd.DataFrame) -> pd.DataFrame:
    """Gandhi & Jain's Lipschitz regularisation: recall of fakes without it, its mean and maximum over strengths.

    Ours are the arms `lipschitz` and `lipschitz_<strength>`; only detectors that have one get rows.
    """
    kinds = {"none": "none", "lipschitz_average": "average", "lipschitz_best": "best"}
    rows = _without_mixed(pick(_with_published(results, gandhi_jain.PUBLISHED), metric="recall_fake", purifier=""))
    rows = rows[rows["detector"].isin(rows.loc[rows["arm"].str.startswith("lipschitz"), "detector"])]
    strengths = rows[rows["arm"].str.fullmatch(r"lipschitz(_[\d.]+)?")].groupby(["attack", "detector"], sort=False)
    over = strengths["value"].agg(
        lipschitz_average=lambda values: values.mean(skipna=False),
        lipschitz_best=lambda values: values.max(skipna=False),
    )
    over = over.reset_index().melt(["attack", "detector"], var_name="arm").assign(of="")
    over["text"] = [UNKNOWN if np.isnan(value) else f"{100 * value:.1f}" for value in over["value"]]
    rows = pd.concat([pick(rows, arm=[*kinds]), over])
    return _beside(rows.assign(metric=rows["arm"].map(kinds)), ["attack", "detector"], [*kinds.values()])


def input_defence_table(results: pd.DataFrame) -> pd.DataFrame:
    """Gandhi & Jain's Deep Image Prior and our purifiers before an undefended detector, at their threshold.

    Precision is left out: it hangs on how many fakes there are.
    """
    rows = pick(_with_published(results, gandhi_jain.PUBLISHED), arm="none")
    met = rows.loc[rows["purifier"] != "", ["attack", "detector"]].drop_duplicates()
    rows = rows.merge(met, on=["attack", "detector"]).replace({"purifier": {"": "none"}})
    columns = ["accuracy_at_0.25", "auc", "recall_fake_at_0.25", "recall_real_at_0.25", "seconds_per_image"]
    return _beside(rows, ["attack", "detector", "purifier"], columns)


def input_defence_times(results: pd.DataFrame, attack: str) -> pd.DataFrame:
    """What input defences cost per image and bring back, beside Deep Image Prior's published schedule.

    A prior as published that ran for fewer than its 6,000 iterations is extrapolated by their number. What it recalls
    is left out then: an unfinished picture tells nothing of the finished one.
    """
    table = pick(results, stage=STAGE, metric=["seconds_per_image", "network_calls"], detector=None)
    table = table.pivot_table(index="purifier", columns="metric", values="value", sort=False)
    published = table.index.str.startswith(PRIOR_AS_PUBLISHED)
    whole = table["seconds_per_image"] * np.where(published, PRIOR_ITERATIONS / table["network_calls"], 1)
    rows = pick(results, stage=STAGE, metric="recall_fake_at_0.25", seed=None, arm="none", attack=attack)
    recalls = {row.purifier: _percent(row) for row in rows.dropna(subset="purifier").itertuples()}
    unfinished = published & (table["network_calls"] < PRIOR_ITERATIONS)
    shown = pd.DataFrame({
        "input defence": table.index, "network calls": table["network_calls"].astype(int),
        "seconds per image": table["seconds_per_image"].map("{:.3g}".format),
        "seconds, whole schedule": whole.map("{:.3g}".format),
        "times faster than published": (whole[published].min() / whole).map("{:.3g}".format),
        f"recall of fakes at 0.25, {attack_label(attack)}": [
            UNKNOWN if cut_short else recalls.get(name, UNKNOWN)
            for name, cut_short in zip(table.index, unfinished, strict=True)
        ],
    })  # fmt: skip
    return shown.reset_index(drop=True)


def defence_table(results: pd.DataFrame) -> pd.DataFrame:
    """The Korean README's tables: clean accuracy and AUC, and each white-box attack's success, a row per defence."""
    rows = pick(_with_published(results, jung.PUBLISHED), purifier="")
    clean = pick(rows, attack="", metric=["accuracy", "auc"])
    success = pick(rows, metric="attack_success")
    success = success[success["attack"].map(is_white_box)]
    success = success.assign(metric="attack_success of " + success["attack"].map(attack_label))
    return _beside(pd.concat([clean, success]), ["detector", "arm"], ["accuracy", "auc", *success["metric"].unique()])


def _without_mixed(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[~rows["attack"].str.endswith(MIXED)]


def _with_published(results: pd.DataFrame, published: pd.DataFrame) -> pd.DataFrame:
    """Published rows, then ours over all seeds: empty axes as "", numbers as `text`, and `of` tells whose they are."""
    ours = pick(results, stage=STAGE, seed=None)
    axes = ["detector", "arm", "attack", "purifier"]
    ours = ours.assign(**{axis: ours[axis].astype(object).fillna("") for axis in axes}, of="")
    ours = ours.replace({"purifier": {"none": ""}}).assign(text=[_percent(row) for row in ours.itertuples()])
    columns = [*axes, "metric", "text", "of"]
    return pd.concat([published.assign(of=PUBLISHED)[columns], ours[[*columns, "value"]]], ignore_index=True)


def _percent(row: object) -> str:
    if row.metric == "seconds_per_image":
        return f"{row.value:.3g}"
    return told(row._replace(value=100 * row.value, low=100 * row.low, high=100 * row.high), "{:.1f}")


def _beside(rows: pd.DataFrame, index: list[str], columns: list[str]) -> pd.DataFrame:
    """A row per value of `index`, and for each of `columns` (a metric) their number, if any is known, and ours."""
    for axis in [axis for axis in reversed(index) if axis in ("attack", "arm")]:  # theirs come first
        order = pd.unique(pd.Series([*(DEFENCES if axis == "arm" else ()), *rows[axis]], dtype=object))
        rank = {name: at for at, name in enumerate(order)}
        rows = rows.sort_values(axis, key=lambda names, rank=rank: names.map(rank), kind="stable")
    rows = rows.assign(column=rows["metric"] + rows["of"])
    table = rows.pivot_table(index=index, columns="column", values="text", aggfunc="first", sort=False)
    given = {name for name in table if name.endswith(PUBLISHED)}
    wanted = [name + of for name in columns for of in (PUBLISHED, "") if not of or name + of in given]
    table = table.reindex(columns=wanted).dropna(how="all").fillna(UNKNOWN).reset_index().rename_axis(columns=None)
    table = table.replace({"detector": {"": UNKNOWN}})
    if "attack" in table:
        table["attack"] = table["attack"].map(attack_label)
    return table.rename(columns=lambda name: name.replace("_", " "))
