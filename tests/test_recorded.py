"""The recorded answers of a real agent and a real Exchange."""

from __future__ import annotations

import pytest

from tests.campaigns.recorded import CHECKS


@pytest.mark.parametrize("name", CHECKS)
def test_our_code_reads_recorded_answers_as_they_were_meant(name: str) -> None:
    result = CHECKS[name]()
    assert result.differences == []
    assert result.answers > 30
