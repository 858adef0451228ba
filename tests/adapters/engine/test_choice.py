"""Which engine is used where none is named, and what is said about it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.adapters.engine.choice import EngineChoice, EngineHost, choose_engine
from controller.errors import InvalidSettings

DOCKER, PODMAN = "/var/run/docker.sock", "/run/podman/podman.sock"
OF_USER = "/run/user/1000"
USER_DOCKER, USER_PODMAN = f"{OF_USER}/docker.sock", f"{OF_USER}/podman/podman.sock"


def chosen(
    *sockets: str,
    named: str = "",
    known: str = "",
    environment: Mapping[str, str] | None = None,
    is_root: bool = True,
) -> EngineChoice:
    """The choice on a host that has these sockets."""
    return choose_engine(named, "", known, EngineHost(environment or {}, is_root, lambda path: path in sockets))


@pytest.mark.parametrize(
    ("sockets", "url"),
    [
        ([DOCKER], DOCKER),
        ([PODMAN], PODMAN),
        ([USER_DOCKER], USER_DOCKER),
        ([USER_PODMAN], USER_PODMAN),
        ([USER_PODMAN, USER_DOCKER, PODMAN, DOCKER], DOCKER),
        ([USER_PODMAN, USER_DOCKER, PODMAN], PODMAN),
        ([USER_PODMAN, USER_DOCKER], USER_DOCKER),
    ],
)
def test_the_first_socket_that_exists_is_used(sockets: list[str], url: str) -> None:
    choice = chosen(*sockets, environment={"XDG_RUNTIME_DIR": OF_USER}, is_root=False)
    assert (choice.address.url, choice.why) == (f"unix://{url}", "the first socket that exists")


def test_root_does_not_use_the_engine_of_a_user() -> None:
    assert chosen(USER_PODMAN, environment={"XDG_RUNTIME_DIR": OF_USER}).address.socket_path == DOCKER


def test_where_no_socket_exists_the_message_says_what_was_tried() -> None:
    choice = chosen()
    assert choice.address.note == f"tried {DOCKER}, {PODMAN}; name another one with --docker-host"
    assert choice.text == f"unix://{DOCKER} (no socket of an engine exists)"


def test_several_sockets_are_named_in_a_warning() -> None:
    assert chosen(DOCKER).warning == ""
    assert chosen(DOCKER, PODMAN).warning == f"other engines on this host: unix://{PODMAN}; --docker-host names one"


@pytest.mark.parametrize("variable", ["DOCKER_HOST", "CONTAINER_HOST"])
@pytest.mark.parametrize("url", ["unix:///x.sock", "tcp://host:2375"])
def test_a_variable_names_the_engine(variable: str, url: str) -> None:
    choice = chosen(DOCKER, environment={variable: url})
    assert (choice.address.url, choice.why) == (url, variable)


def test_the_setting_wins_over_dockers_variable_and_that_over_podmans() -> None:
    both = {"DOCKER_HOST": "unix:///d.sock", "CONTAINER_HOST": "unix:///c.sock"}
    assert chosen(environment=both).address.url == "unix:///d.sock"
    assert chosen(named="unix:///n.sock", environment=both).text == "unix:///n.sock (--docker-host)"


@pytest.mark.parametrize(
    ("named", "environment", "message"),
    [
        ("ssh://host", {}, "--docker-host ssh://host: ssh is not supported"),
        ("", {"DOCKER_HOST": "ssh://host"}, "DOCKER_HOST ssh://host: ssh is not supported"),
        ("", {"CONTAINER_HOST": "ssh://u@host/run/podman.sock"}, "CONTAINER_HOST ssh://u@host"),
        ("", {"DOCKER_HOST": "nonsense"}, "DOCKER_HOST nonsense: use unix:///path or tcp://host:port"),
        ("", {"DOCKER_CONTEXT": "remote"}, "the docker context is remote"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_the_settings(named: str, environment: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        chosen(DOCKER, named=named, environment=environment)


# ── the ledger knows an engine ───────────────────────────────────────────────────────────────────────────────────────


def test_the_engine_of_the_ledger_is_used_even_while_only_another_one_runs() -> None:
    """After a boot another engine may be up first: the ledger's images must not count as gone."""
    choice = chosen(PODMAN, known=f"unix://{DOCKER}")
    assert choice.text == f"unix://{DOCKER} (the engine that the ledger knows)"
    assert choice.warning == f"other engines on this host: unix://{PODMAN}; --docker-host names one"


def test_only_the_setting_changes_the_engine_of_a_ledger() -> None:
    environment = {"DOCKER_HOST": f"unix://{PODMAN}"}
    with pytest.raises(InvalidSettings, match=f"the ledger knows the engine at unix://{DOCKER}"):
        chosen(DOCKER, PODMAN, known=f"unix://{DOCKER}", environment=environment)
    assert chosen(named=f"unix://{PODMAN}", known=f"unix://{DOCKER}", environment=environment).why == "--docker-host"


def test_two_paths_to_one_socket_are_one_engine(tmp_path: Path) -> None:
    (tmp_path / "real.sock").touch()
    (tmp_path / "link.sock").symlink_to("real.sock")
    known, given = f"unix://{tmp_path}/real.sock", f"unix://{tmp_path}/link.sock"
    assert chosen(known=known, environment={"DOCKER_HOST": given}).address.url == given


# ── docker contexts ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("variable", ["HOME", "DOCKER_CONFIG"])
def test_the_current_docker_context_must_be_the_default_one(variable: str, tmp_path: Path) -> None:
    folder = tmp_path / ".docker" if variable == "HOME" else tmp_path
    folder.mkdir(exist_ok=True)
    file = folder / "config.json"
    file.write_text(json.dumps({"currentContext": "remote"}))
    environment = {variable: str(tmp_path)}

    with pytest.raises(InvalidSettings, match="the docker context is remote"):
        chosen(DOCKER, environment=environment)

    assert chosen(DOCKER, named="unix:///x.sock", environment=environment).why == "--docker-host"
    assert chosen(DOCKER, environment=environment | {"DOCKER_HOST": "unix:///x.sock"}).why == "DOCKER_HOST"
    assert chosen(DOCKER, environment=environment | {"DOCKER_CONTEXT": "default"}).address.socket_path == DOCKER


@pytest.mark.parametrize("text", ["", "{", "[]", '{"currentContext": 3}', '{"auths": {}}', '{"currentContext": ""}'])
def test_a_configuration_of_docker_without_a_context_does_not_matter(text: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(text)
    assert chosen(DOCKER, environment={"DOCKER_CONFIG": str(tmp_path)}).address.socket_path == DOCKER
