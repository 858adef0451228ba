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
    skipped: int | None = 0
    """None: an earlier run did not count them."""
    failed: int = 0
    findings: dict[str, str] = field(default_factory=dict)


def results(reports: Iterable[Path]) -> list[Result]:
    """In the order in which the engines were run; tests that need no engine do not count.

    A test that was run again counts once, as in the later report.
    """
    found: dict[str, Result] = {}
    cases = {
        (case.attrib["classname"], case.attrib["name"]): case
        for report in reports
        for case in ElementTree.parse(report).iter("testcase")
    }
    for case in cases.values():
        properties = {each.attrib["name"]: each.attrib["value"] for each in case.iter("property")}
        if not (engine := properties.pop(ENGINE, None)):
            continue
        result = found.setdefault(engine, Result(engine))
        has_failed = case.find("failure") is not None or case.find("error") is not None
        result.failed += has_failed
        is_skipped = case.find("skipped") is not None
        result.skipped = (result.skipped or 0) + is_skipped
        result.passed += not (has_failed or is_skipped)
        result.findings |= properties
    return list(found.values())


def _with_earlier(found: list[Result]) -> list[Result]:
    """Engines that were not run now keep their earlier results."""
    now = {result.engine: result for result in found}
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    earlier = [Result(**{"skipped": None} | values) for values in stored]
    kept = [now.pop(result.engine, result) for result in earlier]
    return [*kept, *now.values()]


if __name__ == "__main__":
    rows = [asdict(each) for each in _with_earlier(results(map(Path, sys.argv[1:])))]
    RESULTS.write_text(json.dumps(rows, indent=2) + "\n")
