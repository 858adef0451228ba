"""The command table: help, mistakes, exit codes, and what is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from controller.adapters.ledger.ledger import Ledger
from controller.cli import main
from controller.cli.main import COMMANDS, imagectl
from controller.cli.options import settings_silently_from
from controller.errors import InvalidSettings
from controller.settings import load
from tests.cli.conftest import Imagectl

_SLOW = ("docker", "requests", "urllib3", "prometheus_client", "watchdog", "tenacity", "yaml", "waitress", "ssl")


def commands() -> list[tuple[str, ...]]:
    """Every command and every command of a group."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = imagectl.get_command(click.Context(imagectl), name)
        inner = list(command.commands) if isinstance(command, click.Group) else []
        found += [(name,), *((name, each) for each in inner)]
    return found


@pytest.mark.parametrize("command", [(), *commands()], ids=" ".join)
def test_every_command_has_a_page_of_help(imagectl: Imagectl, command: tuple[str, ...]) -> None:
    said = imagectl(*command, "--help")
    assert said.code == 0
    assert said.out.startswith("Usage: imagectl")
    assert "-h, --help" in said.out


_WITH_EXAMPLES = (
    *("run", "plan", "explain", "get", "get images", "get policies", "get removals", "health", "completion"),
    *("nmp", "nmp new", "nmp validate", "nmp schema", "nmp match", "record-download"),
)


@pytest.mark.parametrize("command", [each.split() for each in _WITH_EXAMPLES], ids=" ".join)
def test_help_shows_by_examples(imagectl: Imagectl, command: list[str]) -> None:
    said = imagectl(*command, "--help")
    assert "Examples:" in said.out
    assert f"imagectl {' '.join(command)}" in said.out


def test_exit_codes_are_on_a_line_of_their_own(imagectl: Imagectl) -> None:
    lines = [line.strip() for line in imagectl("nmp", "validate", "--help").out.splitlines()]
    assert "Exit code: 0 no problem, 1 problems found, 2 wrong usage." in lines


def test_help_shows_the_sources_of_each_setting(imagectl: Imagectl) -> None:
    page = " ".join(imagectl("run", "--help").out.split())
    assert "--settle TIME Minimum time since an image was last pulled, used or built" in page
    assert "can be removed. [default: 10m] [env: IMAGECTL_SETTLE]" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("exlain", "x"), "unknown command exlain (did you mean explain?)"),
        (("get", "image"), "Did you mean 'images'?"),
        (("get", "images", "--selecter", "x"), "'--selector'"),
        (("plan", "--exitcode"), "'--exit-code'"),
    ],
)
def test_a_misspelt_command_or_option_is_reported_with_the_nearest_one(
    imagectl: Imagectl, arguments: tuple[str, ...], message: str
) -> None:
    said = imagectl(*arguments)
    assert said.code == 2
    assert message in said.err


def test_a_mistake_in_a_setting_is_one_line_and_no_traceback(imagectl: Imagectl) -> None:
    said = imagectl("get", "images", "--resync", "soon")
    assert said.code == 2
    assert said.err == "imagectl: --resync: 'soon': write a duration as 90s, 5m, 2h or 1d\n"


@pytest.mark.parametrize("name", ["policies", "ledger", "node", "disk", "textfile", "tls_certificate", "basic_auth"])
def test_an_empty_path_is_refused(name: str) -> None:
    """As of an unset variable in a script: an empty path is the current folder."""
    variable = f"IMAGECTL_{name.upper()}"
    with pytest.raises(InvalidSettings, match=f"--{name.replace('_', '-')}: '': write a path"):
        load({name: ""}, {})
    with pytest.raises(InvalidSettings, match=f"{variable}: '': write a path"):
        load({}, {variable: ""})


@pytest.mark.parametrize("name", ["/dev/null", "metrics.txt", ".prom", "/"])
def test_a_textfile_that_node_exporter_would_not_read_is_refused(name: str) -> None:
    """Root would replace /dev/null."""
    with pytest.raises(InvalidSettings, match=r"name a file that ends in \.prom: node_exporter reads no other"):
        load({"textfile": name}, {})


