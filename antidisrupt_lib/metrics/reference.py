"""An adversarially trained forger against the vanilla one.

Against its own clean output, such a forger scores well by being stable, whatever it draws (protocol 1.10, defect 9).
So it is also held against what the vanilla forger makes of the clean photo.
"""

from collections.abc import Iterable

import pandas as pd
import torch
from torch import Tensor

from antidisrupt_lib.metrics.comparison import Outputs, fixed
from antidisrupt_lib.metrics.distances import l2, success
from antidisrupt_lib.metrics.results import mean_result
from antidisrupt_lib.plug_ins import short_name


def defence_label(forger_defence: str, purifier: str) -> str:
    """What stands on the purifier axis: the forger's own defence and the purifier, those that there are, else none."""
    return "+".join(short_name(name) for name in (forger_defence, purifier) if name not in ("", "none")) or "none"


@torch.no_grad()
def against_vanilla_results(
    clean: Iterable[tuple[slice, Tensor]], treated: Iterable[tuple[slice, Tensor]], outputs: Outputs, vanilla: Outputs,
    axes: dict, people: pd.Series, device: torch.device | str = "cpu",
) -> list[dict]:  # fmt: skip
    """The results rows of a forger whose reference is another forger's clean output.

    Args:
        clean, treated: (rows, images in [0, 1]) batches of the same photos in the same order.
        outputs, vanilla: f(x, rows) -> T x n x 3 x H x W, the deepfakes of the forger and of the reference.
        people: whose photos these are, as `FaceSet.people` gives them; intervals resample them.

    Returns:
        `l2_vanilla` and `share_disrupted_vanilla` of the treated photos, and `l2_vanilla_clean` of the clean ones: how
        far apart the two forgers are by themselves.
    """
    parts = []
    for (rows, x0), (_, x) in zip(clean, treated, strict=True):
        x0, x = x0.to(device), x.to(device)
        reference = vanilla(x0, rows)
        parts.append([_l2(outputs(image, rows), reference) for image in (x, x0)])
    left, own = (torch.cat(column).flatten() for column in zip(*parts, strict=True))
    per_fake, unit = people.repeat(len(left) // len(people)), "[-1, 1] units, squared, to the vanilla clean output"
    share = "share of edits with l2_vanilla >= 0.05"
    return [
        mean_result(axes, "l2_vanilla", left, per_fake, unit, fixed(axes)),
        mean_result(axes, "share_disrupted_vanilla", success(left), per_fake, share, fixed(axes)),
        mean_result(axes, "l2_vanilla_clean", own, per_fake, f"{unit}, of clean photos", fixed(axes)),
    ]


def _l2(y: Tensor, y0: Tensor) -> Tensor:
    """n x T distances of T x n outputs."""
    return torch.stack([l2(a, b) for a, b in zip(y, y0, strict=True)], 1).cpu()
