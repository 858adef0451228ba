"""Results of a test run on each engine, from pytest's report: `results.json`, for the README's table."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from xml.etree import ElementTree

RESULTS = Path(__file__).parent / "results.json"
ENGINE = "engine"
"""The property with the engine of each test."""


@dataclass
class Result:
    """The results on one engine."""

    engine: str
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    findings: dict[str, str] = field(default_factory=dict)


def results(reports: Iterable[Path]) -> list[Result]:
    """In the order in which the engines were run; tests that need no engine do not count."""
    found: dict[str, Result] = {}
    for case in (case for report in reports for case in ElementTree.parse(report).iter("testcase")):
        told = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        if not (engine := told.pop(ENGINE, None)):
            continue
        result = found.setdefault(engine, Result(engine))
        has_failed = case.find("failure") is not None or case.find("error") is not None
        result.failed += has_failed
        is_skipped = case.find("skipped") is not None
        result.skipped += is_skipped
        result.passed += not (has_failed or is_skipped)
        result.findings |= told
    return list(found.values())


if __name__ == "__main__":
    RESULTS.write_text(json.dumps([asdict(each) for each in results(map(Path, sys.argv[1:]))], indent=2) + "\n")
