"""A commit reaches a node and removes an image: repository, delivery, folder, controller, engine, all of them real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import docker
import pytest

from tests.deploy.git import Delivery, Repository
from tests.deploy.program import imagectl, rows, running
from tests.deploy.waiting import eventually
from tests.with_docker import images
from tests.with_docker.private_engine import PrivateEngine, free_address

POLICY = """
label: old versions of the shop
enabled: true
image_policy:
  removal: [{image_name: "shop:1.*", delete_after_minutes: 0, agent_downloaded_only: false}]
"""


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """A delivery of an empty repository."""
    Repository.made(tmp_path / "repository", {"README.md": "policies of the fleet"})
    folder = tmp_path / "delivered"
    folder.mkdir()
    return Delivery(folder, {"POLICIES_REPOSITORY": str(tmp_path / "repository")})


@pytest.fixture
def repository(delivery: Delivery) -> Repository:
    return Repository(Path(delivery.settings["POLICIES_REPOSITORY"]))


@pytest.fixture
def settings(delivery: Delivery, engine: PrivateEngine, tmp_path: Path) -> dict[str, str]:
    """The settings of the node's controller, as its environment."""
    return {
        "IMAGECTL_POLICIES": str(delivery.current),
        "IMAGECTL_LEDGER": str(tmp_path / "ledger.db"),
        "IMAGECTL_LISTEN": free_address(),
        "IMAGECTL_SETTLE": "1s",
        "DOCKER_HOST": engine.host,
    }


@pytest.fixture
def shop(docker_api: docker.APIClient) -> Iterator[None]:
    """Two versions of an image that no container uses."""
    images.load_image(docker_api, "shop:1.0")
    images.load_image(docker_api, "shop:2.0", variant="new")
    yield
    for name in images.names_of(docker_api) & {"shop:1.0", "shop:2.0"}:
        docker_api.remove_image(name)


@pytest.mark.usefixtures("shop")
def test_a_commit_removes_an_image_and_all_outputs_name_it(
    docker_api: docker.APIClient, delivery: Delivery, repository: Repository, settings: dict[str, str]
) -> None:
    delivery.run()
    with running(environment=settings):
        eventually(lambda: imagectl("health", "--ready", **settings).returncode == 0)
        assert {"shop:1.0", "shop:2.0"} <= images.names_of(docker_api)
        commit = repository.commit({"policies/shop.yaml": POLICY})
        delivery.run()
        eventually(lambda: "shop:1.0" not in images.names_of(docker_api))
        eventually(lambda: [row["outcome"] for row in rows("get", "removals", **settings)] == ["removed"])
        with urlopen(f"http://{settings['IMAGECTL_LISTEN']}/metrics") as answer:
            assert f'policy_revision_info{{revision="{commit}"}} 1.0' in answer.read().decode()
    (policy,) = rows("get", "policies", **settings)
    assert (policy["name"], policy["state"], policy["revision"]) == ("policies/shop", "in_force", commit)
    assert "shop:2.0" in images.names_of(docker_api)


@pytest.mark.usefixtures("shop")
def test_a_policy_that_is_taken_back_removes_nothing_more(
    docker_api: docker.APIClient, delivery: Delivery, repository: Repository, settings: dict[str, str]
) -> None:
    repository.commit({"shop.yaml": POLICY})
    delivery.run()
    repository.git("rm", "--quiet", "shop.yaml")
    repository.commit({})
    delivery.run()
    assert imagectl("run", "--once", **settings).returncode == 0
    assert "shop:1.0" in images.names_of(docker_api)
