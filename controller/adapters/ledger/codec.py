"""Dataclasses ↔ JSON texts, by their type hints.

A missing field has its default. Everything else that does not fit the hints raises ValueError; a word that no enum
has, or a field that no class has, raises UnknownValueError, because a newer version may have written it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache, partial
from sys import intern
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from controller.image.reference import Reference, reference_from_engine
from controller.json_text import decoded as read_json
from controller.value import types_of

_Decode = Callable[[Any], Any]


class UnknownValueError(ValueError):
    """A word or a field that this version does not know."""


def encoded(value: object) -> str:
    """The value as one line of JSON."""
    return json.dumps(_plain(value), separators=(",", ":"))


def decoded(kind: Any, text: str) -> Any:
    """The value of that type. Raises ValueError, UnknownValueError."""
    return _decoder(kind)(read_json(text))


def _plain(value: Any) -> Any:
    if isinstance(value, Reference):
        return value.text
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value) if each.init}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return list(map(_plain, value)) if isinstance(value, (tuple, list)) else value


@cache
def _decoder(kind: Any) -> _Decode:
    if getattr(kind, "__supertype__", None) is str:  # A NewType: an ID, which many values of the memory name.
        return lambda value: intern(_scalar(str, value))
    origin, arguments = get_origin(kind), get_args(kind)
    if kind in (object, Any):
        return lambda value: value
    if origin in (Union, UnionType):
        (only,) = (each for each in arguments if each is not NoneType)
        return partial(_optional, _decoder(only))
    if origin in (tuple, list, Sequence):
        return partial(_items, tuple, _decoder(arguments[0]))
    if origin is frozenset:
        return partial(_items, frozenset, _decoder(arguments[0]))
    if origin in (Mapping, dict):
        return partial(_mapping, _decoder(arguments[1]))
    if kind is Reference:
        return lambda value: reference_from_engine(_scalar(str, value))
    if is_dataclass(kind):
        types = types_of(kind)
        make: Any = kind
        return partial(_instance, make, {each.name: _decoder(types[each.name]) for each in fields(kind) if each.init})
    return partial(_word if issubclass(kind, StrEnum) else _scalar, kind)


def _optional(decode: _Decode, value: Any) -> Any:
    return None if value is None else decode(value)


def _items(kind: Callable[[Any], Any], decode: _Decode, value: Any) -> Any:
    return kind(map(decode, _scalar(list, value)))


def _mapping(decode: _Decode, value: Any) -> Any:
    return {key: decode(item) for key, item in _scalar(dict, value).items()}


def _instance(kind: Callable[..., Any], decoders: Mapping[str, _Decode], value: Any) -> Any:
    given = _scalar(dict, value)
    if unknown := given.keys() - decoders.keys():
        raise UnknownValueError(f"unknown field {min(unknown)}")
    try:
        return kind(**{name: decoders[name](item) for name, item in given.items()})
    except TypeError as error:  # A field without a default is missing.
        raise ValueError(str(error)) from error


def _word(kind: Callable[[str], Any], value: Any) -> Any:
    word = _scalar(str, value)
    try:
        return kind(word)
    except ValueError as error:
        raise UnknownValueError(f"unknown word {word!r}") from error


def _scalar(kind: type, value: Any) -> Any:
    """The value, if it has exactly this type; a whole number counts as a float too."""
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{value!r:.80} where {kind.__name__} is expected")
    return value
