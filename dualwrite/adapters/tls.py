"""The listening side's certificate."""

import ssl
from pathlib import Path

from dualwrite.core.errors import UnusableFile


def context_for(certificate: Path, key: Path) -> ssl.SSLContext:
    """What a server listens with, TLS 1.2 or later. Raises UnusableFile."""
    for path in (certificate, key):
        try:
            path.open("rb").close()
        except OSError as error:
            raise UnusableFile(f"{path}: cannot be read: {error.strerror}") from None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # A key under a pass phrase would otherwise be asked for on the terminal.
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or "unreadable"
        raise UnusableFile(
            f"{certificate} and {key}: are no certificate chain and its private key in PEM, "
            f"without a pass phrase: {why}"
        ) from None
    return context


def renew(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Use the files' present contents for connections that are made from now on. Raises
    UnusableFile; then nothing has changed, but where they were changed again just then: then they
    are to be read once more."""
    context_for(certificate, key)
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")
    except (OSError, ValueError):
        raise UnusableFile(f"{certificate} and {key}: changed while they were read") from None
