"""The file of `--basic-auth`."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.adapters.host.password_file import read_passwords
from controller.errors import InvalidSettings


def test_users_and_passwords_stand_line_by_line(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text("# who may look\n\nsre:s3:cret\nprometheus:sha256:abc\n")
    assert read_passwords(file) == {"sre": "s3:cret", "prometheus": "sha256:abc"}


@pytest.mark.parametrize("text", ["sre", "sre:", ":secret", "good:one\nsecret-without-user"])
def test_a_line_that_is_neither_is_told_by_its_number_and_never_repeated(tmp_path: Path, text: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=r"--basic-auth .*users: line \d: write user:password") as told:
        read_passwords(file)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"# nobody\n"])
def test_a_file_without_users_would_lock_everybody_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "users").write_bytes(content)
    with pytest.raises(InvalidSettings, match="there is no user in it"):
        read_passwords(tmp_path / "users")


def test_a_file_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe:x")
    with pytest.raises(InvalidSettings, match="it is not UTF-8"):
        read_passwords(tmp_path / "binary")
    with pytest.raises(InvalidSettings, match="No such file or directory"):
        read_passwords(tmp_path / "missing")
