"""The markers of what each test needs besides Python, and the number of examples of property-based tests.

`pytest -m "not (needs_root or needs_engine or needs_browser or needs_tools)"` is `make unit`.
A test gets its markers from its folder or file, from the fixtures that it uses, or from a decorator.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from controller.daemon import reconcile
from controller.plan.verdict import decision, planner

_FOLDER = Path(__file__).parent

NEEDS = {
    "needs_root": "it mounts file systems, enters namespaces or installs packages",
    "needs_engine": "it runs on a private container engine that deploy/local/engine.sh starts",
    "needs_browser": "it opens the status page in Chromium",
    "needs_tools": "it runs a program that a minimal Debian does not have, such as git, openssl or promtool",
}

_OF_PLACES = {
    "with_docker": ("needs_root", "needs_engine"),
    "packaging": ("needs_root", "needs_engine", "needs_tools"),
    "deploy": ("needs_root", "needs_tools"),
    "delivery/test_bind_mounts.py": ("needs_root", "needs_tools"),
    "delivery/test_git_sync.py": ("needs_tools",),
    "delivery/test_watching_that_fails.py": ("needs_root",),
    "manifests/test_rules.py": ("needs_tools",),
    "manifests/test_with_node_exporter.py": ("needs_tools",),
}

_OF_FIXTURES = {
    ("deploy", "engine"): ("needs_engine",),
    ("manifests", "prometheus"): ("needs_root", "needs_engine", "needs_tools"),
    ("page", "one_browser"): ("needs_browser",),
    ("daemon", "certificate"): ("needs_tools",),
    ("cli", "certificate"): ("needs_tools",),
    ("adapters", "authority"): ("needs_tools",),
    ("adapters", "small_disk"): ("needs_root",),
}

# A slow machine is not a defect: no example has a deadline.
settings.register_profile("thorough", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("thorough"), max_examples=20)
settings.register_profile("few", settings.get_profile("thorough"), max_examples=5)  # emulated
settings.load_profile("thorough")


def pytest_configure(config: pytest.Config) -> None:
    for name, reason in NEEDS.items():
        config.addinivalue_line("markers", f"{name}: {reason}")


def pytest_itemcollected(item: pytest.Item) -> None:
    for name in _needs(item):
        item.add_marker(name)


def _needs(item: pytest.Item) -> set[str]:
    file = item.path.relative_to(_FOLDER)
    of_places = [_OF_PLACES.get(str(place), ()) for place in (file, *file.parents)]
    of_fixtures = [_OF_FIXTURES.get((file.parts[0], name), ()) for name in getattr(item, "fixturenames", ())]
    return {name for names in of_places + of_fixtures for name in names}


def _in_any_order(plan: planner.Plan) -> tuple[object, ...]:
    """The order of the verdicts is that of the engine's list, which counts only for what is removed."""
    return replace(plan, verdicts=()), Counter(plan.verdicts)


@pytest.fixture(autouse=True)
def _plans_that_hold_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a test runs passes, a plan that was kept because nothing but time has passed equals a new one."""
    decide_again = decision.decide_again

    def compared(before: decision.Decision, *arguments: Any) -> decision.Decision:
        decided = decide_again(before, *arguments)
        with_new_plan = decide_again(replace(before, plan_facts=()), *arguments)
        assert decided.information == with_new_plan.information
        assert _in_any_order(decided.plan) == _in_any_order(with_new_plan.plan)
        return decided

    for module in (decision, reconcile):
        monkeypatch.setattr(module, "decide_again", compared)
