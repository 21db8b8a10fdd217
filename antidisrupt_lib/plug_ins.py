"""The user's own code by name, wherever a name is taken: `module.path:callable` or `path/to/file.py:callable`.

A module is one that Python finds: installed, or in a folder of PYTHONPATH. A file is relative to where the name is
given, as any path is, and may import the modules that lie beside it. This needs no torch.
"""

import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import import_module, util
from pathlib import Path
from types import ModuleType

from antidisrupt_lib.fingerprint import fingerprint

FILE = re.compile(r"[^+:]+\.py(?=:[A-Za-z_])")
PLUG_IN = re.compile(rf"(?P<place>{FILE.pattern}|[A-Za-z_][\w.]*):(?P<name>[A-Za-z_]\w*)")
KINDS = {  # what each looks like, and what it is called with, by position and by name; None: that hangs on it
    "attack": (
        "attack(x, objective, *, eps, step, steps, generators) -> x_adv",
        (2, "eps", "step", "steps", "generators"),
    ),
    "objective": ("objective(y, y0, x) -> loss per image, of edits y of the changed photo, y0 and x clean", (3,)),
    "purifier": ("purify(x, generators) -> x with an attribute network_calls, or a class of such", (2,)),
    "metric": ("metric(y, y0, x) -> a number per image, of edits y of the treated photo, y0 and x clean", (3,)),
    "forger": ("a class of torch modules, Generator(**architecture) with G(x, c) -> y on [-1, 1]", None),
    "detector": ("make() -> a torch module that gives images in [0, 1] one logit each", (0,)),
}  # fmt: skip


def is_plug_in(name: object) -> bool:
    """Whether a name is that of somebody's own code."""
    return isinstance(name, str) and PLUG_IN.fullmatch(name) is not None


def plug_ins_in(value: object) -> Iterator[str]:
    """All names of somebody's own code in a text, or in the texts of lists and tables."""
    if isinstance(value, str):
        yield from (found[0] for found in PLUG_IN.finditer(value))
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from plug_ins_in(part)


def short_name(text: str) -> str:
    """What tables, axes and folders call a name: of somebody's own code only the callable."""
    return PLUG_IN.sub(lambda found: found["name"], text)


def with_paths(text: str, change: Callable[[str], str]) -> str:
    """The same text with `change` of the path of each file of code that it names."""
    return FILE.sub(lambda found: change(found[0]), text)


def plug_in(name: str, kind: str) -> Callable:
    """The callable that a name stands for; a purifier's class is made one.

    Args:
        kind: one of KINDS, as which it will be called.

    Raises:
        ValueError: it can't be imported or called so; the text says why, and what it should look like.
    """
    found, (signature, arguments) = PLUG_IN.fullmatch(name), KINDS[kind]
    try:
        made = _attribute(_module(found["place"]), found["name"])
        made = made() if kind == "purifier" and inspect.isclass(made) else made
    except Exception as error:  # somebody's own code raises what it likes
        why = _why(error, found["place"])
        raise ValueError(f"The {kind} {name} can't be imported: {why}. It should be {signature}.") from error
    if wrong := _unfit(made, arguments):
        raise ValueError(f"The {kind} {name} {wrong}. It should be {signature}.")
    return made


def code_name(function: Callable) -> str:
    """The name under which `plug_in` finds a function or class that stands in a module by itself."""
    return f"{function.__module__}:{function.__qualname__}"


def code_of(name: str, kind: str) -> dict[str, str]:
    """{name: fingerprint} if a name is somebody's own code, else {}: what a stage promises to those that read it."""
    if not is_plug_in(name):
        return {}
    made = plug_in(name, kind)
    return dict.fromkeys((name, code_name(made)), fingerprint(made).digest)


def _module(place: str) -> ModuleType:
    """The module of this name or in this file, which is loaded anew when it was changed."""
    if not place.endswith(".py"):
        return import_module(place)
    path = Path(place).expanduser().resolve()
    written, known = path.stat().st_mtime_ns, sys.modules.get(place)
    if known and (known.__file__, known.written) == (str(path), written):
        return known
    spec = util.spec_from_file_location(place, path)
    sys.modules[place] = module = util.module_from_spec(spec)
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))  # behind all else: its own modules are found, and hide nothing
    try:
        code = compile(path.read_bytes(), path, "exec")  # a loader may take what it compiled before
        exec(code, module.__dict__)  # noqa: S102 (what the user named as code)
    except BaseException:
        del sys.modules[place]
        raise
    module.written = written
    return module


def _attribute(module: ModuleType, name: str) -> object:
    if not hasattr(module, name):
        near = get_close_matches(name, [own for own in vars(module) if not own.startswith("__")], 1)
        raise AttributeError(f"there is no {name} in it" + (f"; did you mean {near[0]}?" if near else ""))
    return getattr(module, name)


def _why(error: Exception, place: str) -> str:
    """Why a module can't be imported, in words: what is missing, or the error and the line that raised it."""
    if isinstance(error, FileNotFoundError) and place.endswith(".py"):
        return f"there is no file {Path(place).expanduser().resolve()}"
    if isinstance(error, ModuleNotFoundError) and f"{place}.".startswith(f"{error.name}."):
        return f"there is no module {error.name} where Python looks; put its folder into PYTHONPATH, or name its file"
    if isinstance(error, AttributeError) and str(error).startswith("there is no "):
        return str(error).rstrip("?")
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {last.filename}, line {last.lineno}: {error}".rstrip(".: ")


def _unfit(function: object, arguments: tuple | None) -> str:
    """Why it can't be called with these arguments; "" if it can, or nothing can be known."""
    if not callable(function):
        return f"is a {type(function).__name__}, and nothing to call"
    if arguments is None:
        return "" if inspect.isclass(function) else "is no class"
    count, *keywords = arguments
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # of what is written in C
        return ""
    try:
        signature.bind(*[None] * count, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"can't be called: {error}; it takes {signature}"
    return ""