def test_a_size_without_end_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="write a size as 500MB, 2GiB or 1000000"):
        load({"max_bytes_per_hour": "9" * 400}, {})


@pytest.mark.parametrize("time", ["0", "0s", "0.999s"])
def test_passes_keep_a_distance_of_a_second(time: str) -> None:
    with pytest.raises(InvalidSettings, match=r"--resync: '.*': write a duration of at least 1s"):
        load({"resync": time}, {})
    assert load({"resync": "1s"}, {}).resync == 1


def test_a_user_without_a_home_folder_needs_to_name_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container that runs as a number."""
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 4_711)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 7)  # os.path.expanduser searches the home folder of this one.
    assert load({}, {}).ledger == Path("/nonexistent/.local/state/image-controller/ledger.db")
    assert load({"ledger": "here.db"}, {}).ledger == Path("here.db")


def test_a_key_without_a_certificate_is_refused(imagectl: Imagectl, tmp_path: Path) -> None:
    said = imagectl("run", "--tls-key", "key.pem", "--ledger", str(tmp_path / "l.db"), "--docker-host", "unix:///no")
    assert (said.code, said.err.splitlines()[-1]) == (2, "imagectl: --tls-key also needs --tls-certificate")


def test_a_duration_without_end_is_refused(imagectl: Imagectl) -> None:
    """As a number it would be infinite, and no time could be shown."""
    said = imagectl("run", "--settle", "9" * 400 + "d")
    assert (said.code, said.err.count("\n")) == (2, 1)


def test_a_variable_that_is_not_a_setting_is_a_warning(imagectl: Imagectl, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGECTL_SETLE", "1h")
    for known in ("IMAGECTL_SETTLE", "IMAGECTL_TEST_ENGINES", "IMAGECTL_EXCHANGE_ORG", "_IMAGECTL_COMPLETED"):
        monkeypatch.setenv(known, "1h")
    said = imagectl("get", "images", "-o", "name")
    assert (said.code, len(said.out.splitlines())) == (0, 60)
    warning = "environment: unknown setting IMAGECTL_SETLE (did you mean IMAGECTL_SETTLE?)"
    assert said.err == f"imagectl: warning: {warning}\n"


@pytest.mark.parametrize("command", [("get", "images"), ("explain", "redis:1.1"), ("plan",)], ids=" ".join)
def test_an_invalid_protection_is_refused_as_by_the_controller(imagectl: Imagectl, command: tuple[str, ...]) -> None:
    said = imagectl(*command, "--protect", "foo")
    assert (said.code, said.err.startswith("imagectl: --protect: ")) == (2, True)
    assert imagectl("get", "images", "--protect", "foo:*").code == 0


def test_a_missing_engine_is_exit_code_3(imagectl: Imagectl, tmp_path: Path) -> None:
    said = imagectl("plan", "--docker-host", f"unix://{tmp_path}/nothing.sock")
    assert said.code == 3
    assert said.err.startswith("imagectl: ")
    assert len(said.err.splitlines()) == 1


def run_apart(node: Path, *arguments: str, after: str = "") -> str:
    """Run a command in a process of its own, then `after`; return the output of `after`."""
    script = f"from controller.cli import main\nmain.run({list(arguments)!r})\n{after}"
    environment = {"IMAGECTL_LEDGER": str(node / "ledger.db"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    "command",
    [
        ("get", "images"),
        ("get", "images", "-l", "verdict=DUE"),
        ("get", "policies"),
        ("get", "removals"),
        ("get", "removals", "--summary"),
        ("explain", "redis:1.1"),
        ("version",),
        ("--help",),
        ("completion", "bash"),
    ],
    ids=" ".join,
)
def test_reading_commands_do_not_import_slow_libraries(node: Path, command: tuple[str, ...]) -> None:
    after = f"import sys\nprint('imported:', *(name for name in {_SLOW!r} if name in sys.modules))"
    assert run_apart(node, *command, after=after).splitlines()[-1].strip() == "imported:"


_OF_A_PASS = (
    "verdict.planner",
    "verdict.judge",
    "verdict.verdict",
    "memory.observation",
    "memory.memory",
    "image.selector",
)
_OF_OTHER_COMMANDS = ("click.shell_completion", "difflib", "logging", "mmap", "tomllib", "ctypes")


@pytest.mark.parametrize(
    "command",
    [
        ("get", "images"),
        ("get", "policies"),
        ("get", "removals"),
        ("get", "removals", "--summary"),
        ("explain", "redis:1.1"),
    ],
    ids=" ".join,
)
def test_reading_commands_do_not_import_what_only_a_pass_or_other_commands_need(
    node: Path, command: tuple[str, ...]
) -> None:
    endings = (*_OF_A_PASS, *_OF_OTHER_COMMANDS)
    after = f"import sys\nprint('imported:', *(name for name in sys.modules if name.endswith({endings!r})))"
    assert run_apart(node, *command, after=after).splitlines()[-1].strip() == "imported:"


def test_a_health_check_imports_no_http_library(node: Path) -> None:
    """A container runs it every thirty seconds."""
    of_http = ("http.client", "urllib.request", "email.parser", "ssl")
    after = f"import sys\nprint('imported:', *(name for name in {of_http!r} if name in sys.modules))"
    assert run_apart(node, "health", "--listen", "127.0.0.1:1", after=after).splitlines()[-1].strip() == "imported:"


@pytest.mark.parametrize("command", [("--version",), ("--help",)], ids=" ".join)
def test_the_version_and_the_help_need_neither_rows_nor_the_ledger(node: Path, command: tuple[str, ...]) -> None:
    beginnings = ("controller.plan", "sqlite3", "json")
    after = f"import sys\nprint('imported:', *(name for name in sys.modules if name.startswith({beginnings!r})))"
    assert run_apart(node, *command, after=after).splitlines()[-1].strip() == "imported:"


def test_one_pass_imports_neither_the_server_nor_the_metrics_that_nothing_reads(tmp_path: Path) -> None:
    options = (
        "--once",
        "--policies",
        str(tmp_path),
        "--ledger",
        f"{tmp_path}/ledger.db",
        "--docker-host",
        "unix:///no.s",
    )
    of_both = ("prometheus_client", "waitress", "http.server", "wsgiref")
    after = f"import sys\nprint('imported:', *(name for name in {of_both!r} if name in sys.modules))"
    assert run_apart(tmp_path, "run", *options, after=after).splitlines()[-1].strip() == "imported:"
    measured = (*options, "--textfile", f"{tmp_path}/metrics.prom")
    assert "prometheus_client" in run_apart(tmp_path, "run", *measured, after=after).splitlines()[-1]


def test_a_command_ends_without_a_search_for_garbage() -> None:
    code = """
