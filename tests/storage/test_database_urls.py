"""Servers as people have them: TLS with their own authority, roles with few rights, odd passwords, several hosts."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import asyncpg
import pytest
import trustme

from broadaxe.app import App
from broadaxe.cli import database_checks
from broadaxe.cli.migrate import _migrate as bring_up
from broadaxe.config import Settings, load
from broadaxe.database import Database, no_connection
from broadaxe.errors import ConfigurationError
from broadaxe.storage.connections import connect
from broadaxe.storage.migrate import migrate
from broadaxe.storage.outage import UNANSWERED
from tests.own_postgres import OwnPostgres, own_postgres, replica_of
from tests.pooler import pooler

ROLE: Final = "engine@work"
ODD: Final = "p@ss:w/o?r#d%20 äß&="


class Strict:
    """A server with a database of a role that has no rights beyond it, and another search path; and TLS before it, with
    a certificate for 127.0.0.1 of an authority of its own."""

    def __init__(self, server: OwnPostgres, replica: OwnPostgres, tls: str, root: Path, other_root: Path) -> None:
        self.server = server
        self.replica = replica
        self._tls = tls
        self.root = root
        self.other_root = other_root

    def url(self, password: str | None = ODD, **parameters: str) -> str:
        return self.server.url("strict", ROLE, password, **parameters)

    def tls(self, **parameters: str) -> str:
        """The same past a PgBouncer that refuses what is not encrypted. The embedded server has no TLS."""
        trusted = {"sslmode": "verify-full", "sslrootcert": str(self.root)}
        return f"{self._tls}?{urlencode(trusted | parameters)}"


@pytest.fixture(scope="module")
def strict(_fixture_loop: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    stack = AsyncExitStack()

    async def start() -> Strict:
        directory = tmp_path_factory.mktemp("strict")
        server = await stack.enter_async_context(own_postgres(directory / "server"))
        owner = await asyncpg.connect(server.url())
        quoted = await owner.fetchval("select quote_literal($1::text)", ODD)
        await owner.execute(f'create role "{ROLE}" login password {quoted}')
        await owner.execute(f'create database strict owner "{ROLE}"')
        await owner.execute(f'alter role "{ROLE}" in database strict set search_path = nowhere, pg_catalog')
        await owner.close()
        replica = await stack.enter_async_context(replica_of(server, directory / "replica"))
        own = server.url("strict", ROLE, ODD)
        await migrate(own)
        certificate, root, other_root = _certificates(directory)
        tls = await stack.enter_async_context(pooler(own, "session", directory / "tls", certificate=certificate))
        return Strict(server, replica, tls, root, other_root)

    yield _fixture_loop.run(start())
    _fixture_loop.run(stack.aclose())


def _certificates(directory: Path) -> tuple[tuple[Path, Path], Path, Path]:
    authority, other = trustme.CA(), trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = directory / "server.pem", directory / "server.key"
    root, other_root = directory / "root.pem", directory / "other.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.touch(mode=0o600)
    key.write_bytes(issued.private_key_pem.bytes())
    authority.cert_pem.write_to_path(root)
    other.cert_pem.write_to_path(other_root)
    return (certificate, key), root, other_root


async def test_an_engine_runs_over_verified_tls_as_a_role_that_owns_its_database(
    strict: Strict, tmp_path: Path
) -> None:
    app = await App.start(Settings(database_url=strict.tls(), data_dir=tmp_path / "data", grpc_port=0, http_port=0))
    try:
        assert (await app.bootstrap_dev()).token
    finally:
        await app.stop()
    findings = [finding async for finding in database_checks.findings_of(strict.url())]
    assert {finding.subject for finding in findings if finding.remedy is not None} == {"durability"}


async def _answers(url: str) -> bool:
    connection = await connect(load({"BROADAXE_DATABASE_URL": url}).database_url or "")
    try:
        found: bool = await connection.fetchval("select current_database() = 'strict'")
        return found
    finally:
        await connection.close()


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-ca", "verify-full"])
async def test_every_mode_that_may_encrypt_does(strict: Strict, mode: str) -> None:
    assert await _answers(strict.tls(sslmode=mode))


async def test_what_cannot_be_trusted_or_is_not_encrypted_is_refused_and_told(strict: Strict) -> None:
    for parameters in ({"sslrootcert": str(strict.other_root)}, {"sslmode": "disable"}):
        url = strict.tls(**parameters)
        with pytest.raises(UNANSWERED) as refused:
            await connect(url)
        assert "--database-url" in no_connection(url, refused.value)
        findings = [finding async for finding in database_checks.findings_of(url)]
        assert [finding.subject for finding in findings] == ["database"]
        assert findings[0].remedy is not None
    # The same certificate is not one for every name.
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(strict.tls().replace("127.0.0.1", "localhost"))
    assert await _answers(strict.tls(sslmode="verify-ca").replace("127.0.0.1", "localhost"))


async def test_who_asks_for_certificates_of_clients_gets_ours(strict: Strict, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    chain, server_key, root = tmp_path / "server.pem", tmp_path / "server.key", tmp_path / "root.pem"
    chain.write_bytes(server.cert_chain_pems[0].bytes())
    server_key.touch(mode=0o600)
    server_key.write_bytes(server.private_key_pem.bytes())
    authority.cert_pem.write_to_path(root)
    names = {}
    for name, issuer in (("ours", authority), ("foreign", other)):
        # The name that is asked for in the certificate is the role's.
        issued = issuer.issue_cert(common_name=ROLE)
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.pem")
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        names[name] = {"sslcert": str(tmp_path / f"{name}.pem"), "sslkey": str(tmp_path / f"{name}.key")}
    async with pooler(
        strict.url(), "session", tmp_path / "tls", certificate=(chain, server_key), clients_of=root
    ) as url:
        trusted = {"sslmode": "verify-full", "sslrootcert": str(root)}
        assert await _answers(f"{url}?{urlencode(trusted | names['ours'])}")
        for refused in (names["foreign"], {}):
            with pytest.raises(UNANSWERED):
                await connect(f"{url}?{urlencode(trusted | refused)}")


async def test_what_only_libpq_understands_in_a_url_stops_nobody(strict: Strict) -> None:
    assert await _answers(strict.url(channel_binding="prefer", connect_timeout="5", keepalives="1"))


async def test_a_password_may_come_from_the_environment_or_a_file(
    strict: Strict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", ODD)
    assert await _answers(strict.url(password=None))
    monkeypatch.delenv("PGPASSWORD")
    passes = tmp_path / "pgpass"
    passes.touch(mode=0o600)
    # The driver takes the rest of the line as it is, where libpq would have a colon escaped.
    passes.write_text(f"127.0.0.1:*:strict:{ROLE}:{ODD}\n")
    monkeypatch.setenv("PGPASSFILE", str(passes))
    assert await _answers(strict.url(password=None))


async def test_of_several_hosts_the_one_that_can_be_written_to_is_taken(strict: Strict, tmp_path: Path) -> None:
    here, there = f"127.0.0.1:{strict.server.port}", f"127.0.0.1:{strict.replica.port}"
    several = strict.url(target_session_attrs="read-write").replace(here, f"127.0.0.1:1,{there},{here}")
    database = Database(Settings(database_url=several, data_dir=tmp_path))
    try:
        access = await database.ready()
    finally:
        await database.close()
    connection = await connect(access.dsn)
    assert await connection.fetchval("select pg_is_in_recovery()") is False
    await connection.close()
    none = strict.url().replace(here, "127.0.0.1:1,127.0.0.1:2")
    with pytest.raises(ConfigurationError, match=r"at 127\.0\.0\.1:1 or 127\.0\.0\.1:2"):
        await Database(Settings(database_url=none, data_dir=tmp_path)).ready()


async def test_what_a_server_refuses_is_the_users_to_correct(strict: Strict) -> None:
    said = {
        strict.url("wrong"): "cannot connect to the database.*: password authentication failed for user",
        strict.server.url("nowhere", ROLE, ODD): 'cannot connect to the database.*: database "nowhere" does not exist',
        strict.server.url("postgres", ROLE, ODD): "may not make the schema",
    }
    for url, reason in said.items():
        with pytest.raises(ConfigurationError, match=reason) as refused:
            await bring_up(Settings(database_url=url), None, check=False, status=False, as_json=False)
        assert ODD not in refused.value.message


async def test_doctor_says_which_right_a_role_lacks(strict: Strict) -> None:
    owner = await asyncpg.connect(strict.server.url("strict"))
    await owner.execute("create role stranger login password 'x'")
    await owner.close()
    url = strict.server.url("strict", "stranger", "x")
    findings = [finding async for finding in database_checks.findings_of(url)]
    (rights,) = [finding for finding in findings if finding.subject == "rights"]
    assert "does not own" in rights.detail
    assert f'grant "{ROLE}" to "stranger"' in str(rights.remedy)
    elsewhere = strict.server.url("postgres", "stranger", "x")
    findings = [finding async for finding in database_checks.findings_of(elsewhere)]
    (rights,) = [finding for finding in findings if finding.subject == "rights"]
    assert "grant create on database" in str(rights.remedy)
