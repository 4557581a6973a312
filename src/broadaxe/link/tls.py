"""TLS of the links between nodes, if certificates are given: each node shows its own and checks the other's.

Whom a certificate names is not asked: nodes find each other by addresses that change, and whoever has one of the
authorities given is of the cluster, as far as this goes. The secret is proved inside as well (`connection.py`).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from broadaxe.errors import ConfigurationError

__all__ = ["LinkTls", "link_tls"]


@dataclass(frozen=True, slots=True)
class LinkTls:
    """For the side that listens and for the side that connects."""

    accepting: ssl.SSLContext
    connecting: ssl.SSLContext


def link_tls(certificate: Path | None, key: Path | None, authorities: Path | None) -> LinkTls | None:
    """None when nothing is given. ConfigurationError when only a part is, or a file is not what it should be."""
    if certificate is None and key is None and authorities is None:
        return None
    if certificate is None or key is None or authorities is None:
        raise ConfigurationError(
            "TLS between nodes needs all of --link-tls-certificate, --link-tls-key and --link-tls-ca",
            field="--link-tls-certificate",
        )
    accepting = _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authorities)
    return LinkTls(accepting, _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authorities))


def _context(side: int, certificate: Path, key: Path, authorities: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(certificate, key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"no TLS between nodes: {certificate} and {key} are not a certificate chain and its key in PEM",
            field="--link-tls-certificate",
        ) from error
    try:
        context.load_verify_locations(authorities)
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"no TLS between nodes: {authorities} holds no certificates in PEM", field="--link-tls-ca"
        ) from error
    return context
