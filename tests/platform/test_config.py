"""Settings: where values come from, and that wrong ones are named."""

from __future__ import annotations

import base64
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from broadaxe.config import SETTINGS, Setting, Settings, load
from broadaxe.errors import ConfigurationError


def test_defaults_listen_on_loopback_with_the_usual_ports() -> None:
    settings = load({})
    assert (settings.host, settings.grpc_port, settings.http_port) == ("127.0.0.1", 7077, 8080)
    assert settings.data_dir == Path(".broadaxe")
    assert settings.embedded


def test_command_line_wins_over_environment_and_environment_over_default() -> None:
    environment = {"BROADAXE_GRPC_PORT": "1111", "BROADAXE_HTTP_PORT": "2222"}
    settings = load(environment, {"grpc_port": "3333", "http_port": None})
    assert (settings.grpc_port, settings.http_port) == (3333, 2222)


def test_empty_variables_count_as_not_set() -> None:
    assert load({"BROADAXE_DATABASE_URL": " "}).embedded


def test_every_field_has_a_variable_and_a_help_text() -> None:
    assert {setting.field for setting in SETTINGS} == {field.name for field in fields(Settings)}
    assert all(setting.help for setting in SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.field)
def test_every_variable_is_in_the_documentation(setting: Setting) -> None:
    page = Path(__file__).parents[2] / "docs" / "configuration.md"
    assert f"`{setting.variable}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BROADAXE_GRPC_PORT", "70000"),
        ("BROADAXE_HTTP_PORT", "-1"),
        ("BROADAXE_HOST", "not a host"),
        ("BROADAXE_DATABASE_URL", "mysql://x"),
        ("BROADAXE_PUBLIC_URL", "example.com"),
        ("BROADAXE_PUBLIC_GRPC", "http://example.com:1"),
        ("BROADAXE_LOG_LEVEL", "loud"),
        ("BROADAXE_REQUIRE_LOGIN", "perhaps"),
        ("BROADAXE_EXTRA_DATABASES", "ok,Not Ok"),
        ("BROADAXE_SECRET_KEY", "c2hvcnQ="),
    ],
)
def test_wrong_value_is_refused_by_the_name_of_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=variable) as refused:
        load({variable: value})
    assert variable != "BROADAXE_SECRET_KEY" or value not in str(refused.value)


@pytest.mark.parametrize("password", ["a@b", "a/b", "a?b", "a#b", "a%b", "a:1@b"])
def test_a_password_that_spoils_the_url_is_refused_with_the_way_out_and_not_shown(password: str) -> None:
    with pytest.raises(ConfigurationError, match="percent-encoded") as refused:
        load({"BROADAXE_DATABASE_URL": f"postgresql://user:{password}@host:5432/database"})
    assert password not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:a%40b%3A%2F%3F%23%25%20c@host:5432/database?sslmode=verify-full&sslrootcert=/a/b.pem",
        "postgresql://user:pass:word@h1:5432,h2:5433/database?target_session_attrs=read-write",
        "postgres://user@[::1]:5432/database",
        "postgresql://user:x@/database?host=%2Frun%2Fpostgresql&port=5432",
        "postgresql://%2Frun%2Fpostgresql/database",
        "postgresql:///database",
    ],
)
def test_a_url_of_a_database_is_kept_as_it_is(url: str) -> None:
    assert load({"BROADAXE_DATABASE_URL": url}).database_url == url


def test_what_only_libpq_understands_is_left_out_of_a_url() -> None:
    url = "postgresql://u@h/d?channel_binding=require&sslmode=require&connect_timeout=10"
    assert load({"BROADAXE_DATABASE_URL": url}).database_url == "postgresql://u@h/d?sslmode=require"


def test_wrong_flag_is_refused_by_the_name_of_the_flag() -> None:
    with pytest.raises(ConfigurationError, match="--grpc-port"):
        load({}, {"grpc_port": "x"})


def test_a_secret_key_is_never_shown() -> None:
    key = base64.b64encode(bytes(32)).decode()
    settings = load({"BROADAXE_SECRET_KEY": f"{key}, {key}"})
    assert settings.secret_key == (bytes(32), bytes(32))
    assert "secret_key" not in repr(settings)


def test_addresses_for_clients_are_reachable_ones() -> None:
    assert load({"BROADAXE_HOST": "0.0.0.0"}).grpc_address == "127.0.0.1:7077"
    assert load({"BROADAXE_HOST": "::1"}).http_url == "http://[::1]:8080"
    assert load({"BROADAXE_PUBLIC_URL": "https://b.example.com/"}).http_url == "https://b.example.com"


@pytest.mark.parametrize(
    ("given", "strategy"),
    [
        ({}, "none"),
        ({"tls_certificate": Path("c.pem"), "tls_key": Path("c.key")}, "tls"),
        ({"tls_certificate": Path("c.pem"), "tls_key": Path("c.key"), "tls_client_ca": Path("ca.pem")}, "mtls"),
        ({"public_url": "http://intern:8080", "public_grpc": "intern:7077"}, "none"),
        # Whoever ends TLS in front of HTTP may do so in front of gRPC.
        ({"public_url": "https://example.com", "public_grpc": "grpc.example.com:443"}, None),
        ({"public_url": "https://example.com"}, "none"),
    ],
    ids=["plain", "tls", "mtls", "named", "proxy", "proxied-http-only"],
)
def test_what_sdks_have_to_use_is_what_the_engine_speaks(given: dict[str, Any], strategy: str | None) -> None:
    assert Settings(**given).tls_strategy == strategy
