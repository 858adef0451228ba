"""Render problems as text, JSON, GitHub annotations or SARIF."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import controller
from controller.policy.document.parse import Document
from controller.policy.problem import Problem
from controller.printable import printable
from controller.value import dataclass

_SAFE_IN_A_URI = re.compile(rb"[^A-Za-z0-9/._~-]")


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """The result of `nmp validate`."""

    problems: Sequence[Problem]
    documents: Sequence[Document]
    files: int

    @property
    def errors(self) -> int:
        return sum(problem.is_error for problem in self.problems)

    @property
    def warnings(self) -> int:
        return len(self.problems) - self.errors

    @property
    def summary(self) -> str:
        """`3 files, 4 documents: 2 errors, 1 warning`."""
        checked = f"{_count(self.files, 'file')}, {_count(len(self.documents), 'document')}"
        return f"{checked}: {_count(self.errors, 'error')}, {_count(self.warnings, 'warning')}"


def as_text(report: ValidationReport) -> str:
    return "\n".join(str(problem) for problem in report.problems)


def as_json(report: ValidationReport) -> str:
    problems = [
        {
            "file": printable(problem.file),
            "line": problem.line,
            "column": problem.column,
            "field": printable(problem.field),
            "severity": problem.severity,
            "message": printable(problem.message),
            "hint": printable(problem.hint),
        }
        for problem in report.problems
    ]
    documents = [
        {"name": document.name, "file": printable(document.file), "line": document.line, "state": document.state}
        for document in report.documents
    ]
    counts = {"files": report.files, "errors": report.errors, "warnings": report.warnings}
    return json.dumps({**counts, "documents": documents, "problems": problems}, indent=2, ensure_ascii=False)


def as_github(report: ValidationReport) -> str:
    """Workflow commands, which GitHub shows at the lines of a pull request."""
    return "\n".join(
        f"::{problem.severity} file={_property(problem.file)},line={problem.line},col={problem.column},"
        f"title={_property(problem.field or 'policy document')}::{_data(problem.sentence)}"
        for problem in report.problems
    )


def as_sarif(report: ValidationReport) -> str:
    """SARIF 2.1.0; files that are not absolute are relative to where the command ran."""
    rule = {"id": "policy-document", "shortDescription": {"text": "A node management policy must be valid"}}
    driver = {"name": "imagectl nmp validate", "semanticVersion": controller.__version__, "rules": [rule]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_sarif_result(problem) for problem in report.problems],
    }
    log = {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


FORMATS: dict[str, Callable[[ValidationReport], str]] = {
    "text": as_text,
    "json": as_json,
    "github": as_github,
    "sarif": as_sarif,
}


def _sarif_result(problem: Problem) -> dict[str, Any]:
    region = {"startLine": problem.line, "startColumn": problem.column}
    place = {"artifactLocation": {"uri": _uri(problem.file)}, "region": region}
    return {
        "ruleId": "policy-document",
        "level": problem.severity,
        "message": {"text": problem.sentence},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    path = file.encode("utf-8", "surrogateescape")
    return _SAFE_IN_A_URI.sub(lambda found: b"%%%02X" % found[0][0], path).decode()


def _data(text: str) -> str:
    """In a workflow command `%` starts an escape and a line end ends it; `:` and `,` end a property."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(printable(text)).replace(":", "%3A").replace(",", "%2C")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
