"""Every error raised on purpose, grouped by its consequence.

ControllerError
├── UserError               shown to the user, exit 2; the daemon shows it and waits for the next edit
│   ├── InvalidSettings         a flag, a variable or the configuration file
│   ├── InvalidDocument         carries all problems of a policy or node document
│   ├── InvalidText             cannot be read as YAML or JSON, and where
│   ├── InvalidReference        not an image name
│   ├── InvalidSelector         not a pattern of image names
│   └── InvalidConstraint       not in the constraint language, and where
├── ExternalError           from outside this program; the next pass retries
│   ├── EngineUnavailable       no answer, an incomplete or an invalid one: the pass ends
│   │   └── EngineUnreachable       no connection
│   ├── ObservationOutdated     events or answers may be missing since the observation: no further removal in this pass
│   ├── RemovalRefused          the engine refused (409): an answer, not a fault
│   ├── RemovalFailed           the engine tried and failed (5xx)
│   ├── ImageGone               nothing to remove (404): counts as done
│   ├── AgentUnavailable        no complete answer of the agent: the last good one is used
│   ├── ExchangeUnavailable     no complete answer of the Exchange: the folder keeps its files
│   │   └── ExchangeBusy            is retried soon
│   └── DeliveryFailed          files cannot be delivered into a folder
├── AddressUnavailable      cannot listen on it now: exit 1, so that a service manager starts it again
├── CertificateUnavailable  the page's certificate cannot be loaded: exit 1, and a restart tries again
├── NotFound                no such name on this node: exit 1
├── ControllerUnwell        the controller is not healthy, or does not answer: exit 1
└── LedgerError             without a ledger nothing is removed
    ├── LedgerUnavailable       cannot be opened or written: exit 3
    └── LedgerHeld              locked by another controller: exit 3
"""

from __future__ import annotations


class ControllerError(Exception):
    """An error that this program raises on purpose; its text is a sentence for people."""


class UserError(ControllerError):
    """Something that a person wrote is invalid."""


class InvalidSettings(UserError):
    """A flag, an environment variable or the configuration file."""


class InvalidText(UserError):
    """Not valid YAML or JSON; line and column count from 1, `hint` may be empty."""

    def __init__(self, message: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint


class InvalidReference(UserError):
    """Not an image name."""


class InvalidSelector(UserError):
    """Not a pattern of image names; `hint` suggests one, or is empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidConstraint(UserError):
    """Not in the constraint language; `position` counts characters of the constraint from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(message)
        self.message = message
        self.position = position


class AddressUnavailable(ControllerError):
    """Another program uses it, or this host does not have it yet."""


class CertificateUnavailable(ControllerError):
    """The certificate of the page or its key cannot be loaded now; a restart tries again."""


class NotFound(ControllerError):
    """No such name on this node."""


class ExternalError(ControllerError):
    """Something outside this program failed; a later attempt may succeed."""


class EngineUnavailable(ExternalError):
    """The container engine gave no answer, an incomplete or an invalid one."""


class EngineUnreachable(EngineUnavailable):
    """No connection to the engine, or no permission: nothing was requested."""


class ObservationOutdated(ExternalError):
    """The engine or its event stream was interrupted since the observation, so the images may have changed."""


class RemovalRefused(ExternalError):
    """The engine refused to remove the image, with a reason."""


class RemovalFailed(ExternalError):
    """The engine tried to remove the image and failed."""


class ImageGone(ExternalError):
    """The engine has no such image: it was already removed."""


class AgentUnavailable(ExternalError):
    """The Open Horizon agent gave no answer, an incomplete or an invalid one; the text continues "the agent …"."""


class ExchangeUnavailable(ExternalError):
    """The Exchange gave no answer, an incomplete or an invalid one."""


class ExchangeBusy(ExchangeUnavailable):
    """A failure of the Exchange that is often temporary."""


class DeliveryFailed(ExternalError):
    """The target folder of a delivery cannot be read or written, or another process delivers into it."""


class ControllerUnwell(ControllerError):
    """A controller does not answer, or is not healthy."""


class TextfileUnavailable(ControllerError):
    """The file with the metrics cannot be written."""


class LedgerError(ControllerError):
    """A problem with the ledger; without a ledger nothing is removed."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened or written."""


class LedgerHeld(LedgerError):
    """Another controller has locked this ledger."""
