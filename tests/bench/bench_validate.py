"""What it costs to validate policy documents, with libyaml and without: `python -m tests.bench.bench_validate`."""

from __future__ import annotations

import sys
from time import perf_counter

import pytest

from controller.policy import yaml_reader
from controller.policy.parse import parse_documents, refuse_duplicates

DOCUMENTS = 1_000
PARSERS = {"libyaml": (yaml_reader.FAST, 2.0), "pure Python": (yaml_reader.PURE, 15.0)}
"""The parser, and how many seconds it may take."""

DOCUMENT = """\
# Removes what was downloaded for services and is no longer used.
label: cleaning {number}
description: Images of services that have gone, on gateways
enabled: true
constraints:
  - openhorizon.arch == "arm64" && site{number} == paris
  - openhorizon.memory >= 512 || tier in "small,medium"
properties:
  - name: purpose
    value: cleaning
  - name: release
    value: "1.4.{number}"
    type: version
start: 2027-01-31T22:00:00Z
startWindow: 86400
image_policy:
  removal:
    - image_name: "registry.local:5000/team{number}/*:1.*"
      delete_after_minutes: 1440
      agent_downloaded_only: true
    - image_name: "example/sensor{number}:*"
      delete_after_minutes: 10080
      agent_downloaded_only: true
    - image_name: "example/builder:latest"
      delete_after_minutes: 0
      agent_downloaded_only: false
"""


@pytest.mark.parametrize("name", PARSERS)
def test_1000_documents_are_validated_in_seconds(name: str) -> None:
    parser, limit = PARSERS[name]
    took = seconds_for_all(parser)
    sys.stdout.write(f"{name:12} {DOCUMENTS} documents in {took:5.2f} s, {took / DOCUMENTS * 1000:.2f} ms each\n")
    assert took < limit


def seconds_for_all(parser: object) -> float:
    """Every file read, parsed and checked, and names compared over files. All are valid."""
    files = [DOCUMENT.replace("{number}", str(number)).encode() for number in range(DOCUMENTS)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_reader, "FAST", parser)
        began = perf_counter()
        parsed = refuse_duplicates(parse_documents(data, f"{number}.yaml") for number, data in enumerate(files))
        took = perf_counter() - began
    assert not [problem for file in parsed for problem in file.problems]
    return took


if __name__ == "__main__":
    for each in PARSERS:
        test_1000_documents_are_validated_in_seconds(each)
