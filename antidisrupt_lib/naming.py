"""What a user's function is called, and what it says of itself: of any callable, however it was made.

Functions, lambdas, bound methods, objects with `__call__` and torch modules come alone, or wrapped by functools
(partial, wraps, cache), one in the other. What the innermost one is called and declares is handed on.
"""

import re
import warnings
from collections.abc import Callable
from functools import partial
from types import MethodType

from antidisrupt_lib.fingerprint import fingerprint


def display_name(function: Callable) -> str:
    """What tables, axes and messages call a callable: a word without spaces, the same in every process.

    A function goes by its name, a method by its class's and its own, an object by its class. A lambda is told from
    others by its code and what it holds (`lambda_1f0c22a9`), a partial by its settings (`cw_l2_threshold_0.1`).
    """
    if isinstance(function, partial):
        settings = [*map(_value, function.args), *(f"{k}_{_value(v)}" for k, v in sorted(function.keywords.items()))]
        return "_".join([display_name(function.func), *settings])
    name = getattr(function, "__name__", None)
    if not isinstance(name, str):
        return type(function).__name__
    if name == "<lambda>":
        return f"lambda_{_digest(function, 'This lambda')}"
    if not isinstance(function, MethodType):
        return name
    owner = function.__self__
    return f"{(owner if isinstance(owner, type) else type(owner)).__name__}.{name}"


def base_name(function: Callable) -> str:
    """The display name without a partial's settings: with none changed, it draws the same noise as the function."""
    return display_name(innermost(function))


def innermost(function: Callable) -> Callable:
    """The callable inside all partials."""
    return innermost(function.func) if isinstance(function, partial) else function


def declared(function: Callable, name: str, default: object) -> object:
    """What a callable says of itself in its attribute `name`; wrappers that don't say it hand on what they wrap."""
    missing = object()
    while (found := getattr(function, name, missing)) is missing:
        inner = function.func if isinstance(function, partial) else getattr(function, "__wrapped__", None)
        if inner is None:
            return default
        function = inner
    return found


def _value(value: object) -> str:
    if isinstance(value, bool | int | float | str):
        return re.sub(r"[^\w.+-]+", "-", str(value))
    return display_name(value) if callable(value) else _digest(value, f"A setting of type {type(value).__name__}")


def _digest(value: object, what: str) -> str:
    found = fingerprint(value)
    if found.unread:
        warnings.warn(
            f"{what} can't be told from another that differs only in its {found.unread[0]}. "
            "Write it as a function with a name (def) to tell them apart.",
            stacklevel=3,
        )
    return found.digest[:8]
