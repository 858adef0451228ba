"""The Exchange's answer > the files to deliver: one for each policy, the same bytes for the same policy.

A file holds the Exchange's own form, so that the policy keeps its name. Nothing is read or written here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from controller.errors import ExchangeBusy, ExchangeUnavailable
from controller.policy.document.image_property import unfolded
from controller.policy.problem import quoted

LONGEST_NAME = 135
"""Bytes of a file's name without its ending. Some file systems take only 143 (eCryptfs), most 255."""

_unsafe = re.compile(r"[^a-z0-9_.-]|^[.-]")


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """One policy as it is delivered."""

    name: str
    """The Exchange's: `org/name`."""
    file: str
    data: bytes
    last_updated: str
    """As the Exchange says it. It is part of `data`: a later one is another text."""
    fault: str
    """What is wrong with its image policy; empty if nothing. It is delivered all the same."""


def read_answer(body: bytes, organisation: str) -> tuple[ExchangePolicy, ...]:
    """All policies of the organisation. Raises ExchangeUnavailable unless the answer is whole and makes sense."""
    try:
        answer = json.loads(body, object_pairs_hook=_without_repeats, parse_float=_finite, parse_constant=_finite)
        documents = answer.get("managementPolicy") if isinstance(answer, dict) else None
        if not isinstance(documents, dict):
            raise ExchangeUnavailable('the answer is not one of an Exchange: it has no "managementPolicy"')
        return tuple(_policy(name, document, organisation) for name, document in sorted(documents.items()))
    except ValueError as error:
        raise ExchangeBusy(f"the answer is cut short or not JSON: {error}") from None
    except RecursionError:
        raise ExchangeUnavailable("the answer is nested too deep") from None


def file_name(name: str) -> str:
    """A name for a file or folder that every file system takes, that is not hidden, and that no other name leads to.

    Percent-encoding (RFC 3986, 2.1) of all but a-z 0-9 _ . - and of a first dot or hyphen: of capitals too, since vfat
    and SMB take `A` for `a`. What is too long even so is cut, and told apart by its SHA-256 after a `~`, which no other
    name has.
    """
    encoded = _unsafe.sub(lambda found: _percent(found[0]), name)
    if len(encoded) <= LONGEST_NAME:
        return encoded
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{encoded[: LONGEST_NAME - len(digest) - 1]}~{digest}"


def _policy(name: str, document: object, organisation: str) -> ExchangePolicy:
    own_name = name.removeprefix(f"{organisation}/")
    if own_name in ("", name) or not isinstance(document, dict):
        raise ExchangeUnavailable(
            f"the answer is not one of an Exchange: {quoted(name)} is no policy of {organisation}"
        )
    readable = unfolded(document)
    return ExchangePolicy(
        name,
        f"{file_name(own_name)}.json",
        _text({"managementPolicy": {name: readable.document}, "lastIndex": 0}),
        str(document.get("lastUpdated", "")),
        readable.fault,
    )


def _text(answer: Mapping[str, object]) -> bytes:
    """Keys are sorted, since the Exchange keeps no order; ASCII only, so that no character is invisible."""
    return f"{json.dumps(answer, indent=2, sort_keys=True, allow_nan=False)}\n".encode("ascii")


def _percent(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is there twice in one object")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(text)} is not a number that JSON can hold")
    return number
