"""What a detector is trained on in each arm of the study, and its training."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import cos, pi
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from antidisrupt_lib.detection.defences import Defence
from antidisrupt_lib.detection.detectors import Detect, Detector, detect_with, score
from antidisrupt_lib.detection.smooth import smooth_relus
from antidisrupt_lib.faces.faceset import FaceSet, join
from antidisrupt_lib.seeding import numpy_generator
from antidisrupt_lib.training import draw_batch, run_training

PLAIN = Defence("weak")
OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": partial(torch.optim.SGD, momentum=0.9)}


@dataclass(frozen=True)
class DetectorConfig:
    """Hyperparameters of a detector's training; half of each batch is real and half fake.

    Attributes:
        optimizer: one of OPTIMIZERS; "sgd" has momentum 0.9.
        lr, lr_end: the learning rate falls from the one to the other along half a cosine.
    """

    detector: str = "xception"
    pretrained: bool = False
    steps: int = 10_000
    batch_size: int = 32
    lr: float = 1e-4
    lr_end: float = 0.0
    optimizer: str = "adam"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(f"There is no optimizer {self.optimizer!r} here. Choose from: {', '.join(OPTIMIZERS)}.")


@dataclass(frozen=True)
class PlainSet:
    """Real faces and fakes as they are, such as the crops of videos; no fake need be made of any of these faces."""

    real: FaceSet
    fake: FaceSet

    def __post_init__(self) -> None:
        if self.real.size != self.fake.size:
            raise ValueError(
                f"The real faces have {self.real.size} pixels a side and the fakes {self.fake.size}. Cut both alike."
            )

    @property
    def faces(self) -> tuple[FaceSet, FaceSet]:
        return self.real, self.fake

    def x(self, index: Tensor, fake: bool, device: torch.device | str) -> Tensor:
        """Images of the rows `index` of the real faces, or of the fakes."""
        return self.faces[fake].x(index, device)


@dataclass(frozen=True)
class TrainingSet:
    """Photos (real) and their fakes, from a clean and a treated world, row by row in the same order.

    Of a photo with `treated`, the treated version and its fakes are used, of any other the clean ones: the collected
    Internet, in which a share of the photos was disrupted.
    """

    clean: tuple[FaceSet, FaceSet]
    other: tuple[FaceSet, FaceSet]
    treated: np.ndarray

    def __post_init__(self) -> None:
        (photos, fakes), (other_photos, other_fakes) = self.clean, self.other
        for a, b in ((photos, other_photos), (fakes, other_fakes)):
            if a.image_ids != b.image_ids:
                raise ValueError(
                    "The clean and the treated faces differ in their rows. Make them from the same photos."
                )
        if (
            len(fakes) % len(photos)
            or fakes.table["source_id"].iloc[:: self.fakes_per_photo].tolist() != photos.image_ids
        ):
            raise ValueError("The fakes were not made from these photos. Run the fakes notebook on the same photos.")

    @property
    def faces(self) -> tuple[FaceSet, FaceSet]:
        return self.clean

    @property
    def fakes_per_photo(self) -> int:
        return len(self.clean[1]) // len(self.clean[0])

    def only(self, kept: np.ndarray) -> "TrainingSet":
        """The photos of the rows `kept`, with all of their fakes."""
        count = self.fakes_per_photo
        fakes = (count * kept[:, None] + np.arange(count)).ravel()
        clean, other = ((world[0].rows(kept), world[1].rows(fakes)) for world in (self.clean, self.other))
        return TrainingSet(clean, other, self.treated[kept])

    def beside(self, world: tuple[FaceSet, FaceSet]) -> "TrainingSet":
        """All photos and fakes as they are, and each treated one once more as it is in another world."""
        clean, other = self.clean, zip(self.other, world, strict=True)
        return TrainingSet(
            tuple(join([faces] * 2) for faces in clean), tuple(map(join, other)), np.tile(self.treated, 2)
        )

    def x(self, index: Tensor, fake: bool, device: torch.device | str) -> Tensor:
        """Images of the rows `index` of the photos, or of the fakes."""
        treated = self.treated[index.numpy() // (self.fakes_per_photo if fake else 1)]
        x = self.clean[fake].x(index, device)
        x[torch.from_numpy(treated)] = self.other[fake].x(index[torch.from_numpy(treated)], device)
        return x


def treated_photos(photos: FaceSet, ratio: float, seed: int) -> np.ndarray:
    """Which photos were disrupted: a share `ratio`, drawn per photo, so that a larger share holds every smaller one.

    Raises:
        ValueError: the ratio is no share.
    """
    if not 0 <= ratio <= 1:
        raise ValueError(f"poison_ratio is a share from 0 to 1, not {ratio}.")
    rank = (
        np.array([numpy_generator(seed, "poison", image_id).random() for image_id in photos.image_ids])
        .argsort()
        .argsort()
    )
    return rank < round(ratio * len(photos))


def train_detector(
    data: TrainingSet | PlainSet, config: DetectorConfig, *, defence: Defence = PLAIN,
    detector: nn.Module | None = None, checkpoint: Path | str, device: torch.device | str = "cpu",
    curve: Sequence[int] = (), on_curve: Callable[[int, nn.Module], None] | None = None,
) -> tuple[nn.Module, pd.DataFrame]:  # fmt: skip
    """Train a detector with binary cross-entropy; returns it with its loss history.

    Args:
        defence: what its images go through and what its loss is beyond that; flips alone, if not given.
        detector: a network of your own, images in [0, 1] to logits of shape N, instead of timm's `config.detector`.
        curve: numbers of steps at which `on_curve(steps done, detector)` looks at it, as `curve.score_on_the_way` does.
            It must leave the detector as it was. After a resume it may be called again, with the very same detector.
    """
    torch.manual_seed(config.seed)
    smooth = "half_huber" in defence.parts
    if detector is None:
        detector = Detector(config.detector, config.pretrained, smooth)
    elif smooth:
        smooth_relus(detector)
    detector.to(device).train()
    optimizer, loss_of = OPTIMIZERS[config.optimizer](detector.parameters(), config.lr), defence.loss(config.seed)
    half, seed = config.batch_size // 2, config.seed
    label = torch.arange(2 * half, device=device).ge(half).float()

    def step(i: int) -> dict[str, Tensor]:
        if i in curve:  # before the step, so that a checkpoint of i steps is looked at when it is resumed
            on_curve(i, detector)
        draws = (draw_batch(len(data.faces[fake]), half, seed, "detector", fake, i) for fake in (False, True))
        x = torch.cat([data.x(index, fake, device) for fake, index in enumerate(draws)])
        falling = (1 + cos(pi * i / config.steps)) / 2
        optimizer.param_groups[0]["lr"] = config.lr_end + (config.lr - config.lr_end) * falling
        loss = loss_of(detector, defence.augment(x, seed, i), label, i)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    about = asdict(config) | {"size": data.faces[0].size, "defence": asdict(defence)}
    about |= {"curve": list(curve)} if curve else {}
    state = {"detector": detector, "optimizer": optimizer}
    history = run_training(step, state, steps=config.steps, checkpoint=checkpoint, about=about, what=config.detector)
    return detector, history


def score_table(detect: Detect, photos: FaceSet, fakes: FaceSet, device: torch.device | str = "cpu") -> pd.DataFrame:
    """Scores of a test set: a row per image with image_id, source_id, person, fake (0 or 1) and score (P(fake)).

    Crops of videos have their video_id too, and it is also their source: what stands and falls together.
    """
    tables = [score_rows(detect, faces, fake, device) for fake, faces in enumerate((photos, fakes))]
    return pd.concat(tables, ignore_index=True)


def score_rows(detect: Detect, faces: FaceSet, fake: bool, device: torch.device | str = "cpu") -> pd.DataFrame:
    """`score_table`'s rows of faces that are all real or all fake."""
    in_videos = "video_id" in faces.table
    source = faces.table["video_id" if in_videos else "source_id" if fake else "image_id"]
    scores = score(detect, faces, device).numpy()
    table = pd.DataFrame({"image_id": faces.image_ids, "source_id": source, "fake": int(fake), "score": scores})
    table.insert(2, "person", faces.people)
    return table.assign(video_id=source) if in_videos else table


def judge_split(
    crops: FaceSet, side: np.ndarray, config: DetectorConfig, *, checkpoint: Path | str,
    device: torch.device | str = "cpu",
) -> pd.DataFrame:  # fmt: skip
    """Train a detector on one side of a split and give its scores of the other, as `score_table` does.

    Args:
        crops: real and fake ones, by their column `fake`.
        side: "train" or "test" for each crop, as `split_rows` gives it; others are left out.
    """
    fake = crops.table["fake"].to_numpy()
    train, test = (
        [crops.rows(np.flatnonzero((side == part) & (fake == label))) for label in (0, 1)] for part in ("train", "test")
    )
    trained, _ = train_detector(PlainSet(*train), config, checkpoint=checkpoint, device=device)
    return score_table(detect_with(trained), *test, device)
