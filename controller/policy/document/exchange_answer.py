"""Convert an answer of the Exchange into the files to deliver: one per policy, equal bytes for equal policies.

A file has the Exchange's own form, so that the policy keeps its name.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from hashlib import sha256

from controller.errors import ExchangeBusy, ExchangeUnavailable
from controller.json_text import decoded
from controller.policy.document.image_property import unfolded
from controller.policy.problem import quoted
from controller.value import dataclass

LONGEST_NAME = 135
"""Bytes of a file name without its extension. Some file systems allow only 143 (eCryptfs), most 255."""

_unsafe = re.compile(r"[^a-z0-9_.-]|^[.-]")


@dataclass(frozen=True, slots=True)
class ExchangePolicy:
    """One policy to deliver."""

    name: str
    """Its name in the Exchange: `org/name`."""
    file: str
    data: bytes
    last_updated: str
    """From the Exchange. It is part of `data`, so a new value is a new text."""
    fault: str
    """The problem of its image policy, or empty. The policy is delivered in any case."""


def read_answer(body: bytes, organisation: str) -> tuple[ExchangePolicy, ...]:
    """All policies of the organisation. Raises ExchangeUnavailable if the answer is incomplete or invalid."""
    try:
        answer = decoded(body, _decoder)
        documents = answer.get("managementPolicy") if isinstance(answer, dict) else None
        if not isinstance(documents, dict):
            raise ExchangeUnavailable('invalid response: no "managementPolicy" (is this an Exchange?)')
        return tuple(_policy(name, document, organisation) for name, document in sorted(documents.items()))
    except ValueError as error:
        raise ExchangeBusy(f"invalid response: not valid JSON (truncated?): {error}") from None


def file_name(name: str) -> str:
    """A unique name for a file or folder that every file system accepts and that is not hidden.

    Percent-encoding (RFC 3986, 2.1) of all but a-z 0-9 _ . - and of a first dot or hyphen; of capitals too, because
    vfat and SMB ignore case. A name that is too long is cut and ends with `~` and its SHA-256.
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
            f"invalid response: {quoted(name)} is not a policy of {organisation} (is this an Exchange?)"
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
    """Keys are sorted, because the Exchange keeps no order; ASCII only, so that every character is visible."""
    return f"{json.dumps(answer, indent=2, sort_keys=True, allow_nan=False)}\n".encode("ascii")


def _percent(character: str) -> str:
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


def _without_repeats(pairs: list[tuple[str, object]]) -> dict[str, object]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("duplicate name in one object")
    return values


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(text)} is not a number that JSON can hold")
    return number


_decoder = json.JSONDecoder(object_pairs_hook=_without_repeats, parse_float=_finite, parse_constant=_finite)
