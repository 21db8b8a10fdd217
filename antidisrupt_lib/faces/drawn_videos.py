"""Drawn videos: a small seeded stand-in for Celeb-DF v2, in its layout, with swapped faces and some damaged files."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from antidisrupt_lib.faces.looks import Look, Person, sample_look, sample_person
from antidisrupt_lib.faces.sketch import HEIGHT, ORIGIN, WIDTH, draw
from antidisrupt_lib.faces.video_lists import CELEB_DF, TEST_LIST

FRAME = (320, 240)
RATE = 25  # frames per second
SWAPPED = ("iris", "lips", "eye", "brow", "nose", "mouth", "beard", "young")  # what a fake takes from its source


def write_drawn_celeb_df(
    root: Path | str, *, people: int = 6, videos: int = 2, frames: int = 24, damaged: bool = True, seed: int = 0
) -> Path:
    """Write drawn videos as a Celeb-DF v2 folder and return it.

    People 0 and 1, 2 and 3, ... lend each other their faces. Each person is in `videos` real videos
    (`Celeb-real/id0_0000.mp4`) and, with the other's face, in as many fakes (`Celeb-synthesis/id0_id1_0000.mp4`); the
    last pair's videos are the list of test videos. `damaged` adds four to YouTube-real: cut off, empty, without a face,
    and of a single frame. Pictures hang on `seed` alone; H.264's encoder has been seen to round a few of them otherwise
    in rare runs, by 0.1 of 255 levels on average.

    Raises FileExistsError when `root` holds such videos and ValueError for an odd or too small number of people.
    """
    root = Path(root)
    if people < 4 or people % 2:
        raise ValueError(f"people is {people}: give an even number from 4 on, since they swap faces in pairs.")
    for folder in CELEB_DF:
        (root / folder).mkdir(parents=True)
    listed = []
    for a in range(people):
        b, test = a ^ 1, a >= people - 2
        for shot in range(videos):
            real, fake = f"Celeb-real/id{a}_{shot:04d}.mp4", f"Celeb-synthesis/id{a}_id{b}_{shot:04d}.mp4"
            look = sample_look(seed, 1 + a, shot)
            write_video(root / real, drawn_frames(look, frames))
            write_video(root / fake, drawn_frames(look, frames, source=sample_person(seed, 1 + b)))
            listed += [f"1 {real}", f"0 {fake}"] if test else []
    if damaged:
        _write_damaged(root / "YouTube-real", sample_look(seed, 1 + people, 0), frames)
    (root / TEST_LIST).write_text("\n".join(listed) + "\n")
    return root


def drawn_frames(look: Look, count: int, source: Person | None = None) -> Iterator[Image.Image]:
    """`count` pictures of one person who moves and speaks; with the features of the person `source`, if given."""
    stage = draw(look).resize(FRAME, Image.Resampling.BILINEAR).filter(ImageFilter.GaussianBlur(15))
    for i in range(count):
        phase = 2 * np.pi * i / RATE
        now = replace(
            look,
            shift=look.shift + complex(4 * np.sin(phase), 2 * np.sin(2 * phase)),
            angle=look.angle + 0.04 * np.sin(phase + 1),
            yaw=look.yaw + 2 * np.cos(phase),
            smile=look.smile + 0.3 * np.sin(3 * phase),
            noise_seed=look.noise_seed + i,
        )
        picture = stage.copy()
        face = draw(now) if source is None else _swapped(now, source)
        picture.paste(face, ((FRAME[0] - WIDTH) // 2, (FRAME[1] - HEIGHT) // 2))
        yield picture


def write_video(path: Path, pictures: Iterable[Image.Image], *, options: dict[str, str] | None = None) -> None:
    """Write pictures of one size (even numbers of pixels) as H.264, or MPEG-4 where PyAV has no encoder for it."""
    pictures = list(pictures)
    codec = next(name for name in ("libx264", "libopenh264", "mpeg4") if name in av.codecs_available)
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, RATE, options={"preset": "veryfast"} if codec == "libx264" else {})
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt, stream.codec_context.thread_count = "yuv420p", 1
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode())


def _swapped(look: Look, source: Person) -> Image.Image:
    """The source's features in the target's face: drawn at half the resolution and blended in, as swapped faces are."""
    person = replace(look.person, **{name: getattr(source, name) for name in SWAPPED})
    small = draw(replace(look, person=person)).reduce(2).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR)
    centre = ORIGIN + look.shift
    mask = Image.new("L", (WIDTH, HEIGHT))
    box = (centre.real - 36, centre.imag - 22, centre.real + 36, centre.imag + 58)
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return Image.composite(small, draw(look), mask.filter(ImageFilter.GaussianBlur(4)))


def _write_damaged(folder: Path, look: Look, frames: int) -> None:
    write_video(folder / "00000.mp4", drawn_frames(look, frames), options={"movflags": "faststart"})
    whole = (folder / "00000.mp4").read_bytes()
    (folder / "00000.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "00001.mp4").write_bytes(b"")
    write_video(folder / "00002.mp4", (Image.new("RGB", FRAME, (90, 120, 90 + i % 60)) for i in range(frames)))
    write_video(folder / "00003.mp4", drawn_frames(look, 1))
