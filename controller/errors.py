"""Every error raised on purpose, by what is done about it.

ControllerError
├── UserError               said to the user, exit 2; the daemon shows it and waits for the next edit
│   ├── InvalidSettings         a flag, a variable or the configuration file
│   ├── InvalidDocument         carries every problem of a policy or node document
│   ├── InvalidText             not YAML or JSON that can be read on, and where
│   ├── InvalidReference        not the name of an image
│   ├── InvalidSelector         not a pattern over names of images
│   └── InvalidConstraint       not in the constraint language, and where it stops being so
├── ExternalError           the outside world; the next pass tries again
│   ├── EngineUnavailable       no answer, half an answer, or one that makes no sense: the pass ends
│   │   └── EngineUnreachable       nobody there to be asked
│   ├── ObservationOutdated     events or answers may be missing since the observation: no further removal in this pass
│   ├── RemovalRefused          the engine said no (409): an answer, not a fault
│   ├── RemovalFailed           the engine tried and could not (5xx)
│   ├── ImageGone               there is nothing to remove (404): as good as done
│   ├── AgentUnavailable        no whole answer of the agent: its last good one holds
│   ├── ExchangeUnavailable     no whole answer of the Exchange: the folder keeps what it has
│   │   └── ExchangeBusy            worth asking again in a moment
│   └── DeliveryFailed          a folder cannot be delivered into
├── AddressUnavailable      cannot be listened on, now: exit 1, and whoever restarts us tries again
├── CertificateUnavailable  the page's certificate cannot be loaded: exit 1, and a restart tries again
├── NotFound                nothing here is called so: exit 1
├── ControllerUnwell        the controller that was asked is not well, or there is none: exit 1
└── LedgerError             without a memory nothing is deleted
    ├── LedgerUnavailable       cannot be opened or written: exit 3
    └── LedgerHeld              another controller works with this ledger: exit 3
"""

from __future__ import annotations


class ControllerError(Exception):
    """Something that this program knows how to talk about; its text is a sentence for people."""


class UserError(ControllerError):
    """What a person wrote cannot be used as it is."""


class InvalidSettings(UserError):
    """A flag, an environment variable or the configuration file."""


class InvalidText(UserError):
    """Not YAML or JSON that can be read on; line and column count from 1, `hint` may be empty."""

    def __init__(self, message: str, line: int, column: int, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint


class InvalidReference(UserError):
    """Not the name of an image."""


class InvalidSelector(UserError):
    """Not a pattern over names of images; `hint` says what was probably meant, or is empty."""

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
    """Another program has it, or this host does not have it yet."""


class CertificateUnavailable(ControllerError):
    """The certificate of the page or its key cannot be loaded now; a restart tries again."""


class NotFound(ControllerError):
    """Nothing on this node is called what somebody asked for."""


class ExternalError(ControllerError):
    """The outside world did not do what was asked; asking again later may help."""


class EngineUnavailable(ExternalError):
    """The container engine gave no answer, half an answer, or one that makes no sense."""


class EngineUnreachable(EngineUnavailable):
    """Nobody listens where the engine should be, or we may not speak to it: nothing was asked."""


class ObservationOutdated(ExternalError):
    """The engine or its event stream was interrupted since the observation, so what was judged may have changed."""


class RemovalRefused(ExternalError):
    """The engine will not remove this image now, and said why."""


class RemovalFailed(ExternalError):
    """The engine tried to remove the image and could not."""


class ImageGone(ExternalError):
    """The engine knows no such image: somebody else removed it, which is as good."""


class AgentUnavailable(ExternalError):
    """The Open Horizon agent gave no answer, half an answer, or one that makes no sense; the text follows its name."""


class ExchangeUnavailable(ExternalError):
    """The Exchange gave no answer, half an answer, or one that makes no sense."""


class ExchangeBusy(ExchangeUnavailable):
    """The same, of a kind that often passes in a moment."""


class DeliveryFailed(ExternalError):
    """The folder that files are delivered into cannot be read or written, or somebody else delivers into it."""


class ControllerUnwell(ControllerError):
    """A controller that was asked how it is does not answer, or says that it is not well."""


class TextfileUnavailable(ControllerError):
    """The file with the metrics cannot be written."""


class LedgerError(ControllerError):
    """The memory of the controller; without it nothing is deleted."""


class LedgerUnavailable(LedgerError):
    """The ledger cannot be opened or written."""


class LedgerHeld(LedgerError):
    """Another controller works with this ledger."""
