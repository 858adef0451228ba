"""Opens and locks the ledger's file, and checks whether a file is a ledger. It does not read the rows."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from controller.errors import InvalidSettings, LedgerHeld, LedgerUnavailable
from controller.settings import default_ledger, environment

APPLICATION_ID = 0x696D6763
"""`imgc`, in the header of the file. Ledgers of version 0.1.0 have none."""
OUR_TABLES = frozenset({"intents", "removals", "inbox"})
"""In every ledger since the first one."""
MODE = 0o640
"""Of all files of a ledger; stricter ones are left as they are."""
_WAIT_FOR_OTHERS_SECONDS = 10.0
_MAGIC = b"SQLite format 3\0"
_WRITE_VERSIONS = (1, 2)
"""A rollback journal, a write-ahead log: https://www.sqlite.org/fileformat2.html#file_format_version_numbers"""
_of_our_lock = re.compile(rb"\d{1,20} *\n")
_NOT_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_NOLFS,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_PROTOCOL,
    }
)


class DamagedError(Exception):
    """The content of the file cannot be read."""


class NewerError(Exception):
    """A newer version of this program wrote the file."""


@contextmanager
def ledger_errors(file: Path) -> Iterator[None]:
    """Raises LedgerUnavailable for each error of SQLite or of the content inside the block."""
    try:
        with damage_found():
            yield
    except DamagedError as error:
        raise LedgerUnavailable(
            f"the ledger {file} is damaged ({error}); the controller replaces it when it starts"
        ) from error
    except NewerError as error:
        hint = "upgrade, or use another --ledger"
        raise LedgerUnavailable(f"the ledger {file} was written by a newer version ({error}): {hint}") from error
    except sqlite3.Error as error:
        raise LedgerUnavailable(f"the ledger {file} cannot be used: {error}") from error


@contextmanager
def damage_found() -> Iterator[None]:
    """Raises DamagedError for each error of SQLite that comes from the content and not from the system."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError, OverflowError) as error:
        # For text that is not UTF-8 Python's sqlite3 raises an error without a code.
        if is_system_error(error):
            raise
        raise DamagedError(str(error)) from error


def is_system_error(error: Exception) -> bool:
    """True if the error comes from the disk, the permissions or another process."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in _NOT_DAMAGE


def is_full(error: Exception) -> bool:
    """True if the disk is full."""
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL


def require_ours(file: Path) -> None:
    """Raises InvalidSettings if the file exists and is not a ledger, or if the folder of a ledger that was named does
    not exist; LedgerUnavailable if the file cannot be opened.

    A ledger has our application ID or our tables. A file that cannot be read as a database counts as a damaged ledger
    only at the default path or beside our lock file.
    """
    try:
        with open(file, "rb", opener=_without_waiting) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise InvalidSettings(f"--ledger {file}: not a file")
            header = opened.read(100)
    except FileNotFoundError:
        _require_folder(file)
        return
    except IsADirectoryError as error:
        raise InvalidSettings(f"--ledger {file}: is a folder (name a file)") from error
    except OSError as error:
        raise _unavailable(f"cannot open the ledger {file}", error) from error
    if header and not (_is_database_of_ours(file, header) or _is_where_ours_is(file)):
        raise InvalidSettings(f"--ledger {file}: not a ledger of this program; it was not changed (use another path)")


def _without_waiting(file: str, flags: int) -> int:
    """Opens a FIFO at once, which otherwise waits for a writer."""
    return os.open(file, flags | os.O_NONBLOCK)


def _require_folder(file: Path) -> None:
    """The folder of the default path is created; a missing folder of another path is a typing error."""
    if not file.parent.exists() and file.absolute() != default_ledger(environment()).absolute():
        raise InvalidSettings(f"--ledger {file}: there is no folder {file.parent} (create it, or use another path)")


def _is_database_of_ours(file: Path, header: bytes) -> bool:
    if not header.startswith(_MAGIC):
        return False
    if int.from_bytes(header[68:72], "big") == APPLICATION_ID:
        return True
    with suppress(sqlite3.Error), closing(connected(file, "ro")) as db:
        db.text_factory = lambda text: text.decode(errors="replace")
        names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        return names >= OUR_TABLES or not names  # An empty database: a start that was interrupted.
    return False


