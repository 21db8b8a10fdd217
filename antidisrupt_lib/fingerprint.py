"""A fingerprint of what a function does, which changes when its code or anything that it holds changes.

It covers bytecode and constants, defaults, closure, attributes, the settings of partials, the object of a method (its
class's code and its state, arrays and weights too), and all functions, classes and values that are named in the code.
What is installed (pip's packages, the standard library) counts by name and version. Where the source lies, its comments
and its docstrings count for nothing. It needs no torch.
"""

import dis
import os
import site
import sys
import sysconfig
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache, partial
from hashlib import blake2b
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import (
    BuiltinFunctionType,
    CodeType,
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    SimpleNamespace,
    WrapperDescriptorType,
)

INSTALLED = tuple(
    os.path.join(folder, "")
    for folder in {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {site.getusersitepackages()}
)
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis))
CONTENTS = (*PLAIN, tuple, list, set, frozenset, dict)  # a class of one's own may add to them
FIXED = (*PLAIN, tuple, frozenset, CodeType)  # Python may keep one for two that are equal, or not
REPR = {"builtins.range", "builtins.slice", "types.GenericAlias", "types.UnionType", "torch.dtype", "torch.device"}
DESCRIPTORS = (MemberDescriptorType, GetSetDescriptorType, MethodDescriptorType, WrapperDescriptorType)


@dataclass(frozen=True)
class Fingerprint:
    """`digest` in hexadecimal; `unread` names the types of parts that can't be read: it says nothing of those."""

    digest: str
    unread: tuple[str, ...]


def fingerprint(value: object) -> Fingerprint:
    """The fingerprint of a function, or of any value: the same in every process of one Python version."""
    hashed, unread = blake2b(digest_size=16), {}
    try:
        for part in _Reader().parts(value):
            if isinstance(part, _Unread):
                unread[part.name] = None
                part = part.name.encode()
            hashed.update(len(part).to_bytes(8, "big") + part)
    except RecursionError:
        unread["deeply nested parts"] = None
    return Fingerprint(hashed.hexdigest(), tuple(unread))


@dataclass(frozen=True)
class _Unread:
    name: str


Parts = Iterator[bytes | _Unread]


class _Reader:
    """Takes a value apart; what was met before is only referred to, so that circles end."""

    def __init__(self) -> None:
        self.met: dict[int, tuple[int, object]] = {}  # the objects too, lest another take the id of one that is gone

    def parts(self, value: object) -> Parts:
        yield type(value).__qualname__.encode()
        if type(value) in PLAIN:
            yield value if isinstance(value, bytes) else repr(value).encode()
        elif id(value) in self.met:
            yield f"again {self.met[id(value)][0]}".encode()
        else:
            if not isinstance(value, FIXED):
                self.met[id(value)] = len(self.met), value
            if isinstance(value, CONTENTS) and type(value).__module__ != "builtins":
                yield from self._all(type(value), getattr(value, "__dict__", {}))
            read = next((read for kinds, read in READERS.items() if isinstance(value, kinds)), _Reader._object)
            yield from read(self, value)

    def _all(self, *values: object) -> Parts:
        for value in values:
            yield from self.parts(value)

    def _function(self, function: FunctionType) -> Parts:
        code, known = function.__code__, function.__globals__
        yield from self._all(function.__defaults__, function.__kwdefaults__, vars(function))
        for cell in function.__closure__ or ():  # a decorator of a package may hold anybody's function
            yield from self.parts(_content(cell))
        if code.co_filename.startswith(INSTALLED):
            yield f"{_installed(known.get('__name__'))} {code.co_qualname}".encode()
            return
        yield from self._code(code, function.__doc__)
        for name in sorted(_names(code)):
            if name in known:
                yield from self._all(name, known[name])
        for name in sorted(_imports(code)):
            yield from self._named_module(name)

    def _code(self, code: CodeType, doc: str | None = None) -> Parts:
        yield from (code.co_code, repr((code.co_names, code.co_varnames, code.co_flags)).encode())
        for constant in code.co_consts:
            if doc is None or constant is not doc:
                yield from self.parts(constant)

    def _class(self, kind: type) -> Parts:
        yield (known := f"{_installed(kind.__module__)} {kind.__qualname__}").encode()
        if known.startswith(" "):
            yield from self._all(
                *kind.__bases__, {name: value for name, value in vars(kind).items() if _counts(name, value)}
            )

    def _module(self, module: ModuleType) -> Parts:
        yield from self._named_module(module.__name__)
        if _installed(module.__name__):
            return
        for folder in getattr(module, "__path__", ()):  # of a package all that is in it: what of it is loaded is chance
            yield from (path.read_bytes() for path in sorted(Path(folder).rglob("*.py")))
        used, inside = (FunctionType, ModuleType, type), f"{module.__name__}."
        held = (value for _, value in sorted(vars(module).items()) if isinstance(value, used))
        yield from self._all(*(value for value in held if not _home(value).startswith(inside)))

    def _named_module(self, name: str) -> Parts:
        """An installed module's version, or the source of somebody's own."""
        file = _file(name)
        own = not _installed(name) and file and Path(file).is_file()
        yield Path(file).read_bytes() if own else f"{name} {_installed(name)}".encode()

    def _set(self, values: frozenset | set) -> Parts:
        if not all(isinstance(value, PLAIN) for value in values):
            yield _Unread("set of objects")  # which have no order
        else:
            yield from self._all(*sorted(values, key=repr))

    def _mapping(self, values: Mapping) -> Parts:
        for key, value in values.items():
            yield from self._all(key, value)

    def _object(self, value: object) -> Parts:
        if array := _array(value):
            yield from array
            return
        kind = type(value)
        if kind.__module__ == "numpy.dtypes" or f"{kind.__module__}.{kind.__qualname__}" in REPR:
            yield repr(value).encode()
            return
        if (known := _installed(getattr(value, "__module__", None))) and hasattr(value, "__name__"):
            yield f"{known} {value.__name__}".encode()  # such as NumPy's functions, which are objects
            return
        slots = [name for base in kind.__mro__ for name in _slots(base) if hasattr(value, name)]
        if any(map(_in_c, kind.__mro__[:-1])) or not hasattr(value, "__dict__") and not slots:
            yield _Unread(kind.__qualname__)
            return
        yield from self._all(kind, getattr(value, "__dict__", {}), *(getattr(value, name) for name in slots))


