"""Who is drawn and how: people and their shots, sampled from (seed, identity, shot) alone, and their true edits."""

from dataclasses import dataclass, replace

import numpy as np

HAIR = {
    "Black_Hair": (25, 20, 20),
    "Brown_Hair": (110, 65, 30),
    "Blond_Hair": (225, 190, 100),
    "Gray_Hair": (165, 165, 170),
}
SKINS = ((232, 192, 162), (224, 172, 136), (205, 154, 118), (190, 136, 100), (165, 114, 82), (140, 94, 68))
PALE_SKIN = (239, 212, 198)
AGED = np.array([1.0, 0.97, 0.94])  # the tint towards which skin fades with age
FADE = 0.28
MAN_LIPS = np.array([0.84, 0.70, 0.70])  # shares of the skin
WOMAN_LIPS = (35, 60)  # green and blue under 70 % of lipstick; red varies
RED = (175, 215)
EDITS = ("Black_Hair", "Blond_Hair", "Brown_Hair", "Male", "Young")
IRISES = ((70, 45, 30), (95, 70, 40), (70, 105, 75), (75, 115, 160), (110, 120, 130))
SHAPES = {  # trait: the range of men, of women
    "hair_length": ((-8, 0), (62, 108)),  # y where the hair ends
    "hair_volume": ((3, 7), (7, 12)),
    "face_width": ((46, 50), (42, 46)),  # half
    "chin": ((70, 75), (66, 71)),
    "jaw": ((0.68, 0.8), (0.95, 1.08)),  # exponent of a superellipse: small is square
    "eye": ((4.0, 4.8), (5.2, 6.2)),
    "brow": ((5.0, 6.2), (2.2, 2.9)),
    "nose": ((8.5, 11), (6.5, 8.5)),
    "mouth": ((14, 17), (13, 16)),
}

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Person:
    """What an identity keeps over its shots. Lengths are pixels of the 178 x 218 image, colours RGB 0-255."""

    male: bool
    young: bool
    hair: str
    bangs: bool
    beard: bool
    pale: bool
    hair_colour: Colour
    skin: Colour
    iris: Colour
    lips: Colour
    parting: float
    hair_length: float
    hair_volume: float
    face_width: float
    chin: float
    jaw: float
    eye: float
    brow: float
    nose: float
    mouth: float


@dataclass(frozen=True)
class Look:
    """One shot of a person: pose (pixels, radians), expression, background, light, and the seed of its noise."""

    person: Person
    shift: complex
    angle: float
    scale: float
    yaw: float
    smile: float
    glasses: bool
    clothes: Colour
    background: tuple[Colour, Colour, Colour, Colour]
    light: tuple[float, float]
    gain: tuple[float, float, float]
    noise_seed: int

    @property
    def turn(self) -> complex:
        return self.scale * np.exp(1j * self.angle)

    def attributes(self) -> dict[str, bool]:
        """What this shot shows, under CelebA's names and in their order."""
        p = self.person
        shown = {"Bald": False, "Bangs": p.bangs, "Eyeglasses": self.glasses, "Male": p.male, "No_Beard": not p.beard}
        shown |= {"Pale_Skin": p.pale, "Smiling": self.smile > 0.5, "Young": p.young}
        return dict(sorted((shown | {name: name == p.hair for name in HAIR}).items()))


def sample_person(seed: int, identity: int) -> Person:
    """The traits of one identity (1, 2, ...), from (seed, identity) alone."""
    rng = np.random.default_rng([seed, identity, 0])
    male, young, pale = bool(rng.random() < 0.5), bool(rng.random() < 0.5), bool(rng.random() < 0.12)
    hair = list(HAIR)[3 if rng.random() < 0.1 and not young else rng.integers(3)]
    skin = np.array(PALE_SKIN if pale else SKINS[rng.integers(len(SKINS))])
    if not young:
        skin = _aged(skin)
    lips = skin * MAN_LIPS if male else _woman_lips(skin, rng.uniform(*RED))
    return Person(
        male=male,
        young=young,
        hair=hair,
        bangs=bool(rng.random() < (0.12 if male else 0.25)),
        beard=bool(male and rng.random() < 0.25),
        pale=pale,
        hair_colour=_jitter(rng, HAIR[hair], 7),
        skin=_jitter(rng, skin, 6),
        iris=_jitter(rng, IRISES[rng.integers(len(IRISES))], 8),
        lips=rgb(lips),
        parting=rng.uniform(-8, 8),
        **{trait: rng.uniform(*(men if male else women)) for trait, (men, women) in SHAPES.items()},
    )


