"""What can be configured, read once from the environment.

Owns the names, the defaults and the checks of every setting. Refuses a malformed value with a sentence that names the
variable. The Hatchet client reads its own `HATCHET_CLIENT_*` variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from rag_chat.errors import SettingsError
from rag_chat.local_embedding import find_weights

OLLAMA_BASE_URL = "http://127.0.0.1:11434/v1"
OPENAI_BASE_URL = "https://api.openai.com/v1"
WEB_DIST_DEFAULT = Path(__file__).resolve().parents[2] / "web" / "dist"


@dataclass(frozen=True, slots=True)
class ReadingLimits:
    """How much of the web one question may read."""

    page_size_bytes_max: int = 2_000_000
    # PDF documents and files that people give.
    document_size_bytes_max: int = 20_000_000
    page_time_s_max: float = 20.0
    redirects_max: int = 5
    text_chars_max: int = 400_000
    site_pages_max: int = 24
    # How many pages beyond those a thorough answer reads.
    further_pages_max: int = 24
    site_size_bytes_max: int = 12_000_000
    site_time_s_max: float = 60.0
    parallel_requests_max: int = 3
    fresh_for_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Where the language model is, and how much patience it gets. `explicit` is false when only Ollama's usual address
    is tried."""

    base_url: str
    api_key: str | None
    model: str | None
    embedding_model: str | None
    explicit: bool
    connect_timeout_s: float = 3.0
    # How long a page waits for the list of models, and how long an answer does.
    look_timeout_s: float = 3.0
    list_patience_s: float = 30.0
    # A model that is loaded from disk and reads a long prompt on a small machine is silent for minutes.
    first_token_wait_s: float = 900.0
    silence_timeout_s: float = 60.0
    # How long a server that was there may be away, as one that restarts is, before an attempt is given up.
    return_wait_s: float = 20.0
    embedding_timeout_s: float = 60.0
    answer_tokens_max: int = 2_048
    answer_time_s_max: float = 600.0
    answer_chars_max: int = 24_000
    window_tokens: int = 8_192
    # The model of quick answers, where nobody chose one.
    quick_model: str | None = None

    @property
    def root_url(self) -> str:
        """Where the server's own API begins, beside the one of OpenAI's protocol."""
        return self.base_url.removesuffix("/v1")


