"""Flags that several commands share, and how they become `Settings`.

Owns the wording of those flags. Refuses to interpret values: that is `config.load`, which also reads the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from broadaxe.config import Settings, load

__all__ = [
    "as_json",
    "choosing",
    "data_dir",
    "database_url",
    "direct_database_url",
    "linking",
    "listening",
    "logging_flags",
    "mail",
    "openid",
    "public_url",
    "read_database_url",
    "settings_from",
    "tls",
]

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def settings_from(given: Mapping[str, object]) -> Settings:
    """Settings from flags (None means not given) and the environment of this process."""
    return load(os.environ, given)


def as_json(command: Decorated) -> Decorated:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead, for programs.")(command)


def data_dir(command: Decorated) -> Decorated:
    """`--data-dir`."""
    return click.option(
        "--data-dir",
        metavar="DIR",
        help="Where the data lives; created when missing. [default: .broadaxe; BROADAXE_DATA_DIR]",
    )(command)


def database_url(command: Decorated) -> Decorated:
    """`--database-url`, `--database-schema`."""
    for option in (
        click.option(
            "--database-schema",
            metavar="NAME",
            help="The schema of its tables in a database of your own. [default: broadaxe; BROADAXE_DATABASE_SCHEMA]",
        ),
        click.option(
            "--database-url",
            metavar="URL",
            help="A PostgreSQL (15 or newer) of your own instead of the embedded one. [BROADAXE_DATABASE_URL]",
        ),
    ):
        command = option(command)
    return command


def direct_database_url(command: Decorated) -> Decorated:
    """`--direct-database-url`."""
    return click.option(
        "--direct-database-url",
        metavar="URL",
        help="The same database past the connection pooler that --database-url leads to. "
        "[BROADAXE_DIRECT_DATABASE_URL]",
    )(command)


def read_database_url(command: Decorated) -> Decorated:
    """`--read-database-url`."""
    return click.option(
        "--read-database-url",
        metavar="URL",
        help="A streaming replica of the database: what people look at is read there. [BROADAXE_READ_DATABASE_URL]",
    )(command)


def linking(command: Decorated) -> Decorated:
    """`--link-port`, `--public-link`, `--link-tls-certificate`, `--link-tls-key`, `--link-tls-ca`."""
    for option in (
        click.option(
            "--link-tls-ca", metavar="FILE", help="Authorities that the other nodes' certificates must be of (PEM)."
        ),
        click.option("--link-tls-key", metavar="FILE", help="Private key of that certificate (PEM)."),
        click.option(
            "--link-tls-certificate",
            metavar="FILE",
            help="Speak TLS with the other nodes, and show them this certificate (PEM).",
        ),
        click.option(
            "--public-link",
            metavar="HOST:PORT",
            help="Where the other nodes on the same database reach it. [default: found out; BROADAXE_PUBLIC_LINK]",
        ),
        click.option(
            "--link-port",
            metavar="PORT",
            help="Port for the other nodes on the same database; 0 picks a free one. [default: 0; BROADAXE_LINK_PORT]",
        ),
    ):
        command = option(command)
    return command


def choosing(command: Decorated) -> Decorated:
    """`--priority-across-tasks`, `--enforce-limits`, `--retention-days`, `--audit-retention-days`,
    `--cron-catch-up-minutes`."""
    for option in (
        click.option(
            "--cron-catch-up-minutes",
            metavar="MINUTES",
            help="A cron's last tick that the engine was away for comes late if it is younger than this; 0 never makes "
            "one up. [default: 60]",
        ),
        click.option(
            "--audit-retention-days",
            metavar="DAYS",
            help="Days that entries of the audit log are kept; 0 keeps them for ever. [default: 365]",
        ),
        click.option(
            "--retention-days",
            metavar="DAYS",
            help="Days that finished runs and their history are kept; 0 keeps them for ever. [default: 30]",
        ),
        click.option(
            "--trusted-proxies",
            metavar="NETWORKS",
            help="Addresses or networks, separated by commas, of proxies whose X-Forwarded-For is believed.",
        ),
        click.option(
            "--alert-networks",
            metavar="NETWORKS",
            help="Private addresses or networks, separated by commas, that messages of alerts may be sent to.",
        ),
        click.option(
            "--enforce-limits",
            is_flag=True,
            default=None,
            help="Hold tenants to their limits of task runs, events, workers, slots and webhooks; "
            "see `broadaxe tenant limits --help`.",
        ),
        click.option(
            "--priority-across-tasks",
            is_flag=True,
            default=None,
            help="The most urgent run goes first also among different tasks of one worker.",
        ),
    ):
        command = option(command)
    return command


def mail(command: Decorated) -> Decorated:
    """`--smtp-url`, `--mail-from`."""
    for option in (
        click.option("--mail-from", metavar="ADDRESS", help="The sender of mails. [BROADAXE_MAIL_FROM]"),
        click.option(
            "--smtp-url",
            metavar="URL",
            help="Send mails through this server: smtp://user:password@host:587, or smtps://. [BROADAXE_SMTP_URL]",
        ),
    ):
        command = option(command)
    return command


def tls(command: Decorated) -> Decorated:
    """`--tls-certificate`, `--tls-key`, `--tls-client-ca`."""
    for option in (
        click.option("--tls-client-ca", metavar="FILE", help="Demand gRPC client certificates of these authorities."),
        click.option("--tls-key", metavar="FILE", help="Private key of the certificate (PEM)."),
        click.option("--tls-certificate", metavar="FILE", help="Serve gRPC over TLS with this certificate (PEM)."),
    ):
        command = option(command)
    return command


def listening(command: Decorated) -> Decorated:
    """`--host`, `--grpc-port`, `--http-port`, `--public-url`, `--public-grpc`."""
    for option in (
        click.option("--public-grpc", metavar="HOST:PORT", help="The gRPC address as clients see it, for tokens."),
        public_url,
        click.option(
            "--http-port", metavar="PORT", help="Dashboard and REST API; 0 picks a free port. [default: 8080]"
        ),
        click.option("--grpc-port", metavar="PORT", help="SDKs and workers; 0 picks a free port. [default: 7077]"),
        click.option("--host", metavar="ADDRESS", help="Address to listen on. [default: 127.0.0.1]"),
    ):
        command = option(command)
    return command


def openid(command: Decorated) -> Decorated:
    """`--openid-providers`."""
    return click.option(
        "--openid-providers",
        metavar="FILE",
        help="Let people sign in through the OpenID providers that this TOML file names. [BROADAXE_OPENID_PROVIDERS]",
    )(command)


def public_url(command: Decorated) -> Decorated:
    """`--public-url`."""
    return click.option(
        "--public-url", metavar="URL", help="The HTTP address as clients see it, for tokens and links."
    )(command)


def logging_flags(command: Decorated) -> Decorated:
    """`--log-level` and `--log-format`."""
    for option in (
        click.option("--log-format", metavar="FORMAT", help="console, json or auto. [default: auto]"),
        click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [default: info]"),
    ):
        command = option(command)
    return command
