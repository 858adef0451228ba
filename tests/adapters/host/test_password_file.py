"""The file of `--basic-auth`."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.host.password_file import read_passwords
from controller.errors import InvalidSettings

HASH = "0123456789abcdefABCDEF0123456789" * 2


def test_each_line_has_a_user_and_a_password(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"\ufeff# users\n\nsre:s3:cret\nprometheus:sha256:{HASH}\n")
    assert read_passwords(file) == {"sre": "s3:cret", "prometheus": f"sha256:{HASH}"}


@pytest.mark.parametrize("text", ["", "secret", HASH[:-1], f"{HASH}0", f"{HASH[:-1]}g", f"{HASH[:-1]}\u00e9"])
def test_a_hash_that_no_password_can_have_is_an_error(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_text(f"sre:sha256:{text}\n", encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"line 1: expected 64 hexadecimal digits after sha256:$"):
        read_passwords(file)


@pytest.mark.parametrize("text", ["sre", "sre:", ":secret", "good:one\nsecret-without-user"])
def test_an_invalid_line_is_reported_by_number_without_its_text(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=r"--basic-auth .*users: line \d: expected user:password") as error:
        read_passwords(file)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"# no user\n"])
def test_a_file_without_users_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "users").write_bytes(content)
    with pytest.raises(InvalidSettings, match="no user in the file"):
        read_passwords(tmp_path / "users")


def test_a_file_that_cannot_be_read_is_an_error_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe:x")
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        read_passwords(tmp_path / "binary")
    with pytest.raises(InvalidSettings, match="No such file or directory"):
        read_passwords(tmp_path / "missing")
