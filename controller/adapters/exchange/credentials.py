"""The credentials for the Exchange, checked before they are sent."""

from __future__ import annotations

from dataclasses import field

from controller.errors import InvalidSettings
from controller.value import dataclass

_QUOTES = "\"'"
_VARIABLE = "HZN_EXCHANGE_USER_AUTH="


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user or a node of the Exchange."""

    identity: str
    """`org/id`."""
    token: str = field(repr=False)

    @property
    def organisation(self) -> str:
        return self.identity.partition("/")[0]


def credentials_in(text: str) -> Credentials:
    """Raises InvalidSettings; the message does not contain the text. A password may end with blanks."""
    text = text.rstrip("\r\n")
    if mistake := _mistake(text):
        raise InvalidSettings(f"invalid credentials: {mistake}")
    identity, _, token = text.lstrip().partition(":")
    organisation, _, name = identity.partition("/")
    if not (organisation and name and token.strip()):
        raise InvalidSettings("invalid credentials: expected org/id:token")
    return Credentials(identity, token)


def _mistake(text: str) -> str:
    """The error in the form of the text, with a hint; empty if it is valid."""
    if text.startswith("\ufeff"):
        return "the text starts with a byte order mark (save it as UTF-8 without one)"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "the text is not UTF-8"  # Of an environment variable.
    start = text.lstrip()
    if _VARIABLE in start.partition(":")[0]:
        return f"expected only the value, without {_VARIABLE}"
    if start[:1] in _QUOTES and start[:1]:
        return "remove the quotation marks"
    return "expected one line" if "\n" in start or "\r" in start else ""
