"""The parts of the chain by name, with the zoo's weights: what `import antidisrupt_lib as ad` gives.

Images x are float32 N x 3 x H x W in [0, 1], labels c float32 N x 5, 0 or 1, in the order of `ad.ATTRIBUTES`. The
zoo's networks are for drawn faces of 64 px.
"""

import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from antidisrupt_lib.deepfakes.classifier import AttributeClassifier, load_classifier
from antidisrupt_lib.deepfakes.forgers import load_generator
from antidisrupt_lib.deepfakes.stargan import Forger
from antidisrupt_lib.deepfakes.stargan import forger as frozen
from antidisrupt_lib.detection.detectors import Detector, load_detector
from antidisrupt_lib.disruption import disrupt as disruption
from antidisrupt_lib.disruption.declared import Attack
from antidisrupt_lib.faces.drawn import write_drawn_celeba
from antidisrupt_lib.faces.faceset import FaceSet
from antidisrupt_lib.faces.readers import open_faces, write_faces
from antidisrupt_lib.purification.purifiers import Purifier
from antidisrupt_lib.purification.purify import load_purifier
from antidisrupt_lib.seeding import image_generators
from antidisrupt_lib.training import device
from antidisrupt_lib.weights import ZOO

FORGERS = ("attention", "stgan", "stargan_truth", "stargan")  # of the zoo; the last was trained as published


def zoo_forgers() -> list[str]:
    """The names of the zoo's forgers, but for those that were trained to resist.

    >>> forgers = {name: ad.forger(name) for name in ad.zoo_forgers()}
    """
    return [name for name in FORGERS if (ZOO / f"{name}.safetensors").is_file()]


def forger(name: str = "attention") -> Forger:
    """`forge(x, c) -> y`: photos x and wanted labels c, N x 5, to edits y like x.

    Args:
        name: of the zoo ("attention", "stgan", "stargan_truth", or "stargan", which was trained as published and is
            easily broken), or the path of weights (.safetensors, or official ones).

    Raises:
        ValueError, FileNotFoundError: there is no such forger.

    >>> y = ad.forger("attention")(x, c)
    """
    known = zoo_forgers()
    if name not in known and not Path(name).suffix:
        raise ValueError(f"There is no forger {name!r}. Choose from: {', '.join(known)}, or give the path of weights.")
    return frozen(load_generator(f"zoo/{name}.safetensors" if name in known else name).to(device()))


def judge() -> AttributeClassifier:
    """The zoo's attribute classifier: x to logits N x 5, positive where it sees the attribute.

    >>> c = (ad.judge()(x) > 0).float()
    """
    return load_classifier("zoo/judge.safetensors").to(device())


def attack(name: str = "pgd") -> Attack:
    """`attack(x, objective, *, eps, step, steps, generators) -> x_adv`, by its name or your own's dotted name.

    "dadfi" was learned beforehand (notebook 20) and asks the objective nothing: it may be None. The path of such
    weights is a name as well.

    >>> pgd = ad.attack("pgd"); mine = ad.attack("my/lab.py:langevin"); learned = ad.attack("dadfi")
    """
    return disruption.find_attack(name)


def purifier(name: str = "reverse_diffusion_10") -> Purifier:
    """`purify(x, generators) -> x`, one random generator per image (`seeding.image_generators`).

    >>> x = ad.purifier("reverse_diffusion_10")(x, image_generators(0, "purify", range(len(x))))
    """
    return load_purifier(name, ZOO, device())


def detector(name: str = "resnet18") -> nn.Module:
    """A network that gives images x one logit of "fake" each, N: timm's, untrained, or a trained one from its weights.

    >>> p_fake = ad.detector("outputs/quick/07_clean/seed=0/clean/detector.safetensors")(x).sigmoid()
    """
    return (load_detector(name) if Path(name).suffix == ".safetensors" else Detector(name)).to(device())


def load_faces(source: Path | str = "drawn", count: int | None = 16, size: int = 64, seed: int = 0) -> FaceSet:
    """Faces in memory: `count` drawn ones, or the first of a folder as README describes it; x, labels and table.

    >>> photos = ad.load_faces(count=8); x, c = photos.x(), photos.labels(ad.ATTRIBUTES)
    """
    with tempfile.TemporaryDirectory() as folder:
        root = write_drawn_celeba(Path(folder, "drawn"), count, seed=seed) if source == "drawn" else Path(source)
        listing, name = open_faces(root, count=count), "drawn" if source == "drawn" else root.name
        found = write_faces(Path(folder, "faces"), listing, name=name, size=size)
        return FaceSet(np.array(found.images), found.table, found.axes)


def disrupt(
    x: Tensor, c: Tensor, forge: Forger, *, attack: Attack | str = "pgd", eps: float = 0.05, steps: int = 20,
    seed: int = 0, **choices: object,
) -> Tensor:  # fmt: skip
    """Photos x with own labels c, changed by at most eps (in [0, 1] units) so that their edits by `forge` break.

    The step is 2.5 eps / steps (Madry et al. 2018). `choices` are those of `disruption.disrupt.disrupt`.

    >>> x_adv = ad.disrupt(x, c, ad.forger("attention"), eps=25 / 255)
    """
    generators = image_generators(seed, "disrupt", range(len(x)))
    how = {"eps": eps, "step": 2.5 * eps / steps, "steps": steps, "generators": generators}
    return disruption.disrupt(x, c, forge, attack=attack, **how, **choices)
