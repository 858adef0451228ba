"""Validating 1,000 policy documents, with libyaml and without."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from controller.policy.document.parse import Parsed, parse_documents, refuse_duplicates
from controller.policy.text import yaml_reader
from tests.bench.figure import Figure, seconds

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


def figures() -> Iterator[Figure]:
    files = [DOCUMENT.replace("{number}", str(number)).encode() for number in range(DOCUMENTS)]
    for name, (parser, limit) in PARSERS.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(yaml_reader, "FAST", parser)
            took = seconds(lambda: validated(files))
        each = f"{took / DOCUMENTS * 1000:.2f} ms for each"
        yield Figure(f"{DOCUMENTS:,} documents validated, {name}", took, "s", limit, each)


def validated(files: list[bytes]) -> list[Parsed]:
    """Every file parsed and checked, and names compared over files. All are valid."""
    parsed = list(refuse_duplicates(parse_documents(data, f"{number}.yaml") for number, data in enumerate(files)))
    assert not [problem for file in parsed for problem in file.problems]
    return parsed
