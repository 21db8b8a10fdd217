"""Paths that a person gives: where they are relative to, how a study records them, and what is refused.

A path on the command line is relative to where the user stands, one in a study file to that file's folder; `~` is the
user's home. Notebooks run in their own folder, so they and manifests get each path relative to that if it lies in the
project, and in full if it doesn't: a project can be moved without its results losing their validity.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from antidisrupt_lib.plug_ins import with_paths

LONGEST_NAME = 255  # bytes of one name, on all file systems in use
LONGEST_PATH = 4096 if os.name == "posix" else 260
LONGEST_NODE = 220  # bytes of a node's id: names of files about it are longer
LONGEST_TEXT = 4000  # characters of an error
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # also what turns text round
ROOM = 300  # bytes for the files in a node's folder
ZOO = "zoo/"  # paths of weights that ship with the library begin so
WORDS = ("", "drawn")  # no paths, but none, and what the library draws; a folder of that name is ./drawn


class PathText(str):
    """A text that may be a path, and the folder that it is relative to if it is one."""

    folder: Path

    def __new__(cls, text: str, folder: Path) -> "PathText":
        made = super().__new__(cls, text)
        made.folder = folder
        return made


def names_path(parameter: str) -> bool:
    """Whether a plain parameter of this name is a path, or a list or table of paths."""
    return re.fullmatch(r"faces|videos|forgers|\w+_(weights|files?|folders?)", parameter) is not None


def names_paths(parameter: str) -> bool:
    """Whether a plain parameter of this name is a list or table of paths."""
    return re.fullmatch(r"forgers|\w+_(files|folders)", parameter) is not None


def at_leaves(function: Callable, tree: object) -> object:
    """The same lists and dicts with `function` of each leaf."""
    if isinstance(tree, dict):
        return {name: at_leaves(function, child) for name, child in tree.items()}
    return [at_leaves(function, child) for child in tree] if isinstance(tree, list) else function(tree)


def texts_in(tree: object, label: str) -> dict[str, str]:
    """The texts in nested lists and dicts, labelled by where they are: `forgers.unpaired`, `faces.0`."""
    if isinstance(tree, str):
        return {label: tree}
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return {inner: text for key, child in children for inner, text in texts_in(child, f"{label}.{key}").items()}


def texts_in_table(table: dict[str, object]) -> dict[str, str]:
    """`texts_in` of each value, labelled by its name."""
    return {label: text for name, value in table.items() for label, text in texts_in(value, name).items()}


def located(table: dict[str, object], folder: Path) -> dict[str, object]:
    """The same table: paths in it bound to `folder`, and those of files of the user's code written out.

    Both may lie in lists and dicts, and on the axes of a grid.
    """

    def bound(value: object) -> object:
        return PathText(value, folder) if isinstance(value, str) else value

    def written_out(value: object) -> object:
        return with_code(value, lambda path: str(absolute(path, folder)))

    grid = table.get("grid")
    within = {
        name: at_leaves(bound, value) if names_path(name) else written_out(value) for name, value in table.items()
    }
    return within | ({"grid": located(grid, folder)} if isinstance(grid, dict) else {})


def with_code(value: object, change: Callable[[str], str]) -> object:
    """A value with `change` of the path of each file of the user's code that is named in it, however deep."""
    return at_leaves(lambda leaf: with_paths(leaf, change) if isinstance(leaf, str) else leaf, value)


def placed(value: object, notebooks: Path) -> object:
    """A value as a notebook in the folder `notebooks` gets it: its paths relative to that, or in full.

    Words and names in the zoo stay as they are.
    """

    def seen_from(path: Path) -> str:
        return os.path.relpath(path, notebooks) if path.is_relative_to(notebooks.parent) else str(path)

    def leaf(text: object) -> object:
        if isinstance(text, PathText):
            return str(text) if is_fixed(text) else seen_from(absolute(text, text.folder))
        return with_code(text, lambda path: seen_from(Path(path)))

    return at_leaves(leaf, value)


def located_text(text: str, notebooks: Path, library: Path) -> Path | None:
    """Where a text would lie if it is a path: in the zoo, or beside the notebooks. None of words, `.` and `/`."""
    if text in WORDS or not re.search(r"[^./~\\\s]", text) or "\0" in text or "\n" in text:
        return None
    return absolute(text, library if text.startswith(ZOO) else notebooks)


def is_fixed(text: str) -> bool:
    """Whether a path's text means the same everywhere: a word, or a name in the zoo."""
    return text in WORDS or text.startswith(ZOO)


def absolute(text: str | Path, folder: Path | None = None) -> Path:
    """A path in full, with `~` written out, relative to `folder` (by default where the user stands)."""
    return Path(os.path.abspath(Path(folder or Path.cwd(), os.path.expanduser(text))))


def portable(path: Path | str, start: Path) -> str:
    """A path as a command line in `start` names it: relative if it lies there, else in full."""
    path = absolute(path)
    return os.path.relpath(path, start) if path.is_relative_to(start) else str(path)


def require_names(folders: Iterable[Path], ids: Iterable[str]) -> None:
    """Refuse names that a file system or a manifest can't hold.

    Args:
        folders: where results go, in full.
        ids: of the nodes that they are results of.

    Raises:
        ValueError: a name has undecodable bytes, or it or the whole path is too long.
    """
    for node in ids:
        if (size := len(os.fsencode(node))) > LONGEST_NODE:
            raise ValueError(
                f"{node[:60]}... has a name of {size} bytes, and {LONGEST_NODE} fit with all that is written beside "
                "it. Shorten the stage's name or its grid's values."
            )
    for folder in folders:
        require_text(folder)
        if long := [part for part in folder.parts if len(os.fsencode(part)) > LONGEST_NAME]:
            raise ValueError(f"No file system takes the name {long[0][:60]}..., longer than {LONGEST_NAME} bytes.")
        if len(os.fsencode(folder)) + ROOM > LONGEST_PATH:
            raise ValueError(f"Results in {str(folder)[:60]}... would have too long paths. Use another --outputs.")


def require_text(path: Path | str) -> None:
    """Refuse a path whose bytes are no text in this system's encoding: notebooks and manifests are text.

    Raises:
        ValueError: it has such bytes; they are shown escaped.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        shown = str(path).encode(errors="backslashreplace").decode()
        raise ValueError(f"{shown} holds bytes that are no text. Rename what has them.") from error


def reason(error: Exception) -> str:
    """An error in a sentence: of the system's errors what happened, and to which file."""
    if isinstance(error, OSError) and error.strerror:
        return plain(f"{error.strerror}: {error.filename}" if error.filename else error.strerror)
    return plain(str(error) or type(error).__name__)


def plain(text: str) -> str:
    """A text for a terminal, of bounded length; what could steer one, in names of files say, is shown escaped."""
    shown = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}... ({len(text):,} characters)"
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], shown)
