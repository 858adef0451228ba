from __future__ import annotations

import re
from pathlib import Path

import tests.delivery

_line = re.compile(r"^( *\d+|  ) +\S.*? {2,}(test_\w+)$", re.MULTILINE)
LISTED = _line.findall(tests.delivery.__doc__ or "")


def test_every_way_to_fail_has_a_test() -> None:
    assert [int(number) for number, _ in LISTED if number.strip()] == list(range(1, 24))


def test_every_test_in_the_list_exists() -> None:
    here = Path(__file__).parent
    files = [*here.glob("test_*.py"), here.parent / "adapters/folder/test_watch.py"]
    defined = {name for file in files for name in re.findall(r"^def (test_\w+)\(", file.read_text(), re.MULTILINE)}
    assert {name for _, name in LISTED} - defined == set()
