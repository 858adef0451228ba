"""`imagectl sync exchange`: deliver the policies of an Open Horizon Exchange into the policy folder."""

from __future__ import annotations

import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from controller.adapters.host import heap
from controller.cli.options import settings_from
from controller.errors import ControllerError, DeliveryFailed, InvalidSettings
from controller.policy.document.exchange_answer import ExchangePolicy, file_name
from controller.printable import printable
from controller.quantity import count_of
from controller.settings import duration, environment
from controller.value import dataclass

if TYPE_CHECKING:
    from controller.adapters.exchange.client import ExchangeLocation
    from controller.adapters.exchange.written_files import FolderDelivery

AUTH_VARIABLE = "IMAGECTL_EXCHANGE_AUTH"
SHORTEST_INTERVAL_SECONDS = 10
JITTER = 0.1
"""Fraction of the interval; spreads the requests of nodes that started together."""
_ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class Round:
    """The output lines of one delivery."""

    news: tuple[str, ...]
    troubles: tuple[str, ...]
    summary: str
    """Empty if there was nothing to deliver."""
    has_failed: bool


@click.group(short_help="Deliver policies into the folder.")
def sync() -> None:
    """Deliver policies from another place into the policy folder of the controller."""


def _organisation(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not value.strip(".") or "/" in value or not value.isprintable():
        raise click.BadParameter("expected an organisation ID such as myorg")
    return value


def _interval(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        seconds = duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if seconds < SHORTEST_INTERVAL_SECONDS:
        raise click.BadParameter(f"at least {SHORTEST_INTERVAL_SECONDS}s")
    return seconds


def _option(*names: str, variable: str, **attributes: Any) -> Callable[[Any], Any]:
    return click.option(*names, envvar=f"IMAGECTL_{variable}", show_envvar=True, **attributes)


_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(exists=True, file_okay=False, path_type=Path)


@sync.command("exchange", short_help="Deliver the policies of an organisation.")
@_option(
    "--exchange-url", "url", variable="EXCHANGE_URL", required=True, metavar="URL", help="Address of the Exchange API."
)
@_option(
    "--org",
    variable="EXCHANGE_ORG",
    required=True,
    callback=_organisation,
    help="Organisation whose policies are read.",
)
@_option("--auth-file", variable="EXCHANGE_AUTH_FILE", type=_file, help="File with the credentials.")
@_option("--ca", variable="EXCHANGE_CA", type=_file, help="Certificates (PEM) to trust instead of the system's.")
@_option("--into", variable="POLICIES", type=_folder, help="Policy folder (--policies of the controller).")
@_option(
    "--interval", variable="EXCHANGE_INTERVAL", callback=_interval, metavar="TIME", help="Repeat at this interval."
)
def exchange(
    url: str, org: str, auth_file: Path | None, ca: Path | None, into: Path | None, interval: float | None
) -> None:
    """Read the management policies of an organisation and deliver them as files.

    Each policy becomes one file in exchange/ORG/ below the policy folder; the file of a policy that the Exchange no
    longer has is removed. Other files are not touched. Without a complete answer nothing changes.

    The Exchange has no field for an image policy; it is read from the string property image_policy, which imagectl nmp
    export writes.

    The credentials are read from the environment variable IMAGECTL_EXCHANGE_AUTH or from --auth-file:
    org/user:password, org/node:token or org/apikey:KEY.

    Without --ca, SSL_CERT_FILE and SSL_CERT_DIR count, else the certificates of the system.

    \b
    Exit code: 0 delivered, 1 not or not all delivered, 2 wrong usage.

    \b
    Examples:
      imagectl sync exchange --exchange-url https://exchange.example.org/v1 --org myorg --auth-file token
      imagectl sync exchange --exchange-url https://exchange.example.org/v1 --org myorg --interval 5m
    """
    from controller.adapters.exchange.client import ExchangeLocation, exchange_url  # slow to import
    from controller.adapters.exchange.credentials import credentials_in
    from controller.adapters.exchange.trust import certificates

    into = into or _policies()
    credentials_in(_credentials_text(auth_file))
    source = ExchangeLocation(exchange_url(url), org, certificates(ca) if ca else None)
    with _ended_by_signals(exit_code=0 if interval else 1):
        if interval:
            _again_and_again(lambda: _read(source, auth_file, into), interval)
        done = _read(source, auth_file, into)
    _say(done, done.troubles)
    if done.has_failed:
        raise DeliveryFailed("not all policies were delivered")


def _policies() -> Path:
    """The policy folder from the settings of the controller."""
    policies = settings_from({}).policies
    if not policies.is_dir():
        raise InvalidSettings(f"--into {policies}: not a directory (create it or choose another)")
    return policies


def _again_and_again(read: Callable[[], Round], interval: float) -> NoReturn:
    """Repeat until a signal; print only changes of the lasting problems."""
    troubles: tuple[str, ...] | None = None
    heap.expect_garbage()
    while True:
        try:
            done = read()
        except ControllerError as error:
            done = Round((), (f"error: {error}",), "", has_failed=True)
        if done.news or done.troubles != troubles:
            _say(done, [trouble for trouble in done.troubles if trouble not in (troubles or ())])
        troubles = done.troubles
        time.sleep(interval * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311  to spread, not to hide


def _read(source: ExchangeLocation, auth_file: Path | None, into: Path) -> Round:
    """Read the policies once and deliver them. Raises ControllerError."""
    from controller.adapters.exchange.client import read_policies
    from controller.adapters.exchange.credentials import credentials_in
    from controller.adapters.exchange.written_files import deliver, exclusive_folder

    credentials = credentials_in(_credentials_text(auth_file))
    with exclusive_folder(into, "exchange", file_name(source.organisation)) as folder:
        policies = read_policies(source, credentials)
        return _round(folder, policies, deliver(folder, {policy.file: policy.data for policy in policies}))


def _round(folder: Path, policies: Sequence[ExchangePolicy], delivery: FolderDelivery) -> Round:
    about = {policy.file: printable(f" ({policy.name}, last updated {policy.last_updated})") for policy in policies}
    done = {
        "added": delivery.added,
        "changed": delivery.changed,
        "restored": delivery.restored,
        "removed": delivery.removed,
    }
    news = (f"{word} {folder / file}{about.get(file, '')}" for word, files in done.items() for file in files)
    faults = (f"warning: {printable(policy.name)}: {policy.fault}" for policy in policies if policy.fault)
    strangers = (
        f"warning: {folder / file} was not delivered by sync and is not touched" for file in delivery.strangers
    )
    failures = (f"error: {failure}" for failure in delivery.failures)
    counts = ", ".join(f"{len(files)} {word}" for word, files in done.items() if files)
    amount = count_of(len(policies), "policy", "policies") if policies else "delivered: no policies"
    summary = f"{amount} in {folder}: {counts or 'no change'}{_invalid_in_words(policies)}"
    return Round(tuple(news), (*faults, *strangers, *failures), summary, has_failed=bool(delivery.failures))


def _invalid_in_words(policies: Sequence[ExchangePolicy]) -> str:
    """The number of invalid policies, for the closing line; a summary, because `nmp validate` shows the reasons."""
    invalid = sum(_is_invalid(policy.data, policy.file) for policy in policies)
    if not invalid:
        return ""
    return f"; {invalid} {'is' if invalid == 1 else 'are'} invalid and not in force (imagectl nmp validate shows why)"


@lru_cache(maxsize=10_000)
def _is_invalid(data: bytes, file: str) -> bool:
    """Parsed once with `--interval`, which delivers the same policies each time."""
    from controller.policy.document.parse import State, parse_documents

    return any(document.state is State.INVALID for document in parse_documents(data, file).documents)


def _say(done: Round, troubles: Sequence[str]) -> None:
    for line in (*done.news, *filter(None, [done.summary])):
        click.echo(printable(line))
    for line in troubles:
        click.echo(printable(line), err=True)


def _credentials_text(file: Path | None) -> str:
    """From the file or the environment; not from the command line, which all users of the host can read."""
    if file is None:
        if not (text := environment().get(AUTH_VARIABLE, "")):
            raise InvalidSettings(f"no credentials: set {AUTH_VARIABLE} or use --auth-file")
        return text
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"{file} cannot be read: {getattr(error, 'strerror', 'it is not UTF-8')}") from None


@contextmanager
def _ended_by_signals(exit_code: int) -> Iterator[None]:
    """SIGTERM and SIGINT exit at once; a delivery may be interrupted anywhere."""
    before = {number: signal.signal(number, lambda *_: sys.exit(exit_code)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
