"""How a look becomes a picture: layers of shapes, drawn at twice the size, then light, shade and sensor noise.

The faces are aligned as CelebA's are: eyes near (69, 111) and (109, 111) of 178 x 218 pixels.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from antidisrupt_lib.faces.looks import Colour, Look, Person, rgb

WIDTH, HEIGHT = 178, 218
# Face coordinates are pixels from the point between the eyes, y down. A point is a complex number x + iy in the code,
# so that a pose (turn, scale, shift) is one product and one sum.
ORIGIN = 89 + 111j
OVERSAMPLE = 2
RING = np.linspace(0, 2 * np.pi, 25)
ARC = np.linspace(0, np.pi, 21)  # from the right end over the top to the left end
U = np.linspace(-1, 1, 13)
DOME = 1 - U**2


def draw(look: Look) -> Image.Image:
    """The face as an RGB picture of 178 x 218 pixels; the same look always gives the same pixels."""
    corners = Image.new("RGB", (2, 2))
    corners.putdata(look.background)
    canvas = corners.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    canvas = canvas.resize((WIDTH * OVERSAMPLE, HEIGHT * OVERSAMPLE), Image.Resampling.NEAREST)
    pen = Pen(ImageDraw.Draw(canvas), look.turn * OVERSAMPLE, (ORIGIN + look.shift) * OVERSAMPLE, look.yaw)
    for layer in (_body, _head, _age, _eyes, _nose, _mouth, _beard, _hair, _brows, _glasses):
        layer(pen, look, look.person)
    return _lit(canvas.reduce(OVERSAMPLE), look)


@dataclass(frozen=True)
class Pen:
    """Draws shapes given in face coordinates onto the canvas; `depth` is how far a shape follows the yaw."""

    ink: ImageDraw.ImageDraw
    turn: complex
    origin: complex
    yaw: float

    def _place(self, x, y, depth: float) -> list[float]:
        x = np.asarray(x, float)
        if depth:
            x = x + depth * self.yaw * np.maximum(1 - (x / 60) ** 2, 0)
        return ((x + 1j * np.asarray(y)) * self.turn + self.origin).view(float).tolist()

    def fill(self, x, y, colour: Colour, depth: float = 0.0) -> None:
        self.ink.polygon(self._place(x, y, depth), fill=colour)

    def between(self, x, top, bottom, colour: Colour, depth: float = 0.0) -> None:
        self.fill(np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]]), colour, depth)

    def line(self, x, y, colour: Colour, width: float, depth: float = 1.0) -> None:
        self.ink.line(self._place(x, y, depth), fill=colour, width=round(width * OVERSAMPLE), joint="curve")

    def disc(self, x: float, y: float, rx: float, ry: float, colour: Colour, depth: float = 1.0) -> None:
        self.fill(x + rx * np.cos(RING), y + ry * np.sin(RING), colour, depth)


def _mix(a: Colour, b: Colour, share: float) -> Colour:
    return rgb(p + (q - p) * share for p, q in zip(a, b, strict=True))


def _shade(colour: Colour, factor: float) -> Colour:
    return rgb(v * factor for v in colour)


def _bent(wave: np.ndarray, exponent) -> np.ndarray:
    """A sine or cosine with its magnitude raised to a power: turns a circle into a superellipse."""
    return np.sign(wave) * np.abs(wave) ** exponent


def _body(pen: Pen, look: Look, p: Person) -> None:
    if not p.male:
        pen.fill(*_hair_outline(p), _shade(p.hair_colour, 0.7))
    neck, shoulders = (29, 31) if p.male else (20, 24)
    throat = _shade(p.skin, 0.8)
    pen.fill([-neck, neck, neck + 8, -neck - 8], [40, 40, 110, 110], throat)
    pen.fill(105 * np.cos(ARC), 118 - shoulders * np.sin(ARC) ** 0.6, look.clothes)
    pen.disc(0, 88, neck, 9, throat, depth=0)


def _head(pen: Pen, look: Look, p: Person) -> None:
    if p.male:
        for side in (-1, 1):
            pen.disc(side * (p.face_width + 1), 8, 6, 13, _shade(p.skin, 0.88), depth=-0.4)
    cos, sin = np.cos(RING), np.sin(RING)
    below = sin > 0
    exponent = np.where(below, p.jaw, 1)
    pen.fill(p.face_width * _bent(cos, exponent), np.where(below, p.chin, 72) * _bent(sin, exponent), p.skin)


def _age(pen: Pen, look: Look, p: Person) -> None:
    if p.young:
        return
    fold, t = _shade(p.skin, 0.66), np.linspace(0, 1, 7)
    for y, half in ((-38, 20), (-31, 24), (-24, 20)):
        pen.line(half * U, y - 2.5 * DOME, fold, 1.8)
    for side in (-1, 1):
        pen.line(side * (12 + 11 * np.sin(0.5 * np.pi * t)), 23 + 21 * t, fold, 2.2)
        pen.line(side * (20 + 9 * U), 10 + 3 * DOME, fold, 2)
        for dy in (-5, 0, 5):
            pen.line([side * 32, side * 39], [1 + 0.3 * dy, 1 + dy], fold, 1.5)


def _eyes(pen: Pen, look: Look, p: Person) -> None:
    tall = p.eye * (1 - 0.15 * max(look.smile, 0))
    lash = _shade(p.skin, 0.42) if p.male else (25, 18, 15)
    for side in (-1, 1):
        x, upper, lower = 20 * side + 9.5 * U, -tall * DOME, 0.75 * tall * DOME
        pen.between(x, upper, lower, (240, 238, 235), 1)
        gaze = 20 * side + 0.35 * look.yaw
        pen.disc(gaze, -0.3, 4.2, min(4.2, tall), p.iris)
        pen.disc(gaze, -0.3, 2.0, 2.0, (15, 12, 12))
        pen.disc(gaze + 1.4, -1.8, 0.9, 0.9, (255, 255, 255))
        pen.line(x, upper, lash, 1.2 if p.male else 2.2)
        pen.line(x, lower, _shade(p.skin, 0.72), 0.7)
        if not p.male:
            pen.line([28 * side, 33 * side], [-1.5, -5], lash, 1.8)


def _brows(pen: Pen, look: Look, p: Person) -> None:
    colour = _mix(p.hair_colour, (40, 28, 22), 0.45) if p.young else (165, 162, 160)
    lift, arch = (-14.5, 2) if p.male else (-15.5, 4.5)
    middle = lift - arch * DOME + 1.2 * U
    half = p.brow / 2 * (0.35 + 0.65 * DOME**0.5) * (1 - 0.3 * U)
    for side in (-1, 1):
        pen.between(side * (20 + 12.5 * U), middle - half, middle + half, colour, 1)


def _nose(pen: Pen, look: Look, p: Person) -> None:
    away = -1 if look.light[0] > 0 else 1  # the side in shadow
    pen.line(away * np.array([4, 4.5, p.nose]), [2, 12, 21], _shade(p.skin, 0.86), 2, depth=1.6)
    pen.line(p.nose * U, 24 + 2.5 * DOME - 2 * np.abs(U), _shade(p.skin, 0.72), 1.5, depth=1.8)
    for x in (-0.45, 0.45):
        pen.disc(x * p.nose, 24.5, 1.9, 1.2, _shade(p.skin, 0.45), depth=1.8)


def _mouth(pen: Pen, look: Look, p: Person) -> None:
    smile = max(look.smile, 0)
    x = (p.mouth + 4 * smile) * U
    middle = 42 - 6 * look.smile * (U**2 - 0.4)
    upper, lower = (2.2, 3.2) if p.male else (4.2, 5.4)
    open_to = middle + 4.5 * smile * DOME
    bow = upper * DOME * (1 - 0.35 * np.exp(-((U / 0.2) ** 2)))
    pen.between(x, middle - bow, open_to + lower * DOME, p.lips, 1.2)
    if smile > 0.5:
        pen.between(0.93 * x, middle, open_to, (245, 242, 236), 1.2)
    pen.line(x, middle, _shade(p.lips, 0.55), 1.2, 1.2)


def _beard(pen: Pen, look: Look, p: Person) -> None:
    if not p.beard:
        return
    colour = _mix(p.hair_colour, p.skin, 0.25)
    low = np.linspace(0.1, np.pi - 0.1, 25)
    cheeks, lips = (p.face_width - 0.5) * _bent(np.cos(low), p.jaw), (p.mouth + 8) * np.cos(low)
    edge = p.chin * np.sin(low) ** p.jaw
    pen.fill(np.concatenate([cheeks, lips[::-1]]), np.concatenate([edge, 34 + 20 * np.sin(low)]), colour)
    pen.between(20 * U, 34 + 5 * U**2, 37.5 + 5 * U**2, colour, 1.2)


def _hair_outline(p: Person) -> tuple[np.ndarray, np.ndarray]:
    """From the right end of the hair over the crown to the left end."""
    tuft = 1 + (0.018 * np.sin(9 * ARC + p.parting) if p.male else 0)
    wide, high = p.face_width + p.hair_volume, 72 + p.hair_volume
    x, y = wide * tuft * np.cos(ARC), -5 - high * tuft * np.sin(ARC) ** 0.75
    end = wide + (0 if p.male else 5)
    return np.concatenate([[end], x, [-end]]), np.concatenate([[p.hair_length], y, [p.hair_length]])


def _hair(pen: Pen, look: Look, p: Person) -> None:
    x, y = _hair_outline(p)
    brow_x = (p.face_width - (2 if p.male else 6)) * np.cos(ARC)
    brow_y = -6 - 40 * np.sin(ARC) ** 0.6 - p.parting * np.cos(ARC) * np.sin(ARC)
    inner_x = np.concatenate([[p.face_width - 1], brow_x, [1 - p.face_width]])
    inner_y = np.concatenate([[p.hair_length], brow_y, [p.hair_length]])
    pen.fill(np.concatenate([x, inner_x[::-1]]), np.concatenate([y, inner_y[::-1]]), p.hair_colour)
    if p.bangs:
        fringe = -23 - 1.5 * np.cos(8 * ARC) - 0.4 * p.parting * np.cos(ARC)
        pen.between(brow_x, brow_y - 2, np.maximum(fringe, brow_y - 2), p.hair_colour)
    for i, share in enumerate((0.22, 0.42, 0.6, 0.8)):
        tone = _shade(p.hair_colour, 1.13 if i % 2 else 0.87)
        strand_x, strand_y = share * x + (1 - share) * inner_x, share * y + (1 - share) * inner_y
        ends = slice(3, -3) if p.male else slice(None)
        pen.line(strand_x[ends], strand_y[ends], tone, 1, 0)


def _glasses(pen: Pen, look: Look, p: Person) -> None:
    if not look.glasses:
        return
    frame = (28, 26, 30)
    for side in (-1, 1):
        pen.line(side * 20 + 14 * np.cos(RING), 1 + 11 * np.sin(RING), frame, 2.4)
        pen.line([side * 34, side * p.face_width], [-1, -3], frame, 2.2)
    pen.line([-6, 0, 6], [-1, -3, -1], frame, 2.2)


def _glows(look: Look, p: Person) -> np.ndarray:
    """Soft blobs on the face: x, y, width, height, and the gain of R, G and B at the centre."""
    glows = [(look.light[0] * 22, -8 + 20 * look.light[1], 34, 46, 0.14, 0.13, 0.12)]
    glows += [(0, 84, 26, 9, -0.2, -0.22, -0.22), (look.light[0] * 20, -64, 24, 7, 0.12, 0.12, 0.12)]
    glows += [(0, 13, 5, 12, 0.1, 0.1, 0.1), (0, 52, 10, 4, -0.08, -0.1, -0.1), (0, 30, 9, 4, -0.08, -0.1, -0.1)]
    for side in (-1, 1):
        blush = (0.04, -0.06, -0.05) if p.young else (0.0, -0.02, 0.0)
        glows += [(side * 27, 24, 11, 9, *blush), (side * 20, -6, 12, 6, -0.1, -0.11, -0.1)]
        glows += [(side * 47, 35, 9, 30, -0.18, -0.2, -0.2)]
        if not p.young:
            glows += [(side * 20, 11, 9, 4, -0.12, -0.14, -0.1), (side * 31, 38, 8, 12, -0.12, -0.12, -0.1)]
    if p.male:
        glows += [(0, 56, 30, 15, -0.17, -0.15, -0.1)]
    return np.array(glows)


def _lit(image: Image.Image, look: Look) -> Image.Image:
    """Multiply by a smooth light map (direction, gain, soft face shading) and add a little sensor noise."""
    glows = _glows(look, look.person)
    centres = (glows[:, 0] + 1j * glows[:, 1]) * look.turn + ORIGIN + look.shift
    x, y = np.arange(WIDTH), np.arange(HEIGHT)
    # Upright Gaussians, and the slope 1 + ax + by, are products of a row and a column: the map is a sum of those.
    columns = np.exp(-0.5 * ((x - centres.real[:, None]) / glows[:, 2:3]) ** 2)
    rows = np.exp(-0.5 * ((y - centres.imag[:, None]) / glows[:, 3:4]) ** 2)
    columns = np.vstack([columns, 1 + 0.14 * look.light[0] * (x / ORIGIN.real - 1), np.ones(WIDTH)])
    rows = np.vstack([rows, np.ones(HEIGHT), 0.14 * look.light[1] * (y / ORIGIN.imag - 1)])
    gains = np.vstack([glows[:, 4:], np.ones((2, 3))]) * look.gain
    across = (columns[:, :, None] * gains[:, None, :]).reshape(len(gains), -1)
    # einsum, not @: BLAS threads stall beside a training, and their number may change the last bit.
    light = np.einsum("kr,kc->rc", rows.astype(np.float32), across.astype(np.float32))
    light *= np.asarray(image).reshape(light.shape)
    noise = np.frombuffer(np.random.default_rng(look.noise_seed).bytes(light.size), np.int8)
    light += noise.reshape(light.shape) * np.float32(1 / 32)
    return Image.fromarray(light.clip(0, 255).astype(np.uint8).reshape(HEIGHT, WIDTH, 3))
