"""The trusted certificates, and the messages of a failed check."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path

from controller.errors import InvalidSettings
from controller.printable import printable

SYSTEM_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Alpine
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # Fedora, RHEL
    Path("/etc/ssl/ca-bundle.pem"),  # SUSE
)
_OF_REQUESTS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = (62, 64)
"""OpenSSL: X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH."""


def certificates(file: Path) -> Path:
    """The file, if it contains PEM certificates. Raises InvalidSettings."""
    try:
        ssl.create_default_context(cafile=str(file))
    except OSError as error:
        words = printable((error.strerror or str(error)).strip())
        raise InvalidSettings(f"--ca {file}: not a file of PEM certificates: {words}") from None
    return file


def trusted(ca: Path | None, environ: Mapping[str, str]) -> str | bool:
    """What `requests` shall verify with: `--ca`, the variables of OpenSSL, those of requests, the system's bundle.

    True, which is certifi's list, only where the system has no bundle.
    """
    if ca:
        return str(ca)
    if of_openssl := environ.get("SSL_CERT_FILE") or environ.get("SSL_CERT_DIR"):
        return of_openssl
    if any(environ.get(name) for name in _OF_REQUESTS):
        return True  # requests reads them itself.
    return next((str(bundle) for bundle in SYSTEM_BUNDLES if bundle.is_file()), True)


def why_not_trusted(error: ssl.SSLCertVerificationError) -> str:
    """The message with a hint."""
    if error.verify_code == _EXPIRED:
        hint = "renew the certificate of the Exchange, or set the clock of this host"
    elif error.verify_code == _NOT_YET_VALID:
        hint = "set the clock of this host"
    elif error.verify_code in _OTHER_NAME:
        hint = "use a name of the certificate in --exchange-url"
    else:
        hint = "for a private certificate authority use --ca, or add it to the certificates of the system"
    return f"certificate not trusted: {printable(error.verify_message)} ({hint})"
