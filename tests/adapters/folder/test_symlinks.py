from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from controller.adapters.folder.symlinks import Link, Trail, target_of, trail_of


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """pytest's own folders may be behind links."""
    return tmp_path.resolve()


def linked(link: Path, target: str) -> Link:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    return Link(link, Path(target))


def test_a_plain_path_leads_to_itself(top: Path) -> None:
    assert trail_of(top / "missing/policies") == Trail(top / "missing/policies")
    assert trail_of(Path("/")) == Trail(Path("/"))


def test_every_link_on_the_path_is_listed_with_its_place(top: Path) -> None:
    (top / "trees/abc/policies").mkdir(parents=True)
    current = linked(top / "git/current", "../trees/abc")
    alias = linked(top / "etc/policies", str(top / "git/current/policies"))
    assert trail_of(top / "etc/policies") == Trail(top / "trees/abc/policies", (alias, current))


def test_a_link_without_a_target_ends_where_it_points(top: Path) -> None:
    link = linked(top / "policies", "gone/abc")
    assert trail_of(top / "policies") == Trail(top / "gone/abc", (link,))


def test_two_dots_after_a_link_mean_the_parent_of_its_target(top: Path) -> None:
    (top / "trees/abc").mkdir(parents=True)
    link = linked(top / "git/current", "../trees/abc")
    assert trail_of(top / "git/current/../sibling") == Trail(top / "trees/sibling", (link,))
    assert trail_of(Path("/../../etc")).end == Path("/etc")


def test_a_circular_link_ends_after_forty_links(top: Path) -> None:
    linked(top / "a", "b")
    linked(top / "b", "a")
    assert len(trail_of(top / "a").links) == 40


def test_a_swap_makes_another_trail(top: Path) -> None:
    linked(top / "policies", "v1")
    before = trail_of(top / "policies")
    (top / "policies").unlink()
    linked(top / "policies", "v2")
    assert trail_of(top / "policies") != before


def test_a_path_that_is_not_a_link_has_no_target(top: Path) -> None:
    assert (target_of(top), target_of(top / "missing"), target_of(top / "missing/below")) == (None, None, None)


NAMES = st.sampled_from(["a", "b", "c", "..", "."])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=2 * settings().max_examples)
@given(links=st.dictionaries(st.sampled_from(["a", "b", "a/c", "b/c"]), PATHS, max_size=4), path=PATHS)
def test_the_end_of_the_trail_equals_the_real_path(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str], path: str
) -> None:
    top = tmp_path_factory.mktemp("top").resolve() / "x/y/z"
    for folder in ("a", "b", "c"):
        if folder not in links:
            (top / folder).mkdir(parents=True)
    for link, target in links.items():
        if not os.path.lexists(top / link) and (top / link).parent.is_dir():
            (top / link).parent.mkdir(parents=True, exist_ok=True)
            (top / link).symlink_to(target)
    try:
        real = (top / path).resolve(strict=True)
    except (OSError, RuntimeError):
        reject()
    assert trail_of(top / path).end == real
