"""Requests and answers that were recorded from a real Exchange, a real agent and a real `hzn`.

Exchange 2.154.0 with PostgreSQL 15, anax 2f3fa5a5. Secrets and paths of the recording machine are left out. Recorded on
2026-11-29; chapters 40 and 41 of the Exchange and the nodes without sections on 2026-11-30.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

_DATA = Path(__file__).parent / "data" / "openhorizon"


@cache
def recorded(name: str) -> Mapping[str, Any]:
    """The recordings `agent`, `exchange` or `agent-matching`, by chapter."""
    with gzip.open(_DATA / f"{name}.json.gz", "rt", encoding="utf-8") as file:
        recording: Mapping[str, Any] = json.load(file)
    return recording


def agent_answers(chapter: str) -> dict[str, Any]:
    """The bodies of one chapter by path."""
    return {answer["path"]: answer["body"] for answer in recorded("agent")[chapter]}


def exchange_calls(chapter: str) -> Sequence[Mapping[str, Any]]:
    """The requests of one chapter with their answers."""
    calls: Sequence[Mapping[str, Any]] = recorded("exchange")[chapter]
    return calls
