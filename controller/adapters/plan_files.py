"""What `imagectl plan -o json` printed on one node or on many, one after the other in a file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from controller.errors import InvalidSettings
from controller.plan.candidate import Candidate, PlanOfNode
from controller.plan.verdict import Reason

_not_blank = re.compile(r"\S")


def read_plans(file: Path) -> tuple[PlanOfNode, ...]:
    """Every plan in the file. Raises InvalidSettings."""
    try:
        return tuple(map(_plan, _values(file.read_text(encoding="utf-8"))))
    except OSError as error:
        raise InvalidSettings(f"{file} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidSettings(f"{file} is not what `imagectl plan -o json` prints") from error


def _values(text: str) -> Iterator[Any]:
    """JSON texts, one after the other, on one line or on many."""
    decoder, at = json.JSONDecoder(), 0
    while begins := _not_blank.search(text, at):
        value, at = decoder.raw_decode(text, begins.start())
        yield value


def _plan(values: Mapping[str, Any]) -> PlanOfNode:
    node = values.get("node") or {}
    candidates = tuple(_candidate(row) for row in values["references"] if row["verdict"] != Reason.PROTECTED)
    return PlanOfNode(node.get("org") or "", node.get("id") or "", candidates)


def _candidate(row: Mapping[str, Any]) -> Candidate:
    names = (row["reference"], *(row.get("names_remembered") or ()))
    if not all(isinstance(name, str) for name in names):
        raise TypeError
    return Candidate(names[0], names[1:], bool(row["agent_downloaded"]))
