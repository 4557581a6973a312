"""Settings are checked when they are read, and every setting is documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag_chat import settings as settings_module
from rag_chat.errors import SettingsError
from rag_chat.settings import read_settings

DATABASE = {"RAG_CHAT_DATABASE_URL": "postgresql://x/y"}


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({}, "RAG_CHAT_DATABASE_URL"),
        (DATABASE | {"RAG_CHAT_PORT": "many"}, "RAG_CHAT_PORT"),
        (DATABASE | {"RAG_CHAT_PORT": "70000"}, "RAG_CHAT_PORT"),
        (DATABASE | {"RAG_CHAT_ALLOWED_PRIVATE_HOSTS": "localhost"}, "RAG_CHAT_ALLOWED_PRIVATE_HOSTS"),
        (DATABASE | {"RAG_CHAT_DEFAULT_URL": "docs"}, "RAG_CHAT_DEFAULT_URL"),
        (DATABASE | {"OPENAI_BASE_URL": "localhost:11434"}, "OPENAI_BASE_URL"),
        (DATABASE | {"OPENAI_API_KEY": "k"}, "OPENAI_MODEL"),
        (DATABASE | {"OLLAMA_HOST": "here:port"}, "OLLAMA_HOST"),
        (DATABASE | {"RAG_CHAT_FIRST_TOKEN_WAIT_S": "1"}, "RAG_CHAT_FIRST_TOKEN_WAIT_S"),
        (DATABASE | {"RAG_CHAT_EMBEDDING_DIR": "/no/such/folder"}, "RAG_CHAT_EMBEDDING_DIR"),
    ],
)
def test_a_wrong_setting_is_named(variables: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        read_settings(variables)


def test_defaults_suit_one_machine() -> None:
    settings = read_settings(DATABASE)
    assert (settings.host, settings.port, settings.allowed_private_hosts) == ("127.0.0.1", 8000, frozenset())
    assert (settings.model.base_url, settings.model.explicit) == ("http://127.0.0.1:11434/v1", False)


def test_a_model_may_be_silent_for_long_before_its_first_word_and_not_in_the_middle_of_an_answer() -> None:
    model = read_settings(DATABASE).model
    assert model.first_token_wait_s >= 600
    assert model.silence_timeout_s <= 60
    told = {"RAG_CHAT_FIRST_TOKEN_WAIT_S": "1200", "RAG_CHAT_TOKEN_WAIT_S": "5"}
    model = read_settings(DATABASE | told).model
    assert (model.first_token_wait_s, model.silence_timeout_s) == (1200, 5)


@pytest.mark.parametrize(
    ("host", "base_url"),
    [
        ("10.0.0.7", "http://10.0.0.7:11434/v1"),
        ("0.0.0.0:9000", "http://127.0.0.1:9000/v1"),
        ("https://ollama.example", "https://ollama.example:443/v1"),
        ("[::1]:9000", "http://[::1]:9000/v1"),
    ],
)
def test_ollamas_own_variable_is_heeded(host: str, base_url: str) -> None:
    model = read_settings(DATABASE | {"OLLAMA_HOST": host}).model
    assert (model.base_url, model.explicit) == (base_url, False)


def test_the_embedding_model_of_the_worker_can_be_switched_off() -> None:
    assert read_settings(DATABASE | {"RAG_CHAT_EMBEDDING_DIR": "off"}).embedding_weights is None


def test_private_hosts_are_parsed() -> None:
    settings = read_settings(DATABASE | {"RAG_CHAT_ALLOWED_PRIVATE_HOSTS": "127.0.0.1:8080, Docs.Local:80,[::1]:90"})
    assert settings.allowed_private_hosts == {("127.0.0.1", 8080), ("docs.local", 80), ("::1", 90)}


def test_every_setting_is_in_the_readme() -> None:
    source = Path(settings_module.__file__).read_text()
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    names = set(re.findall(r'"((?:RAG_CHAT|OPENAI|OLLAMA)_[A-Z_]+)"', source))
    assert len(names) > 12
    assert sorted(name for name in names if f"`{name}`" not in readme) == []
