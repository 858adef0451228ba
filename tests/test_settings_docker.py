"""Settings that come from the variables of the `docker` command."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller import settings


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({}, ""),
        ({"DOCKER_CERT_PATH": "/certs"}, ""),
        ({"DOCKER_TLS_VERIFY": "", "DOCKER_CERT_PATH": "/certs"}, ""),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}, "/certs"),
        ({"DOCKER_TLS_VERIFY": "1"}, "/home/user/.docker"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": ""}, "/home/user/.docker"),
        ({"DOCKER_TLS_VERIFY": "1", "DOCKER_CONFIG": "/etc/docker"}, "/etc/docker"),
        ({"DOCKER_TLS_VERIFY": "1", "IMAGECTL_DOCKER_CERTIFICATES": "/own"}, "/own"),
    ],
)
def test_certificates_are_where_docker_expects_them(environment: Mapping[str, str], folder: str) -> None:
    assert settings.load({}, {"HOME": "/home/user", **environment}).docker_certificates == folder


def test_requests_is_new_enough_to_work_without_a_detector_of_encodings() -> None:
    """Version 2.31 of requests needs chardet or charset_normalizer, which this program does not import."""
    project = tomllib.loads((Path(settings.__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert "requests>=2.32" in project["dependencies"]