@dataclass(frozen=True, slots=True)
class Settings:
    database_url: str
    host: str
    port: int
    dashboard_url: str
    default_url: str
    cors_origins: tuple[str, ...]
    allowed_private_hosts: frozenset[tuple[str, int]]
    model: ModelSettings
    reading: ReadingLimits
    web_dist: Path
    engine_wait_s: float
    worker_slots: int
    # The folder of the embedding model for this process; None when there is none, or none is wanted.
    embedding_weights: Path | None = None


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; raises SettingsError naming the variable that is wrong."""
    env = os.environ if environ is None else environ
    return Settings(
        database_url=_required(
            env,
            "RAG_CHAT_DATABASE_URL",
            "set it to the chat's own Postgres database, for example postgresql://postgres@127.0.0.1:5432/rag_chat",
        ),
        host=env.get("RAG_CHAT_HOST") or "127.0.0.1",
        port=_integer(env, "RAG_CHAT_PORT", 8000, 0, 65_535),
        dashboard_url=_web_address(env, "RAG_CHAT_DASHBOARD_URL", "http://127.0.0.1:8080").rstrip("/"),
        default_url=_web_address(env, "RAG_CHAT_DEFAULT_URL", "http://127.0.0.1:8080/docs/"),
        cors_origins=tuple(
            origin.strip().rstrip("/") for origin in env.get("RAG_CHAT_CORS_ORIGIN", "").split(",") if origin.strip()
        ),
        allowed_private_hosts=_allowed_hosts(env.get("RAG_CHAT_ALLOWED_PRIVATE_HOSTS", "")),
        model=_model_settings(env),
        reading=ReadingLimits(
            page_size_bytes_max=_integer(env, "RAG_CHAT_PAGE_SIZE_BYTES_MAX", 2_000_000, 1_000, 50_000_000),
            document_size_bytes_max=_integer(env, "RAG_CHAT_DOCUMENT_SIZE_BYTES_MAX", 20_000_000, 1_000, 100_000_000),
            site_pages_max=_integer(env, "RAG_CHAT_SITE_PAGES_MAX", 24, 1, 200),
            further_pages_max=_integer(env, "RAG_CHAT_THOROUGH_PAGES_MAX", 24, 0, 200),
            fresh_for_s=float(_integer(env, "RAG_CHAT_FRESH_FOR_S", 60, 0, 86_400)),
        ),
        web_dist=Path(env.get("RAG_CHAT_WEB_DIST") or WEB_DIST_DEFAULT),
        engine_wait_s=float(_integer(env, "RAG_CHAT_ENGINE_WAIT_S", 60, 0, 3_600)),
        worker_slots=_integer(env, "RAG_CHAT_WORKER_SLOTS", 20, 1, 1_000),
        embedding_weights=_embedding_weights(env),
    )


def _model_settings(env: Mapping[str, str]) -> ModelSettings:
    base_url = env.get("OPENAI_BASE_URL", "").strip()
    api_key = env.get("OPENAI_API_KEY", "").strip() or None
    model = env.get("OPENAI_MODEL", "").strip() or None
    embedding_model = env.get("OPENAI_EMBEDDING_MODEL", "").strip() or None
    explicit = True
    if base_url:
        base_url = _web_address(env, "OPENAI_BASE_URL", base_url).rstrip("/")
    elif api_key is not None:
        if model is None:
            raise SettingsError("OPENAI_MODEL is not set: with OPENAI_API_KEY alone, name the model to ask")
        base_url = OPENAI_BASE_URL
    else:
        base_url, explicit = _ollama_url(env), False
    return ModelSettings(
        base_url,
        api_key,
        model,
        embedding_model,
        explicit,
        first_token_wait_s=float(_integer(env, "RAG_CHAT_FIRST_TOKEN_WAIT_S", 900, 10, 3_600)),
        silence_timeout_s=float(_integer(env, "RAG_CHAT_TOKEN_WAIT_S", 60, 1, 600)),
        answer_tokens_max=_integer(env, "RAG_CHAT_ANSWER_TOKENS_MAX", 2_048, 64, 8_000),
        window_tokens=_integer(env, "RAG_CHAT_WINDOW_TOKENS", 8_192, 512, 1_000_000),
        quick_model=env.get("RAG_CHAT_QUICK_MODEL", "").strip() or None,
    )


def _embedding_weights(env: Mapping[str, str]) -> Path | None:
    given = env.get("RAG_CHAT_EMBEDDING_DIR", "").strip()
    return None if given.lower() == "off" else find_weights(Path(given) if given else None)


def _ollama_url(env: Mapping[str, str]) -> str:
    """Ollama's usual address, or the one its own variable names, as `host:port` or whole."""
    host = env.get("OLLAMA_HOST", "").strip().rstrip("/")
    if not host:
        return OLLAMA_BASE_URL
    parts = urlsplit(host if "://" in host else f"http://{host}")
    try:
        port = parts.port or (443 if parts.scheme == "https" else 11_434)
    except ValueError:
        port = 0
    if not parts.hostname or not port or parts.scheme not in ("http", "https"):
        raise SettingsError(f"OLLAMA_HOST is {host!r}: write host:port, for example 127.0.0.1:11434")
    # Ollama itself is told to listen everywhere by this address; nobody can connect to it.
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(parts.hostname, parts.hostname)
    return f"{parts.scheme}://{f'[{name}]' if ':' in name else name}:{port}/v1"


def _required(env: Mapping[str, str], name: str, advice: str) -> str:
    value = env.get(name, "").strip()
    if not value:
        raise SettingsError(f"{name} is not set: {advice}")
    return value


def _integer(env: Mapping[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        value = int(text)
    except ValueError:
        raise SettingsError(f"{name} is {text!r}: give a whole number between {lowest} and {highest}") from None
    if not lowest <= value <= highest:
        raise SettingsError(f"{name} is {value}: give a whole number between {lowest} and {highest}")
    return value


def _web_address(env: Mapping[str, str], name: str, default: str) -> str:
    value = env.get(name, "").strip() or default
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{name} is {value!r}: give a whole address such as {default}")
    return value


def _allowed_hosts(text: str) -> frozenset[tuple[str, int]]:
    """Parse `host:port,host:port`; an IPv6 address is written in brackets."""
    allowed: set[tuple[str, int]] = set()
    for entry in filter(None, (part.strip() for part in text.split(","))):
        host, _, port = entry.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65_536:
            raise SettingsError(
                f"RAG_CHAT_ALLOWED_PRIVATE_HOSTS has {entry!r}: write host:port, for example 127.0.0.1:8080"
            )
        allowed.add((host.strip("[]").lower(), int(port)))
    return frozenset(allowed)
