"""The page about security names what is open, where secrets lie and who may what, as the code has it."""

from __future__ import annotations

import re
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import asyncpg

from broadaxe import app as engine_app
from broadaxe import dev_secrets
from broadaxe.cli import dashboard_link
from broadaxe.rest.app import create_http_app
from broadaxe.rest.gate import _SECURITY_HEADERS
from broadaxe.rest.settings import HttpSettings
from broadaxe.storage.migrate import migrate, schema_of


def test_what_is_open_without_credentials_is_listed_and_nothing_else(docs: dict[str, Any]) -> None:
    document = create_http_app(
        pool=cast(Any, None),
        engine=cast(Any, None),
        verifier=cast(Any, None),
        settings=HttpSettings(server_url="http://127.0.0.1:1", grpc_address="127.0.0.1:2"),
    ).openapi()
    is_open = {
        f"{verb.upper()} {path}"
        for path, operations in document["paths"].items()
        for verb, operation in operations.items()
        if not operation["security"]
    }
    section = docs["security"].text.split("## Open without credentials")[1].split("\n## ")[0]
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) [^`]+)`", section)) == is_open


def test_the_files_that_hold_secrets_are_named(docs: dict[str, Any]) -> None:
    for name in (engine_app.SECRET_KEY_FILE, dashboard_link.FILE, dev_secrets.FILE):
        assert f"`{name}`" in docs["security"].text


def test_the_headers_that_the_page_speaks_of_are_sent(docs: dict[str, Any]) -> None:
    assert f"`X-Frame-Options: {_SECURITY_HEADERS['X-Frame-Options']}`" in docs["security"].text
    policy = _SECURITY_HEADERS["Content-Security-Policy"]
    assert "script-src 'self'" in policy and "unsafe" not in policy


def test_nobody_can_sign_up(docs: dict[str, Any]) -> None:
    settings = HttpSettings(server_url="", grpc_address="")
    assert not settings.allows_signup and settings.allows_tenant_creation
    assert "there is no sign-up" in docs["security"].text and "make tenants of their own" in docs["security"].text


async def test_a_role_that_owns_its_database_is_enough(postgres: str, docs: dict[str, Any]) -> None:
    assert "A database role that owns its database and nothing else; no superuser." in docs["security"].text
    name = f"owner_{uuid4().hex}"
    connection = await asyncpg.connect(postgres)
    try:
        await connection.execute(f"create role {name} login password 'geheim'")
        await connection.execute(f"create database {name} owner {name}")
        parts = urlsplit(postgres)
        host = parts.netloc.rpartition("@")[2]
        dsn = urlunsplit(parts._replace(netloc=f"{name}:geheim@{host}", path=f"/{name}"))
        await migrate(dsn)
        assert (await schema_of(dsn)).lacks == []
        await connection.execute(f"drop database {name} with (force)")
        await connection.execute(f"drop role {name}")
    finally:
        await connection.close()