READERS: dict[type | tuple, Callable[[_Reader, object], Parts]] = {
    FunctionType: _Reader._function,
    CodeType: _Reader._code,
    type: _Reader._class,
    ModuleType: _Reader._module,
    MethodType: lambda reader, method: reader._all(method.__func__, method.__self__),
    BuiltinFunctionType: lambda reader, function: reader._all(function.__qualname__, function.__self__),
    partial: lambda reader, whole: reader._all(whole.func, whole.args, whole.keywords, vars(whole)),
    type(cache(len)): lambda reader, cached: reader._all(cached.__wrapped__),
    property: lambda reader, own: reader._all(own.fget, own.fset),
    (staticmethod, classmethod): lambda reader, method: reader._all(method.__func__),
    Enum: lambda reader, member: reader._all(type(member).__qualname__, member.name, member.value),
    os.PathLike: lambda reader, path: reader._all(os.fspath(path)),
    DESCRIPTORS: lambda reader, own: reader._all(own.__qualname__),
    type(namedtuple("One", "field").field): lambda reader, own: reader._all(*own.__reduce__()[1]),
    PLAIN: lambda reader, value: reader._all(repr(value)),
    (tuple, list): lambda reader, values: reader._all(*values),
    (set, frozenset): _Reader._set,
    (dict, MappingProxyType): _Reader._mapping,
    SimpleNamespace: lambda reader, value: reader._all(vars(value)),
}


@cache
def _installed(module: str | None) -> str:
    """Name and version of a module that was installed or is part of Python; "" for anybody's own code."""
    top, file = (module or "").partition(".")[0], _file(module or "")
    if top in sys.builtin_module_names:
        return f"{module} {sys.version}"
    if module == "__main__" or not file or not file.startswith(INSTALLED):
        return ""
    packages = _packages().get(top)
    return f"{module} {metadata.version(packages[0]) if packages else sys.version}"


@cache
def _packages() -> Mapping[str, list[str]]:
    """What pip calls the packages behind the names that are imported."""
    return metadata.packages_distributions()


def _home(value: FunctionType | ModuleType | type) -> str:
    """The full name of a module, or of that in which a function or class was made."""
    return value.__name__ if isinstance(value, ModuleType) else value.__module__ or ""


def _file(module: str) -> str | None:
    """Where a module's source lies, loaded or not."""
    if module in sys.modules:
        return getattr(sys.modules[module], "__file__", None)
    try:
        spec = find_spec(module) if module else None
    except ImportError:
        return None
    return spec.origin if spec else None


def _imports(code: CodeType) -> set[str]:
    """The modules that a code imports when it runs, also in the functions inside it."""
    own = {step.argval for step in dis.get_instructions(code) if step.opname == "IMPORT_NAME"}
    return own.union(*(_imports(constant) for constant in code.co_consts if isinstance(constant, CodeType)))


@cache
def _in_c(kind: type) -> bool:
    """Whether a class was written in C, so that its objects may hold what nobody sees."""
    methods = (MethodDescriptorType, WrapperDescriptorType, GetSetDescriptorType)
    return any(
        isinstance(value, methods)
        and name not in ("__dict__", "__weakref__")
        or type(value).__name__ == "instancemethod"
        for name, value in vars(kind).items()
    )


def _counts(name: str, value: object) -> bool:
    """Whether something in a class is its maker's: a name of his own, or a special method."""
    special = name.startswith("__") and name.endswith("__")
    return isinstance(value, FunctionType | classmethod | staticmethod) if special else name != "_abc_impl"


def _names(code: CodeType) -> set[str]:
    """The global names and attributes that a code uses, also in the functions inside it."""
    inner = (constant for constant in code.co_consts if isinstance(constant, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def _content(cell: object) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # nothing in it yet
        return None


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _array(value: object) -> tuple[bytes, bytes] | None:
    """Type and shape, and content, of a NumPy array or a torch tensor; None for anything else."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch and isinstance(value, torch.Tensor) and value.layout == torch.strided:
        flat = value.detach().cpu().reshape(-1)
        return f"{value.dtype} {tuple(value.shape)}".encode(), flat.contiguous().view(torch.uint8).numpy().tobytes()
    if numpy and isinstance(value, numpy.ndarray | numpy.generic) and value.dtype != object:
        return f"{value.dtype} {value.shape}".encode(), value.tobytes()
    return None
