"""Protect photos from being edited, purify them, and check what holds: of a file, or of a folder of them.

antidisrupt protect me.jpg me.protected.jpg --eps 0.1
antidisrupt check   me.protected.jpg --original me.jpg
antidisrupt purify  me.protected.jpg me.purified.jpg
"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

COVERS = (
    "This covers these forgers and nothing else: another forger, or a person who purifies the photo, isn't held off."
)


def main(argv: list[str] | None = None) -> int:
    """Do what the command line asks; return 0, 1 if some photos couldn't be done, 2 if the request was wrong."""
    args = _parse(argv)
    try:
        return args.run(args)
    except (ValueError, OSError, ImportError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The photos that are done are whole.", file=sys.stderr)
        return 130


def _parse(argv: list[str] | None) -> argparse.Namespace:
    about, _, examples = __doc__.partition("\n")
    whole = argparse.ArgumentParser("antidisrupt", description=about, epilog=examples, formatter_class=_Plain)
    commands = whole.add_subparsers(required=True, metavar="protect | purify | check")
    protect = _command(
        commands, "protect", _protect, "change photos by at most eps, so that edits of their faces may break"
    )
    protect.add_argument(
        "--eps",
        type=float,
        default=0.05,
        help="in [0, 1] units (default 0.05, 12 of 255 levels; from 0.1 on it is seen)",
    )
    protect.add_argument(
        "--attack",
        default="pgd",
        help="a name (dadfi takes one pass), or file.py:function of your own (default pgd)",
    )
    protect.add_argument("--steps", type=int, default=20, help="of the attack (default 20)")
    purify = _command(commands, "purify", _purify, "take away what a purifier takes for a disruption")
    purify.add_argument("--purifier", default="reverse_diffusion_10", help="a name, or several joined by +")
    check = _command(commands, "check", _check, "say which edits of which forgers break")
    check.add_argument("--original", type=Path, metavar="FILE", help="the photo, or folder, before it was protected")
    for command in (protect, purify):
        command.add_argument("--png", action="store_true", help="write PNG, which loses nothing, whatever IN is")
        command.add_argument("--quality", type=int, default=95, help="of JPEG and AVIF (default 95)")
        command.add_argument("--overwrite", action="store_true", help="write over results that are there")
    for command in (protect, check):
        command.add_argument("--forger", default="all", help="names or weights, joined by commas (default: the zoo's)")
    return whole.parse_args(argv)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Examples stay as they are written."""


def _command(commands, name: str, run: Callable, about: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
    command.set_defaults(run=run)
    command.add_argument("source", type=Path, metavar="IN", help="a photo, or a folder of photos")
    if name != "check":
        command.add_argument("out", type=Path, metavar="OUT", help="a file, or a folder")
    command.add_argument(
        "--face-detector", default="auto", help="mtcnn, opencv_cascade, none (default: what is installed)"
    )
    return command


def _protect(args: argparse.Namespace) -> int:
    from antidisrupt_lib.photos.doing import protect
    from antidisrupt_lib.photos.folders import pairs

    names = ("forger", "eps", "attack", "steps", "quality", "face_detector")
    do = partial(protect, **{name: getattr(args, name) for name in names})
    tasks = pairs(args.source, args.out, overwrite=args.overwrite, ending=".png" if args.png else "")
    return _all(tasks, lambda task: do(*task), lambda task, found: _tell(task[1], found), COVERS)


def _purify(args: argparse.Namespace) -> int:
    from antidisrupt_lib.photos.doing import purify
    from antidisrupt_lib.photos.folders import pairs

    do = partial(purify, purifier=args.purifier, quality=args.quality, face_detector=args.face_detector)
    tasks = pairs(args.source, args.out, overwrite=args.overwrite, ending=".png" if args.png else "")
    return _all(tasks, lambda task: do(*task), lambda task, notes: print(f"{task[1]}: {' '.join(notes)}"))


def _check(args: argparse.Namespace) -> int:
    from antidisrupt_lib.photos.doing import check
    from antidisrupt_lib.photos.folders import photos_in

    photos = photos_in(args.source)
    below = args.original and args.source.is_dir()
    originals = [args.original / photo.relative_to(args.source) if below else args.original for photo in photos]
    do = partial(check, forger=args.forger, face_detector=args.face_detector)
    tasks = list(zip(photos, originals, strict=True))
    return _all(tasks, lambda task: do(*task), lambda task, found: _tell(task[0], found), COVERS)


def _all(tasks: list, do: Callable, tell: Callable, last: str = "") -> int:
    """Do all tasks, telling of each, and name at the end those that failed."""
    from antidisrupt_lib.photos.folders import one_by_one

    failed = []
    for task, found in one_by_one(tasks, do):
        if isinstance(found, Exception):
            failed.append(str(found))
        else:
            tell(task, found)
    print(last, end="\n" if last else "")
    if len(tasks) > 1 or failed:
        print(f"{len(tasks) - len(failed)} of {len(tasks)} done.")
    for why in failed:
        print(why, file=sys.stderr)
    return 1 if failed else 0


def _tell(path: Path, found) -> None:
    """A photo's table: a row per forger, a column per road."""
    print(f"{path}: edits that break, of those that take, held against {found.reference}. {' '.join(found.notes)}")
    roads = list(found.broken)
    names = {forger: Path(forger).stem for forger in found.broken[roads[0]]}
    wide = max(len("forger"), *map(len, names.values()))
    print("  " + " ".join([f"{'forger':{wide}}", *(f"{road:30}" for road in roads)]).rstrip())
    for forger, name in names.items():
        cells = [f"{found.broken[road][forger]!s:30}" for road in roads]
        print("  " + " ".join([f"{name:{wide}}", *cells]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
