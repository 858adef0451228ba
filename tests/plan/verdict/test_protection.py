"""Images that no rule may remove."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.image.image import Image
from controller.image.reference import Reference, reference_from_engine
from controller.image.selector import parse_selector
from controller.plan.memory.observation import Store
from controller.plan.verdict.protection import protection_on
from tests.builders import a_container, an_engine, an_image, an_observation


def why(image: Image, *protected: str, names: tuple[Reference, ...] | None = None, **observed: object) -> str:
    seen = an_observation([image], **observed)  # type: ignore[arg-type]
    protection = protection_on(seen, map(parse_selector, protected))
    return protection.reason_for(image, (*image.tags, *image.digests) if names is None else names)


def test_nothing_protects_an_ordinary_image() -> None:
    assert why(an_image("app:1")) == ""


def test_the_operator_protects_by_pattern() -> None:
    assert why(an_image("app:1"), "other:*", "app:*") == "protected by --protect app:*"


def test_a_full_name_protects_that_name_alone() -> None:
    protected = [name for name in ("a:1", "b:1", "c:1", "c:11") if why(an_image(name), "a:1", "c:1")]
    assert protected == ["a:1", "c:1"]


def test_a_pattern_may_have_wildcards_in_repository_and_tag() -> None:
    patterns = ("user/one:*", "user/foo:tag*", "user/repo-*:tag")
    names = ("user/one:1", "user/foo:test", "user/foo:tag123", "user/repo-1:tag", "user/repo-2:tag")
    assert [name for name in names if not why(an_image(name), *patterns)] == ["user/foo:test"]


def test_one_protected_name_protects_them_all() -> None:
    assert why(an_image("app:1", "keep:1"), "keep:*")
    assert why(an_image("app:1", digests=["keep@sha256:" + "d" * 64]), "keep:*")


def test_an_image_is_protected_by_the_names_that_it_had_last() -> None:
    assert why(an_image(id="nameless"), "app:*", names=(reference_from_engine("app:1"),))


def test_only_a_bare_wildcard_protects_what_never_had_a_name() -> None:
    assert why(an_image(id="nameless"), "*")
    assert not why(an_image(id="nameless"), "*:*")


def test_the_label_protects() -> None:
    assert why(an_image("app:1", keep=True)) == "label image-controller.keep"


@pytest.mark.parametrize(
    "name",
    [
        "openhorizon/amd64_anax:2.31.0",
        "openhorizon/arm64_anax:latest",
        "openhorizon/amd64_cloud-sync-service:1",
        "openhorizon/amd64_edge-sync-service:1",
        "localhost/openhorizon/amd64_anax:2.31.0",
    ],
)
def test_the_agents_own_images_are_protected(name: str) -> None:
    assert why(an_image(name)).startswith("image of the Open Horizon agent")


def test_images_of_services_of_the_agent_are_not() -> None:
    assert not why(an_image("openhorizon/ibm.helloworld_amd64:1.0.0"))


@pytest.mark.parametrize("service", ["app:1", "app:1@sha256:" + "d" * 64, "docker.io/library/app:1"])
def test_a_service_of_the_swarm_protects_its_image(service: str) -> None:
    image = an_image("app:1", digests=["app@sha256:" + "d" * 64])
    assert why(image, services=[service]) == "used by a swarm service"


def test_a_service_without_a_tag_means_latest() -> None:
    assert why(an_image("app:latest"), services=["app"])
    assert not why(an_image("app:1"), services=["app"])


OWN = an_image("controller:2", digests=["controller@sha256:" + "d" * 64])


def test_the_image_and_the_repository_of_this_controller_are_protected() -> None:
    ourselves = a_container(OWN)
    for image in (OWN, an_image("controller:1")):
        seen = an_observation([OWN, image], [ourselves], own_container=ourselves.id)
        assert protection_on(seen, ()).reason_for(image, image.tags).startswith("controller is the repository")


def test_our_own_image_is_protected_even_if_it_is_hidden() -> None:
    ourselves = a_container(OWN, created_from="controller:2")
    seen = an_observation([an_image("controller:1")], [ourselves], own_container=ourselves.id)
    assert protection_on(seen, ()).reason_for(an_image("controller:1"), an_image("controller:1").tags)


def test_outside_a_container_no_own_image_is_protected() -> None:
    assert not why(OWN, containers=[a_container(OWN)])


# ── Podman ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["localhost/app:1", "registry.local:5000/app:1", "app:1"])
def test_on_podman_a_pattern_without_a_registry_protects_under_any_registry(name: str) -> None:
    assert why(an_image(name), "app:1", store=Store.PODMAN) == "protected by --protect app:1"


@pytest.mark.parametrize("name", ["localhost/team/app:1", "localhost/app:2"])
def test_on_podman_a_pattern_still_covers_no_other_repository_or_tag(name: str) -> None:
    assert why(an_image(name), "app:1", store=Store.PODMAN) == ""


def test_on_podman_a_pattern_with_a_registry_protects_under_that_registry_only() -> None:
    assert why(an_image("localhost/app:1"), "docker.io/library/app:1", store=Store.PODMAN) == ""


def test_on_docker_a_name_under_another_registry_is_another_name() -> None:
    assert why(an_image("localhost/app:1"), "app:1") == ""


# ── doubt ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("is_manager", "is_protected"), [(False, True), (True, False)])
def test_a_swarm_worker_keeps_images_that_services_used_recently(is_manager: bool, is_protected: bool) -> None:
    image = an_image("app:1")
    engine = replace(an_engine(Store.GRAPH_DRIVER), manages_swarm=is_manager)
    protection = protection_on(an_observation([image], engine=engine), (), {image.id: 1.0})
    assert ("swarm worker" in protection.reason_for(image, image.tags)) is is_protected
