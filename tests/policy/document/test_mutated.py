"""A sample of the campaign of mutated documents, `python -m tests.campaigns documents`."""

from __future__ import annotations

import pytest

from controller.policy.document.parse import Parsed, parse_documents
from tests.campaigns import documents

_GOOD = "enabled: true\nimage_policy: {removal: [%s]}\n"
_RULE = '{image_name: "a:*", delete_after_minutes: %s, agent_downloaded_only: true}'


def test_no_mutated_document_is_accepted_with_another_meaning() -> None:
    counts = documents.run(400, seed=5)
    assert (counts["wrong"], counts["accepted"] > 50, counts["refused"] > 50) == (0, True, True)


def test_a_document_that_is_accepted_with_another_meaning_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_other_minutes(data: bytes, file: str) -> Parsed:
        return parse_documents(data.replace(b": 5,", b": 6,"), file)

    monkeypatch.setattr(documents, "parse_documents", with_other_minutes)
    assert documents.wrong_accept(_GOOD % _RULE % 5, "a.yaml").startswith("YAML 1.1")
    assert documents.wrong_accept(_GOOD % _RULE % 7, "a.yaml") == ""


def test_a_broken_document_beside_a_good_one_is_no_wrong_accept() -> None:
    assert documents.wrong_accept(f"{_GOOD % _RULE % 5}---\na: [\n---\n{_GOOD % _RULE % 7}", "a.yaml") == ""
