"""How a pass grows with images, rules, documents and history: each alone, and all together.

Before each pass an image comes, so that every verdict is made again. The engine is the fake one: only the time of the
controller counts.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from controller.adapters.folder.folder import PolicyFolder
from controller.adapters.ledger.ledger import Ledger
from controller.plan.verdict.decision import Conditions
from controller.plan.verdict.removal import Exactness, Freed, Intent, Outcome, Removal
from tests.bench.figure import Figure, seconds
from tests.builders import an_id
from tests.fakes import a_document, a_removal
from tests.host import Host, a_host

IMAGES = (100, 1_000, 10_000)
RULES = DOCUMENTS = (1, 10, 100, 1_000)
HISTORY = (1, 100, 10_000, 100_000)
PASSES = 5
MOST_OF_THE_SUM = 1.5
A_WEEK_MINUTES = 7 * 24 * 60


def figures() -> Iterator[Figure]:
    axes = {
        "images": {many: _pass(images=many) for many in IMAGES},
        "rules": {many: _pass(rules=many) for many in RULES},
        "documents": {many: _pass(documents=many) for many in DOCUMENTS},
        "rows of history": {many: _pass(history=many) for many in HISTORY},
    }
    for axis, took in axes.items():
        values = ", ".join(f"{many:,}: {each * 1_000:.1f}" for many, each in took.items())
        yield Figure(f"our own part of a pass, {max(took):,} {axis}", took[max(took)] * 1_000, "ms", detail=values)
    together = _pass(IMAGES[-1], RULES[-1], DOCUMENTS[-1], HISTORY[-1])
    alone = sum(took[max(took)] for took in axes.values())
    detail = f"{together * 1_000:.0f} ms, and {alone * 1_000:.0f} ms in four passes"
    yield Figure("the largest of all in one pass, of their sum", together / alone, "x", MOST_OF_THE_SUM, detail)


def _pass(images: int = 100, rules: int = 1, documents: int = 1, history: int = 1) -> float:
    """Seconds of one pass, the median of some."""
    with TemporaryDirectory() as name, a_host(conditions=Conditions(trust_new_texts=True)) as host:
        _write_documents(Path(name), rules, documents)
        host.folder.read = PolicyFolder(Path(name)).read  # type: ignore[method-assign]
        _fill(host, images, history)
        host.run_pass()
        return statistics.median(_one_pass(host, number) for number in range(PASSES))


def _one_pass(host: Host, number: int) -> float:
    host.engine.load(f"new{number}.local/app:1")
    took = seconds(host.run_pass)
    assert not host.last.trouble
    return took


def _write_documents(folder: Path, rules: int, documents: int) -> None:
    each = max(1, rules // documents)
    for number in range(documents):
        names = [f"team{number * each + rule}/*:1.*" for rule in range(each)]
        document = a_document(*(a_removal(name, A_WEEK_MINUTES) for name in names))
        (folder / f"{number}.json").write_text(json.dumps(document))


def _fill(host: Host, images: int, history: int) -> None:
    for number in range(images):
        host.engine.load(f"team{number % 2_000}/app:{number}")
    assert isinstance(host.ledger, Ledger)
    for first in range(0, history, 10_000):
        host.ledger.record(list(map(_removal, range(first, min(history, first + 10_000)))))


def _removal(number: int) -> Removal:
    intent = Intent(an_id("old"), f"old:{number}", f"old:{number}", "0", 0, "text", 1.0, 1)
    return Removal(intent, Outcome.REMOVED, Freed(1, Exactness.EXACT), float(number))
