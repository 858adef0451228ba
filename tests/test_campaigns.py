"""`python -m tests.campaigns NAME` runs the campaign of that name and no other."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tests.campaigns import __main__ as campaigns


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, list[str]]]:
    """The campaigns that ran, with their arguments."""
    ran: list[tuple[str, list[str]]] = []

    def imported(module: str) -> SimpleNamespace:
        def main() -> int:
            ran.append((module.rpartition(".")[2], sys.argv[1:]))
            return 0

        return SimpleNamespace(main=main)

    monkeypatch.setattr(campaigns, "import_module", imported)
    return ran


@pytest.mark.parametrize("arguments", [["history"], ["kills", "--kills", "100"]])
def test_only_the_named_campaign_runs(
    ran: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["campaigns", *arguments])
    assert campaigns.main() == 0
    assert ran == [(arguments[0], arguments[1:])]


def test_without_a_name_all_run(ran: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["campaigns"])
    assert campaigns.main() == 0
    assert len(ran) > 5


def test_an_unknown_name_runs_nothing(ran: list[tuple[str, list[str]]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["campaigns", "nothing"])
    assert (campaigns.main(), ran) == (2, [])
