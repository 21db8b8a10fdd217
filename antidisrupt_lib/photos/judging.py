"""Do the edits of a photo break? Each forger's edits of it against those of its original, those that take alone.

An edit takes if the judge sees in the original's edit what it didn't see in the original. It is broken from L2 = 0.05
on (in [-1, 1] units, Ruiz et al. 2020), or masked above that, over the pixels that the edit changed (CMUA).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from antidisrupt_lib.by_name import forger, judge, zoo_forgers
from antidisrupt_lib.deepfakes.classifier import AttributeClassifier
from antidisrupt_lib.deepfakes.stargan import ATTRIBUTES, Forger
from antidisrupt_lib.deepfakes.translations import forge_all, translations
from antidisrupt_lib.metrics.distances import DISRUPTED, l2, masked_l2

SIZE = 64  # pixels of the zoo's forgers
ALL = "all"


@dataclass(frozen=True)
class Broken:
    """What became of one forger's edits: how many take on the original, and how many of those are broken.

    Attributes:
        masked: of the edits that change a pixel by CMUA's measure, `masked_of`.
    """

    take: int
    whole: int
    masked: int
    masked_of: int

    def __str__(self) -> str:
        masked = f"{self.masked} of {self.masked_of}" if self.masked_of else "undefined"
        return f"{self.whole} of {self.take} (masked: {masked})" if self.take else "no edit takes"


@dataclass(frozen=True)
class Forgery:
    """The forgers at hand and the judge of their edits."""

    forgers: Mapping[str, Forger]
    judge: AttributeClassifier

    def labels(self, x: Tensor) -> Tensor:
        """The attributes that the judge sees, N x 5."""
        with torch.no_grad():
            return (self.judge(x) > 0).float()

    @torch.no_grad()
    def broken(self, treated: Tensor, x: Tensor) -> dict[str, Broken]:
        """What becomes of each forger's edits; a treated photo and its original x are 1 x 3 x size x size."""
        c = self.labels(x)
        return {name: self._broken(forge, treated, x, c) for name, forge in self.forgers.items()}

    def _broken(self, forge: Forger, treated: Tensor, x: Tensor, c: Tensor) -> Broken:
        y0, y, wanted = forge_all(forge, x, c)[:, 0], forge_all(forge, treated, c)[:, 0], translations(c)[:, 0]
        each = torch.arange(len(ATTRIBUTES))
        seen, asked = self.labels(y0)[each, each] == wanted[each, each], (wanted != c).any(1)
        take = seen & asked
        whole, masked = l2(y, y0)[take], masked_l2(y, y0, x)[take]
        return Broken(
            int(take.sum()), int((whole >= DISRUPTED).sum()), int((masked > DISRUPTED).sum()),
            int((~masked.isnan()).sum()),
        )  # fmt: skip


def open_forgery(names: str = ALL) -> Forgery:
    """The forgers of these names, joined by commas, or all of the zoo's.

    Raises:
        ValueError, FileNotFoundError: there is no such forger.
    """
    chosen = zoo_forgers() if names == ALL else [name.strip() for name in names.split(",")]
    return Forgery({name: forger(name) for name in chosen}, judge())