import gc, sys
from controller import __main__
found = []
gc.callbacks.append(lambda phase, info: found.append(phase))
try:
    __main__.main()
except SystemExit:
    print(found, gc.get_freeze_count() > 0)
"""
    done = subprocess.run([sys.executable, "-c", code, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[] True"


def test_a_reader_that_closes_our_output_is_not_an_error(node: Path) -> None:
    command = f"{sys.executable} -m controller get images --ledger {node}/ledger.db 2>&1 | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("REFERENCE")
    assert "Traceback" not in done.stdout + done.stderr


def real(*arguments: str, **streams: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    command = [sys.executable, "-m", "controller", *arguments]
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(command, text=True, check=False, timeout=60, **given)


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe whose reader is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize("command", [("nmp", "schema"), ("nmp", "new"), ("--help",), ("plan", "-h")], ids=" ".join)
def test_a_closed_pipe_is_exit_code_0_without_a_message(unread: int, command: tuple[str, ...]) -> None:
    said = real(*command, stdout=unread)
    assert (said.returncode, said.stderr) == (0, "")


def test_an_error_keeps_its_exit_code_with_a_closed_standard_error(unread: int) -> None:
    assert real("exlain", stderr=unread).returncode == 2
    assert real("run", "--settle", "x", stderr=unread).returncode == 2


@pytest.mark.parametrize("command", [("nmp", "schema"), ("--help",), ("version",)], ids=" ".join)
def test_output_that_cannot_be_written_is_one_line_and_exit_code_1(command: tuple[str, ...]) -> None:
    with Path("/dev/full").open("w") as full:
        said = real(*command, stdout=full)
        assert real(*command, stdout=full, stderr=full).returncode == 1
    assert (said.returncode, said.stderr) == (
        1,
        "imagectl: cannot write the output: No space left on device\n",
    )


@pytest.mark.parametrize("script", ["nmp validate - <&-", "record-download --from - <&-"])
def test_a_closed_standard_input_is_wrong_usage(script: str) -> None:
    command = ["bash", "-c", f"{sys.executable} -m controller {script}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, "standard input is closed" in done.stderr.splitlines()[-1]) == (2, True)


def test_a_closed_standard_output_gives_no_traceback(node: Path) -> None:
    script = f"{sys.executable} -m controller get images --ledger {node}/ledger.db >&-"
    assert subprocess.run(["bash", "-c", script], capture_output=True, check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8:strict"])
def test_characters_that_the_output_cannot_encode_are_escaped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """Names of files and answers of others may have any characters, and a terminal another encoding."""
    name = "\u20ac\u00e9\U0001f600"
    document = {"apiVersion": "openhorizon.org/v1", "kind": "NodeManagementPolicy", "metadata": {"name": name}}
    policies = tmp_path / os.fsdecode(b"\xff")
    policies.mkdir()
    (policies / "p.json").write_text(json.dumps({**document, "spec": {"enabled": True}}))
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    for form in ("table", "json", "yaml"):
        done = real("nmp", "match", str(policies), "-o", form, encoding=encoding.partition(":")[0])
        assert (done.returncode, "Traceback" in done.stderr) == (0, False)
        if form == "table":
            assert "\u20ac" in done.stdout.replace("\\u20ac", "\u20ac")
        else:
            parsed = json.loads(done.stdout) if form == "json" else yaml.safe_load(done.stdout)
            assert parsed["documents"][0]["name"] == name


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def exhausted(*arguments: object, **named: object) -> None:
        raise MemoryError

    monkeypatch.setattr(main.imagectl, "main", exhausted)
    assert main.run(["version"]) == 1
    assert capsys.readouterr().err == "imagectl: out of memory\n"


def test_the_module_is_the_program() -> None:
    done = subprocess.run([sys.executable, "-m", "controller", "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("imagectl ")


def test_an_interrupted_command_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise click.Abort

    monkeypatch.setattr(main.imagectl, "main", interrupted)
    assert main.run(["version"]) == 1
    assert capsys.readouterr().err == "imagectl: interrupted\n"


def test_the_option_version_prints_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    printed = [(main.run(arguments), capsys.readouterr().out) for arguments in (["--version"], ["version"])]
    assert printed[0] == printed[1]


class TestConfigurationFile:
    @pytest.mark.parametrize("empty", ["", " "])
    def test_an_empty_variable_does_not_hide_its_protections_switches_and_addresses(
        self, tmp_path: Path, empty: str
    ) -> None:
        """Compose passes a variable that is not set as an empty one."""
        (tmp_path / "c.toml").write_text(
            'protect = ["app:*"]\nallow_host = ["a"]\nprotect_local = true\ndry_run = true\n'
            'agent_url = "http://a:1"\ndocker_host = "unix:///s"\ndocker_certificates = "/c"\n'
        )
        names = ["PROTECT", "ALLOW_HOST", "PROTECT_LOCAL", "DRY_RUN", "ONCE"]
        names += ["AGENT_URL", "DOCKER_HOST", "DOCKER_CERTIFICATES"]
        found = load({}, {f"IMAGECTL_{name}": empty for name in names}, tmp_path / "c.toml")
        assert (found.protect, found.allow_host) == (("app:*",), ("a",))
        assert (found.protect_local, found.dry_run, found.once) == (True, True, False)
        assert (found.agent_url, found.docker_host, found.docker_certificates) == ("http://a:1", "unix:///s", "/c")
        assert not load({}, {"IMAGECTL_DRY_RUN": "false"}, tmp_path / "c.toml").dry_run

    def test_it_is_utf8_with_or_without_a_byte_order_mark(self, tmp_path: Path) -> None:
        (tmp_path / "c.toml").write_text('\ufeffpolicies = "r\u00e8gles"\n', encoding="utf-8")
        assert load({}, {}, tmp_path / "c.toml").policies == Path("r\u00e8gles")

    @pytest.mark.parametrize(
        ("content", "why"),
        [
            (None, "cannot be read: Is a directory"),
            (b"settle = '\xff'", "cannot be read: it is not UTF-8"),
            (b"settle = " + b"[" * 9_999, "nested too deeply"),
            (b"protect = true", "protect: 'True': write a list of texts"),
            (b"protect = {a = 1}", "protect: .*: write a list of texts"),
            (b"allow_host = 2027-01-31", "allow_host: '2027-01-31': write a list of texts"),
            (b'node = "a\\u0000b"', "node: .*: write a path"),
        ],
    )
    def test_one_that_cannot_be_read_is_one_line(self, tmp_path: Path, content: bytes | None, why: str) -> None:
        file = tmp_path / "c.toml"
        file.mkdir() if content is None else file.write_bytes(content)
        with pytest.raises(InvalidSettings, match=f"c.toml: {why}$"):
            load({}, {}, file)

    def test_the_environment_can_name_the_configuration_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "own.toml").write_text(f'ledger = "{tmp_path}/here/ledger.db"\n')
        (tmp_path / "here").mkdir()
        monkeypatch.setenv("IMAGECTL_CONFIG", str(tmp_path / "own.toml"))
        monkeypatch.delenv("IMAGECTL_LEDGER", raising=False)
        assert main.run(["record-download", "app:1"]) == 0
        assert (tmp_path / "here" / "ledger.db").exists()
        assert "unknown setting" not in capsys.readouterr().err

    def test_an_option_wins_over_the_environment(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("IMAGECTL_CONFIG", str(tmp_path / "named-by-environment.toml"))
        assert main.run(["plan", "--config", str(tmp_path / "named.toml")]) == 2
        assert capsys.readouterr().err == f"imagectl: {tmp_path}/named.toml: no such file\n"


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_to_a_ledger_means_the_ledger_itself(tmp_path: Path, is_there: bool) -> None:
    """With a lock and a log of its own, a second controller would use it, and readers would not see the last save."""
    ledger, link = tmp_path / "data" / "ledger.db", tmp_path / "link.db"
    ledger.parent.mkdir()
    link.symlink_to(ledger)
    if is_there:
        Ledger(ledger).close()
    assert settings_silently_from({"ledger": str(link)}).ledger == ledger
    assert main.run(["record-download", "app:1", "--ledger", str(link)]) == 0
    assert [each.name for each in tmp_path.glob("link.db*")] == ["link.db"]


class TestRecordedDownload:
    def test_a_name_without_an_image_is_reported_as_waiting(
        self, imagectl: Imagectl, node: Path, tmp_path: Path
    ) -> None:
        ledger = tmp_path / "ledger.db"
        shutil.copy(node / "ledger.db", ledger)
        said = imagectl("record-download", "acme/telemetry:1.0", "acme/new:1", "--ledger", str(ledger))
        assert said.out.splitlines() == [
            "recorded 2 downloads for the controller's next pass",
            "acme/new:1: waits for an image of that name, at most a day of observed time",
        ]
