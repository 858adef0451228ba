from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from controller.adapters.folder import places as watch_places
from controller.adapters.folder.mounts import Mount
from controller.adapters.folder.places import WatchPlace, places_around, watch_problems
from controller.adapters.folder.watch import PolicyWatch


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path.resolve()


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def shown(places: tuple[WatchPlace, ...], top: Path) -> list[tuple[str, set[str]]]:
    """Each place and what counts in it, below `top`."""
    return [(named(place.top, top), {named(Path(path), top) for path in place.paths}) for place in places]


def named(path: Path, top: Path) -> str:
    return str(path.relative_to(top))


def test_a_folder_is_watched_recursively_and_by_its_name_in_its_parent(top: Path) -> None:
    made(top / "policies/team")
    places = places_around(top / "policies")
    assert shown(places, top) == [("policies", set()), (".", {"policies", "."})]
    assert [directory.path for directory in places[0].directories] == [top / "policies", top / "policies/team"]
    assert [place.is_recursive for place in places] == [True, False]


def test_every_link_on_the_path_is_watched_in_its_folder(top: Path) -> None:
    made(top / "trees/v1/policies")
    made(top / "git")
    (top / "git/current").symlink_to("../trees/v1")
    (top / "policies").symlink_to("git/current/policies")
    assert shown(places_around(top / "policies"), top) == [
        ("trees/v1/policies", set()),
        (".", {"policies", "."}),
        ("git", {"git/current", "git"}),
        ("trees/v1", {"trees/v1/policies", "trees/v1"}),
    ]


def test_a_missing_path_is_watched_in_the_nearest_existing_folder(top: Path) -> None:
    assert shown(places_around(top / "etc/images/policies"), top) == [(".", {"etc", "."})]
    made(top / "etc")
    assert shown(places_around(top / "etc/images/policies"), top) == [("etc", {"etc/images", "etc"})]


def test_a_file_in_place_of_the_folder_is_watched_in_its_parent(top: Path) -> None:
    (top / "policies").write_text("")
    assert shown(places_around(top / "policies"), top) == [(".", {"policies", "."})]


def test_links_below_are_not_followed(top: Path) -> None:
    """Their targets are in the folder, or are not read."""
    made(top / "policies/real")
    (top / "policies/link").symlink_to("real")
    (top / "policies/out").symlink_to("..")
    assert len(places_around(top / "policies")[0].directories) == 2


def test_the_places_are_equal_until_a_directory_is_replaced(top: Path) -> None:
    for name in "cab":
        made(top / f"policies/{name}")
    before = places_around(top / "policies")
    (top / "policies/a/p.yaml").write_text("")
    assert places_around(top / "policies") == before
    made(top / "b").replace(top / "policies/b")
    assert places_around(top / "policies") != before


def test_the_root_folder_can_be_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_places, "_folders_in", lambda _: [])
    assert [place.top for place in places_around(Path("/"))] == [Path("/"), Path("/")]


def test_a_very_deep_tree_is_walked(top: Path) -> None:
    """It may be too deep for watchdog, which then says so."""
    deep = top / "/".join(["d"] * 1200)
    subprocess.run(["mkdir", "-p", str(deep)], check=True)
    try:
        assert places_around(top)[0].directories[-1].path == deep
        watch = PolicyWatch(top, lambda: None)
        watch.follow()
        watch.stop()
    finally:
        subprocess.run(["rm", "-rf", str(top / "d")], check=True)


# --- Doubts ---


def test_a_file_system_that_reports_all_changes_has_no_watch_problem(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_places, "mounts", lambda: (Mount(Path("/"), "ext4", False),))
    assert list(watch_problems(places_around(top))) == []


def test_a_directory_that_cannot_be_listed_is_a_watch_problem(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = made(top / "closed")
    monkeypatch.setattr(os, "access", lambda path, *_, **__: path != closed)
    assert list(watch_problems(places_around(top))) == [f"{closed} cannot be listed"]


def test_a_file_system_that_other_hosts_change_is_a_watch_problem(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_places, "mounts", lambda: (Mount(top, "nfs4", False),))
    assert list(watch_problems(places_around(top))) == [
        "file system type nfs4 does not report changes made on other hosts"
    ]


def test_a_mounted_file_is_a_watch_problem_and_a_mounted_folder_is_not(
    top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(top / "folder")
    table = tuple(Mount(place, "ext4", False) for place in (top / "folder", top / "p.yaml", top.parent))
    monkeypatch.setattr(watch_places, "mounts", lambda: table)
    assert list(watch_problems(places_around(top))) == [f"{top / 'p.yaml'} is a mount of its own"]
