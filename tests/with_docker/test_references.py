"""Every kind of reference, on every engine: a rule removes what it names, all of it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from controller.adapters.engine.address import Address
from controller.adapters.engine.connection import Connection
from controller.adapters.engine.engine import DockerEngine
from tests.fakes import Plain, a_removal
from tests.with_docker import images
from tests.with_docker.images import Recipe
from tests.with_docker.on_engine import OnEngine, on_engine
from tests.with_docker.private_engine import PrivateEngine

APP, ALSO, OTHER = "site.local/app:1", "site.local/app:2", "other.local/app:1"


@pytest.fixture
def controller(engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path) -> Iterator[OnEngine]:
    with on_engine(engine, docker_api, tmp_path) as controller:
        yield controller


def _by(controller: OnEngine, *rules: Plain) -> dict[str, str]:
    """The removals by these rules."""
    controller.rules(*rules)
    controller.run_pass_later()
    return controller.came_of


# ── tags ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rule_on_one_tag_removes_that_tag_only(controller: OnEngine) -> None:
    images.load_image(controller.api, APP, ALSO, OTHER)
    assert _by(controller, a_removal(ALSO)) == {ALSO: "untagged"}
    assert controller.left == {APP, OTHER}


def test_a_rule_on_a_repository_leaves_the_tags_of_another(controller: OnEngine) -> None:
    images.load_image(controller.api, APP, ALSO, OTHER)
    assert _by(controller, a_removal("site.local/app:*")) == {APP: "untagged", ALSO: "untagged"}
    assert controller.left == {OTHER}


def test_an_image_is_removed_with_the_last_of_its_tags(controller: OnEngine) -> None:
    images.load_image(controller.api, APP, ALSO, OTHER)
    assert sorted(_by(controller, a_removal()).values()) == ["removed", "untagged", "untagged"]
    assert controller.api.images(all=True) == []


def test_a_name_of_docker_hub_is_removed_by_its_full_and_by_its_familiar_name(controller: OnEngine) -> None:
    images.load_image(controller.api, "site.local/keep:1")
    for name in ("docker.io/library/one:1", "docker.io/library/two:1", "docker.io/team/three:1"):
        images.tag(controller.api, "site.local/keep:1", name)
    rules = [a_removal(pattern) for pattern in ("docker.io/library/one:*", "two:*", "team/three:1")]
    assert set(_by(controller, *rules)) == {"one:1", "two:1", "team/three:1"}
    assert controller.left == {"site.local/keep:1"}


def test_a_name_without_a_registry_is_removed_by_the_name_that_the_engine_prints(
    controller: OnEngine, engine: PrivateEngine
) -> None:
    images.load_image(controller.api, "app:1")
    printed = "localhost/app:1" if engine.is_podman else "app:1"
    assert _by(controller, a_removal(printed)) == {printed: "removed"}


# ── digests ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pushed(controller: OnEngine, registry: str) -> str:
    """An image that only the registry has, as `repository@digest`."""
    name = f"{registry}/app:1"
    images.load_image(controller.api, name)
    digest = images.push(controller.api, name)
    controller.api.remove_image(name)
    return f"{registry}/app@{digest}"


def test_a_rule_for_a_digest_removes_an_image_pulled_by_digest(controller: OnEngine, pushed: str) -> None:
    images.pull(controller.api, pushed)
    assert _by(controller, a_removal(pushed)) == {pushed: "removed"}
    assert controller.api.images(all=True) == []


def test_a_rule_for_a_repository_removes_an_image_pulled_by_digest(controller: OnEngine, pushed: str) -> None:
    images.pull(controller.api, pushed)
    assert _by(controller, a_removal(pushed.replace("@", ":").partition(":sha256")[0] + ":*")) == {pushed: "removed"}


def test_a_rule_for_tags_keeps_an_image_pulled_by_digest(controller: OnEngine, pushed: str) -> None:
    images.pull(controller.api, pushed)
    assert _by(controller, a_removal(pushed.partition("@")[0] + ":1*")) == {}
    assert controller.reasons(pushed) == ["NO_RULE"]


def test_a_digest_beside_a_tag_of_its_repository_is_removed_with_the_tag(controller: OnEngine, pushed: str) -> None:
    name = pushed.partition("@")[0] + ":1"
    images.pull(controller.api, name)
    assert _by(controller, a_removal(pushed)) == {}
    assert list(controller.verdicts) == [name]
    assert _by(controller, a_removal(name)) == {name: "removed"}
    assert controller.api.images(all=True) == []


def test_a_digest_beside_a_tag_of_another_repository_is_kept(controller: OnEngine, pushed: str) -> None:
    image = images.pull(controller.api, pushed)
    images.tag(controller.api, image, OTHER)
    assert _by(controller, a_removal(OTHER)) == {OTHER: "untagged"}
    assert controller.has(image)
    assert _by(controller, a_removal()) == {pushed: "removed"}


# ── images without a name ─────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_whose_tag_has_moved_is_removed_by_the_rule_for_the_tag(
    controller: OnEngine, engine: PrivateEngine
) -> None:
    old = images.load_image(controller.api, APP, variant="old")
    controller.run_pass()
    images.load_image(controller.api, APP, variant="new")
    controller.rules(a_removal("site.local/app:*", minutes=30), a_removal(APP, minutes=120))
    controller.run_pass_later()
    assert not controller.has(old)
    if engine.kind != "d26-c8d":  # it drops the old image by itself
        assert controller.came_of == {old if old.startswith("sha256:") else f"sha256:{old}": "removed"} | {
            APP: "removed"
        }


def test_an_image_that_never_had_a_name_is_removed_by_the_bare_star_only(
    controller: OnEngine, engine: PrivateEngine
) -> None:
    if engine.kind == "d26-c8d":
        pytest.skip("the containerd store of Docker 26 cannot load an image without a name")
    image = images.load_image(controller.api)
    assert _by(controller, a_removal("*:*"), a_removal("site.local/*:*")) == {}
    assert list(_by(controller, a_removal()).values()) == ["removed"]
    assert not controller.has(image)


def test_an_image_that_an_old_api_names_none_is_removed(
    engine: PrivateEngine, docker_api: docker.APIClient, tmp_path: Path
) -> None:
    images.load(docker_api, [Recipe((APP,), variant="old")])
    images.load(docker_api, [Recipe((APP,), variant="new")])
    old_api = DockerEngine(Connection(Address(engine.host), api_version="1.41"))
    with on_engine(engine, docker_api, tmp_path, port=old_api) as controller:
        controller.run_pass_later()
    assert set(controller.came_of.values()) == {"removed"}
    assert docker_api.images(all=True) == []
