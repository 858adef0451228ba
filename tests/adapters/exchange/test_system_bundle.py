"""Without --ca the bundle of the system is trusted: in a mount namespace, with a real TLS server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from controller.adapters.exchange.trust import SYSTEM_BUNDLES
from controller.cli.sync import AUTH_VARIABLE
from tests.fake_exchange import CREDENTIALS, ORGANISATION, Authority, FakeExchange

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.skipif(not shutil.which("update-ca-certificates"), reason="this system has no update-ca-certificates"),
]

_DEBIAN = SYSTEM_BUNDLES[0]
_OTHER_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def bundle(authority: Authority, tmp_path: Path) -> Path:
    """The bundle of this system after its administrator added the authority."""
    folders = [tmp_path / name for name in ("local", "certs", "hooks")]
    for folder in folders:
        folder.mkdir()
    (folders[0] / "site.crt").write_bytes(authority.ca.read_bytes())
    options = zip(("--localcertsdir", "--etccertsdir", "--hooksdir"), map(str, folders), strict=True)
    command = ["update-ca-certificates", *(word for option in options for word in option)]
    subprocess.run(command, check=True, capture_output=True)
    return folders[1] / _DEBIAN.name


def in_a_namespace(mount: str, *command: object) -> subprocess.CompletedProcess[str]:
    """Run the command after this `mount`, without variables that name certificates."""
    apart = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", f'{mount}\nexec "$@"', "sh"]
    environment = {name: value for name, value in os.environ.items() if name not in _OTHER_VARIABLES}
    return subprocess.run(
        [*apart, *map(str, command)],
        env={**environment, AUTH_VARIABLE: CREDENTIALS},
        check=False,
        capture_output=True,
        text=True,
    )


def sync(exchange: FakeExchange, folder: Path, mount: str) -> subprocess.CompletedProcess[str]:
    options = ("--exchange-url", exchange.url, "--org", ORGANISATION, "--into", folder)
    return in_a_namespace(mount, sys.executable, "-m", "controller", "sync", "exchange", *options)


def test_an_authority_that_was_added_to_the_system_is_trusted(
    authority: Authority, bundle: Path, tmp_path: Path
) -> None:
    with FakeExchange(authority.server) as exchange:
        exchange.put("sweep", {"label": "sweep", "enabled": True})
        done = sync(exchange, tmp_path, f"mount --bind {bundle} {_DEBIAN}")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "exchange/myorg/sweep.json").exists()


def test_an_authority_that_the_system_does_not_have_is_not_trusted(authority: Authority, tmp_path: Path) -> None:
    with FakeExchange(authority.server) as exchange:
        done = sync(exchange, tmp_path, "true")
        assert exchange.requests == []
    assert done.returncode == 1
    assert "add it to the certificates of the system" in done.stderr


def test_without_a_bundle_of_the_system_the_list_of_certifi_is_used() -> None:
    program = "from controller.adapters.exchange.trust import trusted; print(trusted(None, {}))"
    with_bundle, without = (
        in_a_namespace(mount, sys.executable, "-c", program).stdout.strip()
        for mount in ("true", f"mount -t tmpfs none {_DEBIAN.parent}")
    )
    assert (with_bundle, without) == (str(_DEBIAN), "True")
