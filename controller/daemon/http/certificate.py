"""The certificate of the page: loaded at the start, and loaded again when its files change."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from controller.errors import CertificateUnavailable
from controller.log_events import LogEvent

_log = logging.getLogger("controller")
_Stamp = tuple[tuple[int, int, int], ...]


class Certificate:
    """A TLS context (1.2 and later) that is loaded again when its files change."""

    def __init__(self, certificate: Path, key: Path | None) -> None:
        """Raises CertificateUnavailable."""
        self._certificate, self._key = certificate, key
        self._stamp = self._current()
        self.context = self._loaded()

    def renew(self) -> None:
        """Use changed files for new connections. If certificate and key do not match, the old pair is used."""
        stamp = self._current()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._loaded()  # A failed load would damage the context in use.
            self.context.load_cert_chain(self._certificate, self._key)
        except (CertificateUnavailable, OSError) as error:
            _log.error("%s; the old certificate is still used", error, extra={"event": LogEvent.CERTIFICATE_INVALID})
        else:
            _log.info(
                "loaded the renewed certificate %s", self._certificate, extra={"event": LogEvent.CERTIFICATE_RENEWED}
            )

    def _current(self) -> _Stamp:
        """A value that changes when a file is written or replaced; empty while a file is missing."""
        try:
            found = [file.stat() for file in (self._certificate, self._key) if file]
        except OSError:
            return ()
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self._certificate, self._key)
        except OSError as error:
            reason = error.strerror or error
            raise CertificateUnavailable(f"--tls-certificate {self._certificate}: cannot load: {reason}") from error
        return context
