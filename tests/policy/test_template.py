from __future__ import annotations

import pytest

from controller.policy.document.parse import State, parse_documents
from controller.policy.template import new_document

CHOICES = {
    "      image_name:": '      image_name: "old:*"',
    "      delete_after_minutes:": "      delete_after_minutes: 1440",
    "      agent_downloaded_only:": "      agent_downloaded_only: true",
}


@pytest.mark.parametrize("name", ["", "gateways", 'a "quoted" näme: #1', "two\nlines \x1b[31m"])
def test_only_what_a_person_must_choose_is_missing(name: str) -> None:
    problems = parse_documents(new_document(name).encode(), "a.yaml").problems
    assert [(problem.field, problem.message) for problem in problems] == [
        ("image_policy.removal[0].image_name", "has no value"),
        ("image_policy.removal[0].delete_after_minutes", "has no value"),
        ("image_policy.removal[0].agent_downloaded_only", "has no value"),
    ]


def test_once_that_is_chosen_the_document_is_valid_and_switched_off() -> None:
    text = "\n".join(CHOICES.get(line, line) for line in new_document("gateways").splitlines())
    (document,) = parse_documents(text.encode(), "gateways.yaml").documents
    assert (document.state, document.problems) == (State.DISABLED, ())
    assert document.policy is not None
    assert document.policy.label == "gateways"


@pytest.mark.parametrize("field", ["description", "constraints", "patterns", "properties", "start", "startWindow"])
def test_every_example_is_valid_without_its_hash_sign(field: str) -> None:
    lines = [CHOICES.get(line, line) for line in new_document().splitlines()]
    first = lines.index(next(line for line in lines if line.startswith(f"# {field}:")))
    last = lines.index("", first)
    lines[first:last] = [line.removeprefix("# ") for line in lines[first:last]]
    assert parse_documents("\n".join(lines).encode(), "a.yaml").problems == ()


def test_an_editor_finds_the_schema_in_the_first_line() -> None:
    assert new_document().startswith("# yaml-language-server: $schema=nmp.schema.json\n")
