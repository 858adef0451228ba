from __future__ import annotations

from pathlib import Path

from controller.adapters.folder.revision import delivery_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHA256_COMMIT = COMMIT + "0123456789abcdef01234567"


def revision(folder: Path) -> str:
    return delivery_of(folder).revision


def linked(link: Path, target: str) -> Path:
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)
    return link


def test_a_plain_folder_has_no_revision(tmp_path: Path) -> None:
    assert revision(tmp_path) == ""
    assert revision(tmp_path / "missing") == ""


def test_git_sync_names_the_tree_by_its_commit(tmp_path: Path) -> None:
    (tmp_path / ".worktrees" / COMMIT / "site/policies").mkdir(parents=True)
    link = linked(tmp_path / "current", f".worktrees/{COMMIT}")
    assert revision(link) == COMMIT
    assert revision(link / "site/policies") == COMMIT


def test_a_repository_of_sha_256_has_longer_names(tmp_path: Path) -> None:
    assert revision(linked(tmp_path / "current", SHA256_COMMIT)) == SHA256_COMMIT


def test_a_link_into_a_tree_shows_the_commit_and_not_the_folder(tmp_path: Path) -> None:
    assert revision(linked(tmp_path / "etc", f"trees/{COMMIT}/policies")) == COMMIT
    linked(tmp_path / "git/current", COMMIT)
    assert revision(linked(tmp_path / "policies", "git/current/policies")) == COMMIT


def test_a_kubernetes_volume_shows_the_time(tmp_path: Path) -> None:
    (tmp_path / "..2026_11_23_08_40_12.123").mkdir()
    linked(tmp_path / "..data", "..2026_11_23_08_40_12.123")
    assert revision(tmp_path) == "2026_11_23_08_40_12.123"


def test_a_link_made_by_hand_shows_its_target(tmp_path: Path) -> None:
    assert revision(linked(tmp_path / "policies", "releases/v2")) == "v2"


def test_other_links_on_the_path_are_not_a_revision(tmp_path: Path) -> None:
    (tmp_path / "private/state/policies").mkdir(parents=True)
    linked(tmp_path / "state", "private/state")
    assert revision(tmp_path / "state/policies") == ""


def test_every_swap_is_another_delivery_and_an_edit_in_place_is_not(tmp_path: Path) -> None:
    link = linked(tmp_path / "current", "v1")
    (tmp_path / "v1").mkdir()
    before = delivery_of(link)
    (tmp_path / "v1/a.yaml").write_text("label: x\n")
    assert delivery_of(link) == before
    link.unlink()
    linked(link, "v2")
    assert delivery_of(link) != before
