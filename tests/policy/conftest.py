"""Every test with `each_parser` runs with libyaml and with the parser that 32-bit ARM has."""

from __future__ import annotations

import pytest

from controller.policy.text import yaml_reader


@pytest.fixture(params=["libyaml", "pure Python"])
def each_parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "libyaml" and yaml_reader.FAST is yaml_reader.PURE:
        pytest.skip("this PyYAML has no libyaml")
    if request.param == "pure Python":
        monkeypatch.setattr(yaml_reader, "FAST", yaml_reader.PURE)
    return str(request.param)