def sample_look(seed: int, identity: int, shot: int) -> Look:
    """Shot 0, 1, ... of an identity, from (seed, identity, shot) alone."""
    rng = np.random.default_rng([seed, identity, 1 + shot])  # 0 is the person's own stream
    first, last = rng.uniform(60, 215, (2, 3))
    corners = (first, 0.5 * (first + last) + rng.uniform(-25, 25, 3), 0.5 * (first + last), last)
    return Look(
        person=sample_person(seed, identity),
        shift=complex(rng.uniform(-3, 3), rng.uniform(-3, 3)),
        angle=rng.uniform(-0.08, 0.08),
        scale=rng.uniform(0.96, 1.04),
        yaw=rng.uniform(-5, 5),
        smile=rng.uniform(0.8, 1.2) if rng.random() < 0.5 else rng.uniform(-0.25, 0.1),
        glasses=bool(rng.random() < 0.15),
        clothes=rgb(rng.uniform(30, 230, 3)),
        background=tuple(rgb(c) for c in corners),
        light=(rng.uniform(-1, 1), rng.uniform(-0.6, 0.2)),
        gain=tuple(rng.uniform(0.84, 1.0) * rng.uniform(0.97, 1.03, 3)),
        noise_seed=int(rng.integers(2**31)),
    )


def edited(person: Person, attribute: str) -> Person:
    """The same person with one attribute changed: the truth that a forger's edit can be held against.

    A hair colour keeps its own deviation from the palette. Age changes the skin, and with it the lips (lines and brows
    follow when drawn). The other gender has each shape at the same quantile of its own range, no beard, and its lips.

    Args:
        attribute: one of EDITS. A hair colour is set, "Male" and "Young" are flipped, as the translations do.
    """
    if attribute in HAIR:
        colour = np.array(person.hair_colour) - HAIR[person.hair] + HAIR[attribute]
        return replace(person, hair=attribute, hair_colour=rgb(colour))
    return _other_gender(person) if attribute == "Male" else _other_age(person)


def _other_gender(p: Person) -> Person:
    own, other = (0, 1) if p.male else (1, 0)
    shapes = {
        trait: float(np.interp(getattr(p, trait), ranges[own], ranges[other])) for trait, ranges in SHAPES.items()
    }
    lips = _woman_lips(np.array(p.skin), np.mean(RED)) if p.male else p.skin * MAN_LIPS
    return replace(p, male=not p.male, beard=False, lips=rgb(lips), **shapes)


def _other_age(p: Person) -> Person:
    skin = np.array(p.skin, float)
    change = (_aged(skin) if p.young else _rejuvenated(skin)) - skin
    lips = p.lips + change * (MAN_LIPS if p.male else 0.3)
    return replace(p, young=not p.young, skin=rgb(skin + change), lips=rgb(lips))


def _aged(skin: np.ndarray) -> np.ndarray:
    return (1 - FADE) * skin + FADE * skin.mean() * AGED


def _rejuvenated(skin: np.ndarray) -> np.ndarray:
    mean = skin.mean() / (1 - FADE + FADE * AGED.mean())  # of the young skin
    return (skin - FADE * mean * AGED) / (1 - FADE)


def _woman_lips(skin: np.ndarray, red: float) -> np.ndarray:
    return 0.3 * skin + 0.7 * np.array([red, *WOMAN_LIPS])


def rgb(values) -> Colour:
    return tuple(min(255, max(0, round(float(v)))) for v in values)


def _jitter(rng: np.random.Generator, colour, spread: float) -> Colour:
    """Vary the brightness by up to `spread`, and each channel by a little of it."""
    return rgb(np.asarray(colour) + rng.uniform(-spread, spread) + 0.4 * rng.uniform(-spread, spread, 3))
