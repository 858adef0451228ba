"""`dataclass`: the standard one, with methods that all classes share.

The standard decorator compiles six methods for each class. There are two hundred classes: that was a third of the time
until a command starts, and 2 MiB. Here `__init__` is compiled when the first value is made.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field, FrozenInstanceError, fields
from functools import cache
from inspect import get_annotations
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any, TypeVar

T = TypeVar("T")
_SHARED = {"frozen", "slots", "eq", "kw_only"}


def _dataclass(kind: type[T] | None = None, /, **options: Any) -> Any:
    """`dataclasses.dataclass`, with the methods below; with other options than these it is the standard one."""
    if not options.keys() <= _SHARED:
        return dataclasses.dataclass(kind, **options)
    decorator = _decorator(**options)
    return decorator if kind is None else decorator(kind)


def _decorator(
    *, frozen: bool = False, slots: bool = False, eq: bool = True, kw_only: bool = False
) -> Callable[[type], Any]:
    methods = _OF_ALL | (_OF_FROZEN if frozen else {}) | (_OF_FROZEN_WITH_SLOTS if frozen and slots else {})
    if eq:
        methods |= {"__eq__": _eq, "__hash__": _hash if frozen else None}

    def decorated(kind: type) -> Any:
        own = frozenset(vars(kind))
        kind.__doc__ = kind.__doc__ or kind.__name__  # Else the standard decorator computes a signature for it.
        value: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)(kind)
        for name in methods.keys() - own:
            setattr(value, name, methods[name])
        value.__key__ = staticmethod(_key_of([each.name for each in fields(value) if each.compare]))
        return value

    return decorated


def _key_of(names: list[str]) -> Callable[[object], Any]:
    """Returns the tuple of these attributes."""
    return attrgetter(*names) if len(names) > 1 else lambda value: tuple(getattr(value, name) for name in names)


def types_of(kind: Any) -> dict[str, Any]:
    """The type of each field, by its name.

    `typing.get_type_hints` compiles the text of every annotation; here a text that several fields have is compiled
    once.
    """
    # The names in an annotation are known in the module of the class that declares the field.
    modules = {name: each.__module__ for each in reversed(kind.__mro__) for name in get_annotations(each)}
    return {each.name: _type_of(str(each.type), modules[each.name]) for each in fields(kind)}


@cache
def _type_of(annotation: str, module: str) -> Any:
    return eval(annotation, vars(sys.modules[module]))  # noqa: S307  Text of this program.


# ── the shared methods ───────────────────────────────────────────────────────────────────────────────────────────────


def _init(self: Any, *values: Any, **named: Any) -> None:
    """Replace this by the compiled `__init__` of the class, and run that."""
    kind: Any = next(each for each in type(self).__mro__ if "__init__" in vars(each))
    kind.__init__ = _compiled_init(kind)
    kind.__init__(self, *values, **named)


def _eq(self: Any, other: Any) -> Any:
    return self.__key__(self) == self.__key__(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(self.__key__(self))


@recursive_repr()
def _repr(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _setattr(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _delattr(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in fields(self)]


def _setstate(self: Any, state: list[Any]) -> None:
    """For copies and pickles, which are made without `__init__`."""
    for each, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)


_OF_ALL: dict[str, Any] = {"__init__": _init, "__repr__": _repr}
_OF_FROZEN: dict[str, Any] = {"__setattr__": _setattr, "__delattr__": _delattr}
_OF_FROZEN_WITH_SLOTS: dict[str, Any] = {"__getstate__": _getstate, "__setstate__": _setstate}


# ── the compiled method ──────────────────────────────────────────────────────────────────────────────────────────────


def _compiled_init(kind: Any) -> Any:
    """`__init__` with a parameter for each field, as the standard decorator makes it."""
    known: dict[str, Any] = {"set_": object.__setattr__, "unset_": MISSING, "fields_": kind.__dataclass_fields__}
    text = "\n  ".join((f"def __init__({', '.join(_parameters(kind))}):", *_statements(kind), "return"))
    exec(text, known)  # noqa: S102  Names of fields, as in the standard library.
    compiled = known["__init__"]
    compiled.__qualname__ = f"{kind.__qualname__}.__init__"  # It is part of the messages of a TypeError.
    return compiled


def _parameters(kind: Any) -> Iterator[str]:
    parameters = [each for each in fields(kind) if each.init]
    by_name = [each for each in parameters if each.kw_only]
    yield "self"
    yield from (f"{each.name}{_default_of(each)}" for each in parameters if not each.kw_only)
    yield from ("*", *(f"{each.name}{_default_of(each)}" for each in by_name)) if by_name else ()


def _default_of(each: Field[Any]) -> str:
    if each.default is not MISSING:
        return f"=fields_['{each.name}'].default"
    return "" if each.default_factory is MISSING else "=unset_"


def _statements(kind: Any) -> Iterator[str]:
    for each in fields(kind):
        if source := _source_of(each):
            yield f"set_(self, '{each.name}', {source})"
    if hasattr(kind, "__post_init__"):
        yield "self.__post_init__()"


def _source_of(each: Field[Any]) -> str:
    """Where the value of a field comes from; empty if `__post_init__` sets it."""
    declared = f"fields_['{each.name}']"
    if each.default_factory is not MISSING:
        made = f"{declared}.default_factory()"
        return f"{made} if {each.name} is unset_ else {each.name}" if each.init else made
    if each.init:
        return each.name
    return "" if each.default is MISSING else f"{declared}.default"


if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    dataclass = _dataclass
