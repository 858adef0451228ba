"""`imagectl sync exchange`: its output, the delivered files and its exit codes."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.adapters.exchange.written_files import exclusive_folder
from controller.cli import main
from controller.cli.sync import AUTH_VARIABLE
from controller.policy.document.parse import parse_documents
from tests.exchange_rules import Database, Role
from tests.fake_exchange import (
    CREDENTIALS,
    ORGANISATION,
    SECRETS,
    TOKEN,
    Behaviour,
    FakeExchange,
    body,
    cut_short,
    fall_silent,
    hang_up,
    make_authority,
    status,
)

SWEEP = {"label": "sweep", "enabled": True}
RULE = {"image_name": "nginx:*", "delete_after_minutes": 1440, "agent_downloaded_only": True}
IMAGE_POLICY = {"name": "image_policy", "value": json.dumps({"removal": [RULE]})}


@pytest.fixture
def exchange() -> Iterator[FakeExchange]:
    with FakeExchange() as exchange:
        exchange.put("sweep", SWEEP)
        exchange.put("keep", SWEEP)
        yield exchange


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    """The policy folder, with a foreign policy."""
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "local.yaml").write_text("label: by hand\n")
    return folder


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """All waits, recorded instead of waited."""
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    return naps


def arguments(exchange: FakeExchange, policies: Path) -> list[str]:
    return ["exchange", "--exchange-url", exchange.url, "--org", ORGANISATION, "--into", str(policies)]


@dataclass(frozen=True)
class Result:
    """The result of a command."""

    exit_code: int | str | None
    stdout: str
    stderr: str

    @property
    def output(self) -> str:
        return self.stdout + self.stderr


Run = Callable[..., Result]


@pytest.fixture
def run(
    exchange: FakeExchange, policies: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Run:
    """`imagectl sync exchange` with these further options."""

    def run(*more: str, auth: str = CREDENTIALS, at: FakeExchange = exchange) -> Result:
        monkeypatch.setenv(AUTH_VARIABLE, auth)
        try:
            code: int | str | None = main.run(["sync", *arguments(at, policies), *more])
        except SystemExit as end:
            code = end.code
        return Result(code, *capsys.readouterr())

    return run


def visible(policies: Path) -> dict[str, bytes]:
    """The files that a scan reads."""
    files = (file.relative_to(policies) for file in policies.rglob("*") if file.is_file())
    return {str(file): (policies / file).read_bytes() for file in files if not file.name.startswith(".")}


# ── once ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_policy_becomes_a_file_in_a_folder_of_its_own(run: Run, exchange: FakeExchange, policies: Path) -> None:
    result = run()
    assert (result.exit_code, result.stderr) == (0, "")
    assert sorted(visible(policies)) == ["exchange/myorg/keep.json", "exchange/myorg/sweep.json", "local.yaml"]
    assert result.stdout.splitlines() == [
        f"added {policies}/exchange/myorg/keep.json (myorg/keep, last updated 2026-11-23T08:00:02.318465002Z)",
        f"added {policies}/exchange/myorg/sweep.json (myorg/sweep, last updated 2026-11-23T08:00:01.318465002Z)",
        f"2 policies in {policies}/exchange/myorg: 2 added",
    ]


def test_only_changes_are_written_and_printed(run: Run, exchange: FakeExchange, policies: Path) -> None:
    run()
    exchange.put("sweep", {**SWEEP, "enabled": False})
    del exchange.policies["myorg/keep"]
    assert run().stdout.splitlines() == [
        f"changed {policies}/exchange/myorg/sweep.json (myorg/sweep, last updated 2026-11-23T08:00:03.318465002Z)",
        f"removed {policies}/exchange/myorg/keep.json",
        f"1 policy in {policies}/exchange/myorg: 1 changed, 1 removed",
    ]
    assert run().stdout == f"1 policy in {policies}/exchange/myorg: no change\n"


def test_an_organisation_without_policies_empties_its_folder_and_no_other(
    run: Run, exchange: FakeExchange, policies: Path
) -> None:
    run()
    exchange.policies.clear()
    assert run().exit_code == 0
    assert list(visible(policies)) == ["local.yaml"]


def test_an_image_policy_in_a_property_is_read_by_the_controller(
    run: Run, exchange: FakeExchange, policies: Path
) -> None:
    exchange.put("images", {**SWEEP, "properties": [IMAGE_POLICY]})
    run()
    (document,) = parse_documents(visible(policies)["exchange/myorg/images.json"], "images.json").documents
    assert (document.name, document.state) == ("myorg/images", "valid")


def test_an_image_policy_that_cannot_be_read_is_delivered_as_invalid_and_reported(
    run: Run, exchange: FakeExchange, policies: Path
) -> None:
    exchange.put("images", {**SWEEP, "properties": [{**IMAGE_POLICY, "value": "{removal: []}"}]})
    result = run()
    assert result.stderr.startswith("warning: myorg/images: the property image_policy is invalid JSON: ")
    (document,) = parse_documents(visible(policies)["exchange/myorg/images.json"], "images.json").documents
    assert document.state == "invalid"


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize(
    "trouble",
    [
        status(401),
        status(403),
        status(404, {"code": "not-found"}),
        status(500),
        status(503),
        status(302, Location="/v1/orgs/myorg/managementpolicies"),
        status(200, {"managementPolicy": {}, "lastIndex": 0, "x": float("nan")}),
        hang_up,
        cut_short(b'{"managementPolicy": {}}'),
        body(b'{"managementPolicy": {'),
        body(b"<html></html>"),
        body(b"{}"),
    ],
)
def test_without_a_complete_answer_nothing_in_the_folder_changes(
    run: Run, exchange: FakeExchange, policies: Path, trouble: Behaviour
) -> None:
    run()
    before = visible(policies)
    exchange.misbehaviours = [trouble] * 9
    result = run()
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"imagectl: {exchange.url}: ")
    assert len(result.stderr.splitlines()) == 1
    assert not [secret for secret in SECRETS if secret in result.output]
    assert visible(policies) == before


@pytest.mark.usefixtures("naps")
@pytest.mark.parametrize("trouble", [state for state in Database if state is not Database.UP], ids=lambda it: it.name)
def test_in_every_trouble_of_its_database_the_folder_is_unchanged(
    run: Run, exchange: FakeExchange, policies: Path, trouble: Database
) -> None:
    run()
    before = visible(policies)
    exchange.rules.database = trouble
    result = run()
    assert (result.exit_code, visible(policies)) == (1, before)
    assert "the Exchange answered 50" in result.stderr
    exchange.rules.database = Database.UP
    assert run().stdout == f"2 policies in {policies}/exchange/myorg: no change\n"


class TestAnEmptyListThatIsAnError:
    """An organisation without policies gets the same answer (`test_an_organisation_without_policies_…`)."""

    def test_of_an_organisation_that_does_not_exist(self, run: Run, exchange: FakeExchange, policies: Path) -> None:
        exchange.rules.add("root/root", TOKEN, Role.ROOT)
        result = run("--org", "nosuchorg", auth=f"root/root:{TOKEN}")
        assert result.exit_code == 1
        assert "the organisation nosuchorg does not exist (check --org)" in result.stderr

    def test_of_an_organisation_that_was_deleted(self, run: Run, exchange: FakeExchange, policies: Path) -> None:
        run()
        before = visible(policies)
        exchange.rules.delete_organisation(ORGANISATION)
        result = run()
        assert (result.exit_code, visible(policies)) == (1, before)
        assert "the organisation myorg does not exist" in result.stderr

    def test_of_policies_that_a_node_of_another_organisation_may_not_see(
        self, run: Run, exchange: FakeExchange, policies: Path
    ) -> None:
        exchange.policies["IBM/sweep"] = exchange.policies["myorg/sweep"]
        result = run("--org", "IBM")
        assert result.exit_code == 1
        assert "these credentials are of organisation myorg" in result.stderr
        assert list(visible(policies)) == ["local.yaml"]


def test_a_file_of_another_program_is_not_touched(run: Run, exchange: FakeExchange, policies: Path) -> None:
    folder = policies / "exchange" / "myorg"
    folder.mkdir(parents=True)
    (folder / "sweep.json").write_text("by hand")
    result = run()
    assert result.exit_code == 1
    assert "sweep.json was not delivered by this program and is not touched" in result.stderr
    assert visible(policies)["exchange/myorg/sweep.json"] == b"by hand"
    assert "exchange/myorg/keep.json" in visible(policies)


def test_a_file_that_is_not_from_the_exchange_is_reported(run: Run, policies: Path) -> None:
    """It may be a policy that was withdrawn after the list of our files was lost."""
    run()
    stray = policies / "exchange" / "myorg" / "stray.json"
    stray.write_text("{}")
    result = run()
    assert (result.exit_code, stray.read_text()) == (0, "{}")
    assert result.stderr == f"warning: {stray} was not delivered by sync and is not touched\n"


def test_a_hostile_name_is_a_file_in_the_folder(run: Run, exchange: FakeExchange, policies: Path) -> None:
    exchange.put("../../../etc/x\n\x1b[31m", SWEEP)
    result = run()
    assert "exchange/myorg/%2e.%2f..%2f..%2fetc%2fx%0a%1b%5b31m.json" in visible(policies)
    assert "\x1b" not in result.output
    assert len(result.stdout.splitlines()) == 4


def test_a_second_sync_into_one_folder_is_refused(run: Run, exchange: FakeExchange, policies: Path) -> None:
    with exclusive_folder(policies, "exchange", "myorg"):
        result = run()
    assert (result.exit_code, exchange.requests) == (1, [])
    assert result.stderr == f"imagectl: {policies}/exchange/myorg: another process delivers into it\n"


def test_only_policies_are_requested_from_the_exchange(run: Run, exchange: FakeExchange) -> None:
    run()
    assert exchange.requests == ["GET /v1/orgs/myorg/managementpolicies"]


@pytest.mark.needs_tools
def test_own_certificates_are_named_by_a_file(run: Run, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    with FakeExchange(authority.server) as exchange:
        assert "certificate not trusted" in run(at=exchange).stderr
        assert run("--ca", str(authority.ca), at=exchange).exit_code == 0


# ── credentials and usage ─────────────────────────────────────────────────────────────────────────────────────────────


def test_credentials_come_from_a_file_before_the_environment(run: Run, tmp_path: Path) -> None:
    (tmp_path / "auth").write_text(f"{CREDENTIALS}\n")
    assert run("--auth-file", str(tmp_path / "auth"), auth="myorg/other:wrong").exit_code == 0


@pytest.mark.parametrize(
    ("more", "auth", "words"),
    [
        ([], "", "no credentials: set IMAGECTL_EXCHANGE_AUTH or use --auth-file"),
        ([], SECRETS[0], "invalid credentials: expected org/id:token"),
        (["--exchange-url", "http://exchange.example.org"], CREDENTIALS, "must start with https://"),
        (["--exchange-url", f"https://x:{SECRETS[0]}@h"], CREDENTIALS, "must not contain credentials"),
        (["--interval", "5"], CREDENTIALS, "write a duration as 90s, 5m, 2h or 1d"),
        (["--interval", "5s"], CREDENTIALS, "at least 10s"),
        (["--org", "a/b"], CREDENTIALS, "expected an organisation ID"),
        (["--org", ".."], CREDENTIALS, "expected an organisation ID"),
        (["--org", ""], CREDENTIALS, "expected an organisation ID"),
        (["--org", "\udcff"], CREDENTIALS, "expected an organisation ID"),
        ([], f"org/id:{SECRETS[0]}\udcff", "invalid credentials: the text is not UTF-8"),
        (["--into", "/nowhere"], CREDENTIALS, "'/nowhere' does not exist"),
        (["--ca", "/nowhere"], CREDENTIALS, "'/nowhere' does not exist"),
        (["--ca", __file__], CREDENTIALS, "not a file of PEM certificates"),
        (["--auth-file", "/nowhere"], CREDENTIALS, "'/nowhere' does not exist"),
        (["--auth", CREDENTIALS], CREDENTIALS, "No such option"),
    ],
)
def test_wrong_usage_is_reported_before_any_request(
    run: Run, exchange: FakeExchange, policies: Path, more: list[str], auth: str, words: str
) -> None:
    result = run(*more, auth=auth)
    assert result.exit_code == 2
    assert words in result.stderr
    assert SECRETS[0] not in result.output
    assert exchange.requests == []
    assert list(visible(policies)) == ["local.yaml"]


# ── with an interval ──────────────────────────────────────────────────────────────────────────────────────────────────


class Days:
    """Replaces the waits between rounds: each wait runs the next action; after the last one the program ends."""

    def __init__(self, *things: Callable[[], object]) -> None:
        self.things = list(things)
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if not self.things:
            sys.exit(0)
        self.things.pop(0)()


def live(run: Run, days: Days, *more: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", days.sleep)
        return run("--interval", "1m", *more)


def nothing() -> None:
    """An action that does nothing."""


def test_every_interval_delivers_changes_and_prints_nothing_else(
    run: Run, exchange: FakeExchange, policies: Path
) -> None:
    days = Days(nothing, lambda: exchange.put("new", SWEEP), nothing)
    result = live(run, days)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[3:] == [
        f"added {policies}/exchange/myorg/new.json (myorg/new, last updated 2026-11-23T08:00:03.318465002Z)",
        f"3 policies in {policies}/exchange/myorg: 1 added",
    ]
    assert len(exchange.requests) == 4


def test_rounds_search_for_garbage_as_python_does(run: Run, seldom: int) -> None:
    live(run, Days())
    assert gc.get_threshold()[0] < seldom


def test_the_waits_differ_by_a_tenth(run: Run) -> None:
    random.seed(1)
    days = Days(*[nothing] * 50)
    live(run, days)
    assert 54 <= min(days.waits) < 56
    assert 64 < max(days.waits) <= 66


def test_only_the_start_and_the_end_of_a_lasting_problem_are_printed(
    run: Run, exchange: FakeExchange, policies: Path
) -> None:
    def deny() -> None:
        exchange.misbehaviours = [status(401)] * 3

    result = live(run, Days(deny, nothing, nothing, nothing, nothing))
    assert result.stderr.splitlines() == [f"error: {exchange.url}: the Exchange answered 401: wrong credentials"]
    assert result.stdout.splitlines()[2:] == [
        f"2 policies in {policies}/exchange/myorg: 2 added",
        f"2 policies in {policies}/exchange/myorg: no change",
    ]


def test_a_new_token_in_the_file_is_used_without_a_restart(run: Run, policies: Path, tmp_path: Path) -> None:
    file = tmp_path / "auth"
    file.write_text("myorg/node1:old")
    result = live(run, Days(lambda: file.write_text(CREDENTIALS)), "--auth-file", str(file))
    assert "the Exchange answered 401" in result.stderr
    assert "2 policies" in result.stdout


def test_a_folder_that_vanishes_is_not_created_again(run: Run, policies: Path) -> None:
    result = live(run, Days(lambda: policies.rename(policies.with_name("gone"))))
    assert result.stderr == f"error: {policies}: not a directory (create it first)\n"
    assert not policies.exists()


# ── as a process ──────────────────────────────────────────────────────────────────────────────────────────────────────


def start(exchange: FakeExchange, policies: Path, *more: str) -> subprocess.Popen[str]:
    program = [
        sys.executable,
        "-c",
        "from controller.cli.main import main; main()",
        "sync",
        *arguments(exchange, policies),
    ]
    environment = {**os.environ, AUTH_VARIABLE: CREDENTIALS}
    return subprocess.Popen(
        [*program, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_at_once(exchange: FakeExchange, policies: Path, number: signal.Signals) -> None:
    with start(exchange, policies, "--interval", "1d") as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(3)][2].startswith("2 policies")
        process.send_signal(number)
        assert process.wait(timeout=60) == 0
        assert process.communicate() == ("", "")


@pytest.mark.parametrize("often", [["--interval", "1d"], []])
def test_sigterm_ends_a_sync_while_the_exchange_does_not_answer(
    exchange: FakeExchange, policies: Path, often: list[str]
) -> None:
    for misbehaviours in ([fall_silent(exchange)], [status(503)] * 9):
        exchange.misbehaviours = misbehaviours
        exchange.asked.clear()
        with start(exchange, policies, *often) as process:
            assert exchange.asked.wait(60)
            process.terminate()
            assert process.wait(timeout=60) == (0 if often else 1)
            assert process.communicate() == ("", "")


def test_the_token_is_not_among_the_arguments_of_the_process(exchange: FakeExchange, policies: Path) -> None:
    exchange.misbehaviours = [fall_silent(exchange)]
    with start(exchange, policies, "--interval", "1d") as process:
        assert exchange.asked.wait(60)
        assert SECRETS[0] not in Path(f"/proc/{process.pid}/cmdline").read_text()
        process.terminate()


def test_the_http_library_is_not_imported_before_it_is_needed(run: Run) -> None:
    program = "import sys, controller.cli.main, controller.cli.sync; sys.exit('requests' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_closing_line_says_how_many_policies_are_invalid(run: Run, exchange: FakeExchange) -> None:
    broken = {"name": "image_policy", "type": "string", "value": '{"removal": [{"image_name": "nginx"}]}'}
    exchange.put("bad", {**SWEEP, "properties": [broken]})
    exchange.put("worse", {**SWEEP, "constraints": ["a == == b"]})
    summary = run().stdout.splitlines()[-1]
    assert summary.endswith("4 added; 2 are invalid and not in force (imagectl nmp validate shows why)")
    del exchange.policies["myorg/worse"]
    assert (
        run()
        .stdout.splitlines()[-1]
        .endswith("1 removed; 1 is invalid and not in force (imagectl nmp validate shows why)")
    )


def test_an_empty_delivery_is_named(run: Run, exchange: FakeExchange, policies: Path) -> None:
    run()
    exchange.policies.clear()
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == f"delivered: no policies in {policies}/exchange/myorg: 2 removed"