def _is_where_ours_is(file: Path) -> bool:
    """For a file that is no readable database; another program's database is never ours."""
    if _is_readable_database(file):
        return False
    if file.absolute() == default_ledger(environment()).absolute():
        return True
    try:
        descriptor = os.open(lock_of(file), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as lock:
        return stat.S_ISREG(os.fstat(descriptor).st_mode) and bool(_of_our_lock.fullmatch(lock.read(64)))


def _is_readable_database(file: Path) -> bool:
    try:
        with closing(connected(file, "ro")) as db:
            db.text_factory = bytes
            db.execute("SELECT * FROM sqlite_master").fetchall()
    except sqlite3.Error:
        return False
    return True


def require_writable_format(file: Path) -> None:
    """Raises DamagedError if SQLite would open the file read-only: it does so if it does not know the write version."""
    with file.open("rb") as opened:
        header = opened.read(19)
    if len(header) == 19 and header.startswith(_MAGIC) and header[18] not in _WRITE_VERSIONS:
        raise DamagedError(f"its write version is {header[18]}")


def connected(file: Path, mode: str) -> sqlite3.Connection:
    """A connection; `mode` is `ro`, or `rwc` to create the file if it does not exist.

    A reader creates no file: without a log there is no writer, and the file is opened as immutable.
    """
    if mode == "ro" and not file.exists():
        raise LedgerUnavailable(f"no ledger {file} (no controller has run here, or --ledger names another file)")
    is_at_rest = mode == "ro" and not log_of(file).exists()
    return sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}{'&immutable=1' if is_at_rest else ''}",
        uri=True,
        timeout=_WAIT_FOR_OTHERS_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def reader_of(file: Path) -> sqlite3.Connection:
    """A connection to a ledger, for reading. Raises InvalidSettings, LedgerUnavailable."""
    require_ours(file)
    with ledger_errors(file):
        return connected(file, "ro")


def create_private(file: Path) -> None:
    """Create the file if it does not exist; take permissions beyond MODE from it and its log."""
    try:
        is_new = not file.exists()
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE))
        if is_new and os.geteuid() == 0:
            _give_to_owner_of_folder(file)
    except OSError as error:
        raise _unavailable(f"cannot open the ledger {file}", error) from error
    for each in files_of(file):
        with suppress(OSError):  # Another user's files; the next write shows whether that matters.
            mode = stat.S_IMODE(each.stat().st_mode)
            if mode & ~MODE:
                each.chmod(mode & MODE)


def _give_to_owner_of_folder(file: Path) -> None:
    """A command that root runs before the first start of the service must not lock its user out."""
    folder = file.parent.stat()
    os.chown(file, folder.st_uid, folder.st_gid)


def files_of(file: Path) -> tuple[Path, Path, Path]:
    """The file, its log and the index of the log."""
    return file, log_of(file), index_of(file)


def log_of(file: Path) -> Path:
    """SQLite's log of changes, beside the file."""
    return file.with_name(f"{file.name}-wal")


def index_of(file: Path) -> Path:
    """SQLite's index of the log, beside the file."""
    return file.with_name(f"{file.name}-shm")


def lock_of(file: Path) -> Path:
    """The lock of the controller that uses the ledger."""
    return file.with_name(f"{file.name}.lock")


class FileLock:
    """A lock, held until `release`. Raises LedgerHeld if another process has it, else LedgerUnavailable."""

    def __init__(self, file: Path) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unavailable(f"cannot create {file}", error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            os.close(descriptor)
            if error.errno != errno.EWOULDBLOCK:
                raise _unavailable(f"cannot lock {file}", error) from error
            raise LedgerHeld(f"{file}: the ledger is locked by another controller (pid {holder})") from error
        with suppress(OSError):  # On a full disk the lock is valid, only without the process ID.
            os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Release the lock; a second call does nothing."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _unavailable(what: str, error: OSError) -> LedgerUnavailable:
    if error.errno == errno.ELOOP:
        return LedgerUnavailable(f"{what}: it is a symbolic link, which is not followed (remove it)")
    if error.errno == errno.ENOLCK:
        return LedgerUnavailable(f"{what}: the file system has no locks (put the ledger on a local disk)")
    hint = " (run as root, or use another --ledger)" if error.errno == errno.EACCES else ""
    return LedgerUnavailable(f"{what}: {error.strerror}{hint}")
