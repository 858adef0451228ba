from __future__ import annotations

import json

from controller.policy.document.parse import parse_documents
from controller.policy.problem import Problem
from controller.policy.report import ValidationReport, as_github, as_json, as_sarif, as_text

ERROR = Problem("a b,c.yaml", 5, 19, 'managementPolicy["x:y"].enabled', "error", "100% wrong", "no")
WARNING = Problem("ä/b.yaml", 1, 1, "", "warning", "holds\nno document")
REPORT = ValidationReport((ERROR, WARNING), parse_documents(b"label: a", "a.yaml").documents, files=2)


def test_people_read_one_line_for_each_problem() -> None:
    assert as_text(REPORT).splitlines() == [str(ERROR), str(WARNING)]
    assert REPORT.summary == "2 files, 1 document: 1 error, 1 warning"


def test_programs_read_json() -> None:
    report = json.loads(as_json(REPORT))
    assert (report["files"], report["errors"], report["warnings"]) == (2, 1, 1)
    assert report["documents"] == [{"name": "a", "file": "a.yaml", "line": 1, "state": "invalid"}]
    assert report["problems"][0] == {
        "file": "a b,c.yaml",
        "line": 5,
        "column": 19,
        "field": 'managementPolicy["x:y"].enabled',
        "severity": "error",
        "message": "100% wrong",
        "hint": "no",
    }


def test_github_gets_workflow_commands_with_what_ends_them_escaped() -> None:
    assert as_github(REPORT).splitlines() == [
        '::error file=a b%2Cc.yaml,line=5,col=19,title=managementPolicy["x%3Ay"].enabled'
        '::managementPolicy["x:y"].enabled: 100%25 wrong (no)',
        "::warning file=ä/b.yaml,line=1,col=1,title=policy document::holds\\u000ano document",
    ]


def test_sarif_names_the_rule_and_the_place() -> None:
    log = json.loads(as_sarif(REPORT))
    (run,) = log["runs"]
    assert log["version"] == "2.1.0"
    assert run["tool"]["driver"]["rules"][0]["id"] == "policy-document"
    first, second = run["results"]
    assert (first["ruleId"], first["level"], second["level"]) == ("policy-document", "error", "warning")
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "a%20b%2Cc.yaml"
    assert place["region"] == {"startLine": 5, "startColumn": 19}
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%C3%A4/b.yaml"


def test_nothing_to_report_is_an_empty_report_in_every_format() -> None:
    nothing = ValidationReport((), (), 0)
    assert (as_text(nothing), as_github(nothing)) == ("", "")
    assert json.loads(as_json(nothing))["problems"] == []
    assert json.loads(as_sarif(nothing))["runs"][0]["results"] == []
