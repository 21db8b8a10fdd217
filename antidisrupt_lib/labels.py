"""What figures, tables and pages call the things that files and results name: words for readers, not for programs.

Files, options and the axes of results.csv keep their names (`diffpure_10`); readers see "DiffPure, t = 10". A name that
is not known here, such as that of a user's function, is shown with spaces for its underscores.
"""

import re
from collections.abc import Mapping

FORGERS = {
    r"stargan": "StarGAN",
    r"stargan_truth": "StarGAN by the truth",
    r"stargan_v2": "StarGAN v2",
    r"stgan": "STGAN",
    r"attention": "attention forger",
}
PURIFIERS = {
    r"(none)?": "no purifier",
    r"(reverse_diffusion|one_step)_(\d+)": r"\1, t = \2",
    r"diffpure": "DiffPure",
    r"diffpure_(\d+)": r"DiffPure, t = \1",
    r"ddim": "DDIM",
    r"ddim_(\d+)": r"DDIM, t = \1",
    r"ddim_(\d+)x(\d+)": r"DDIM, t = \1 in \2 steps",
    r"gridpure": "GrIDPure",
    r"gridpure_(\d+)": r"GrIDPure, t = \1",
    r"gridpure_(\d+)x(\d+)": r"GrIDPure, t = \1, \2 times",
    r"gaussian_blur": "Gaussian blur",
    r"gaussian_blur_([\d.]+)": r"Gaussian blur, σ = \1",
    r"(average_blur|median_blur)_(\d+)": r"\1, \2 px",
    r"jpeg": "JPEG",
    r"jpeg_(\d+)": r"JPEG at \1",
    r"bit_depth_(\d+)": r"\1 bits",
    r"total_variation_([\d.]+)": r"total variation, weight \1",
    r"rescale": "half the size and back",
    r"rescale_([\d.]+)": r"1/\1 of the size and back",
    r"noisy_bicubic": "noise, half the size and back",
    r"noisy_bicubic_([\d.]+)": r"noise of \1, half the size and back",
    r"noisy_bicubic_([\d.]+)x(\d+)": r"noise of \1, 1/\2 of the size and back",
    r"(crop|shift)_(\d+)": r"\1 by \2 px",
    r"gamma_([\d.]+)": r"gamma \1",
    r"deep_image_prior_(as_published|shallow)(?:_(\d+))?": r"deep image prior, \1 \2",
    r"(autoencoder_\d)_as_published": r"\1, as published",
    r"adversarial_(gd?)": r"adversarially trained forger (\1)",
}
ATTACKS = {
    r"cw|cw_l2": "C&W",
    r"lab_chroma": "Lab chroma",
    r"universal": "universal perturbation",
    r"(.+)_eot_jpeg": r"\1, EOT over JPEG",
    r"(.+)_eot_blur": r"\1, EOT over blurs",
    r"(.+)_spread_spectrum": r"\1, spread spectrum",
    r"(.+)_white_box_blur": r"\1, white-box blur",
}
ABBREVIATED = re.compile(r"(fgsm|bim|mim|pgd|apgd|dadfi)\b")
ATTACK = re.compile(
    r"(?P<kind>.+?)(?:_(?P<eps>[\d.]+)_255)?(?:_(?P<aim>grey|black|white|identity))?(?:_(?P<met>jointly|own))?"
    r"(?:_(?P<how>through|knows)_(?P<known>.+?))?(?P<mean>_expectation)?(?:_from_(?P<maker>.+?))?"
    r"(?P<published>_as_published)?(?P<mixed>_mixed)?"
)
METRICS = {
    r"share_disrupted": "edits disrupted",
    r"share_disrupted_masked": "edits broken (masked)",
    r"l([12])": r"L\1 of the edits",
    r"psnr": "PSNR of the photos (dB)",
    r"ssim": "SSIM of the photos",
    r"frechet_(.+)": r"Fréchet distance (\1)",
    r"auc": "AUC",
    r"(drop|recovery)_auc": r"\1 of AUC",
    r"drop": "loss of accuracy",
    r"recall_real": "recall of photos",
    r"recall_fake": "recall of fakes",
    r"attack_success": "success of the attack",
    r"edit_accuracy": "edits that take",
    r"edit_accuracy_(.+)": r"edits that take: \1",
}
READINGS = re.compile(r"(.+?)(?:_at_(?P<level>fpr_5|[\d.]+))?(?P<video>_per_video)?(?P<published>_as_published)?")
DEFENCES = {r"none": "undefended", r"lipschitz_([\d.]+)": r"Lipschitz, \1", r"lipschitz": "Lipschitz"}


def forger_label(name: str) -> str:
    """A forger in words; one of several ages with its steps, "StarGAN, 2,000 steps"; one that edits nothing says so."""
    if name.endswith("_unedited"):
        return f"{forger_label(name.removesuffix('_unedited'))}, nothing edited"
    if aged := re.fullmatch(r"(.+)_(\d{2,})", name):
        return f"{forger_label(aged[1])}, {int(aged[2]):,} steps"
    return _words(name, FORGERS)


def purifier_label(name: str) -> str:
    """A purifier, or a chain of them, in words: "JPEG at 75 + DiffPure, t = 10"."""
    return " + ".join(_words(part, PURIFIERS) for part in name.split("+"))


def attack_label(name: str) -> str:
    """An attack on forgers or detectors in words: "PGD 2/255, seen through JPEG at 75, from resnet18"."""
    if name in ("", "_mixed"):
        return "attacked and untouched" if name else "untouched"
    found = ATTACK.fullmatch(name)
    said = ABBREVIATED.sub(lambda kind: kind[0].upper(), _words(found["kind"], ATTACKS))
    said += f" {found['eps']}/255" if found["eps"] else ""
    how = {"through": "seen through", "knows": "knows"}
    parts = [
        found["aim"] and f"towards {found['aim']}",
        found["met"],
        found["how"] and f"{how[found['how']]} {purifier_label(found['known'])}",
        found["mean"] and "in expectation",
        found["maker"] and f"from {found['maker']}",
        found["published"] and "as published",
    ]
    return ", ".join([said, *filter(None, parts)]) + (" and untouched" if found["mixed"] else "")


def metric_label(name: str) -> str:
    """A metric in words: "recall of fakes at 5 % false alarms", "accuracy in clean, by STGAN"."""
    name, _, world = name.partition("_in_")
    found = READINGS.fullmatch(name)
    level = {None: "", "fpr_5": " at 5 % false alarms"}.get(found["level"], f" at {found['level']}")
    ending = (" per video" if found["video"] else "") + (", as published" if found["published"] else "")
    return _words(found[1], METRICS) + level + ending + (f" in {world_label(world)}" if world else "")


def world_label(name: str) -> str:
    """A world that detectors are taken to, in words: "PGD, then DiffPure, t = 10, by STGAN"."""
    treated, _, forger = name.partition("_by_")
    attack, _, purifier = treated.partition("_then_")
    said = "clean" if attack == "clean" else attack_label(attack)
    said += f", then {purifier_label(purifier)}" if purifier else ""
    return said + (f", by {forger_label(forger)}" if forger else "")


def defence_label(name: str) -> str:
    """How a detector is defended: "adversarial + Lipschitz"."""
    return " + ".join(_words(part, DEFENCES) for part in name.split("+"))


def _words(name: str, known: Mapping[str, str]) -> str:
    """The words of the first pattern that is the whole name, else the name itself; spaces for underscores."""
    for pattern, said in known.items():
        if found := re.fullmatch(pattern, name):
            return found.expand(said).replace("_", " ").strip()
    return name.replace("_", " ")
