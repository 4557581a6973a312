"""The settings of one engine process, read once at the start.

Owns the list of settings, their `BROADAXE_*` variables, their defaults and what counts as valid. A value given on the
command line wins over the environment, which wins over the default. Refuses to touch the network, the disk or the
clock: checks of ports and directories belong to whoever uses them. `Settings` is frozen; invariant: every field is
valid once the object exists, and a test shows that every variable is in the documentation.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from broadaxe.errors import ConfigurationError
from broadaxe.mail import MailServer, parse_mail_from, parse_smtp_url
from broadaxe.openid_providers import OpenIdProvider, parse_openid_providers
from broadaxe.secret_keys import parse_key

__all__ = ["SETTINGS", "Setting", "Settings", "load"]

#: Where our tables are unless the user says otherwise; the SQL of this package says it.
DEFAULT_DATABASE_SCHEMA: Final = "broadaxe"
DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_GRPC_PORT: Final = 7077
DEFAULT_HTTP_PORT: Final = 8080
DEFAULT_RETENTION_DAYS: Final = 30
DEFAULT_AUDIT_RETENTION_DAYS: Final = 365
RETENTION_DAYS_MAX: Final = 36_500
DEFAULT_CRON_CATCH_UP_MINUTES: Final = 60
CRON_CATCH_UP_MINUTES_MAX: Final = 7 * 24 * 60
EDGES_MAX: Final = 64
DEFAULT_DATA_DIR: Final = Path(".broadaxe")
ALL_INTERFACES: Final = frozenset({"0.0.0.0", "::", ""})
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("auto", "console", "json")
EXTRA_DATABASES_MAX: Final = 32
_HOST: Final = r"(\[[^\s\[\]@]+\]|[^\s:,@\[\]]*)(:[0-9]{0,5})?"
#: What may stand for the server in a URL: `host:port` or `[address]:port`, one or several, either part or neither.
_HOSTS: Final = re.compile(f"{_HOST}(,{_HOST})*")
#: Parameters that hosting companies put into URLs and that are no settings of a server, where our driver would send
#: them.
_FOR_LIBPQ_ALONE: Final = frozenset(
    {
        "channel_binding",
        "client_encoding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
        "keepalives_idle",
        "keepalives_interval",
        "load_balance_hosts",
        "require_auth",
        "requirepeer",
        "sslcompression",
        "sslsni",
        "tcp_user_timeout",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What an engine process needs to know before it starts."""

    database_url: str | None = None
    direct_database_url: str | None = None
    """The same database past the connection pooler that `database_url` leads to."""
    read_database_url: str | None = None
    """A replica that people's reads go to."""
    database_schema: str = DEFAULT_DATABASE_SCHEMA
    """The schema of our tables in a database of the user's own."""
    data_dir: Path = DEFAULT_DATA_DIR
    host: str = DEFAULT_HOST
    grpc_port: int = DEFAULT_GRPC_PORT
    http_port: int = DEFAULT_HTTP_PORT
    public_url: str | None = None
    public_grpc: str | None = None
    link_port: int = 0
    edges: int = 0
    """Processes that end connections in front of the one that decides; 0: one process does both."""
    public_link: str | None = None
    link_tls_certificate: Path | None = None
    """With the next two: nodes speak TLS with each other, and check each other's certificates."""
    link_tls_key: Path | None = None
    link_tls_ca: Path | None = None
    log_level: str = "info"
    log_format: str = "auto"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    serve_http: bool = True
    require_login: bool = True
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    """Proxies whose word about the client's address is taken."""
    alert_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """Private networks that messages of alerts may be sent to."""
    priority_across_tasks: bool = False
    enforce_limits: bool = False
    retention_days: int = DEFAULT_RETENTION_DAYS
    """How long finished runs, events, log lines and spans are kept; 0 is for ever."""
    audit_retention_days: int = DEFAULT_AUDIT_RETENTION_DAYS
    """How long entries of the audit log are kept; 0 is for ever."""
    cron_catch_up_minutes: int = DEFAULT_CRON_CATCH_UP_MINUTES
    """How old the last tick of a cron may be that is made up after an absence of the engine; 0 for none."""
    migrate: bool = False
    """Whether a start on a database of the user's own brings its schema up to date first."""
    extra_databases: tuple[str, ...] = ()
    secret_key: tuple[bytes, ...] = dataclasses.field(default=(), repr=False)
    openid_providers: tuple[OpenIdProvider, ...] = ()
    """Through whom people may sign in, besides their passwords."""
    smtp_url: MailServer | None = None
    """The server that takes mails; without it none are sent."""
    mail_from: str | None = None
    """Their sender; there is one if there is a server."""

    @property
    def embedded(self) -> bool:
        """Whether the process brings its own PostgreSQL."""
        return self.database_url is None

    @property
    def postgres_dir(self) -> Path:
        """Where the embedded PostgreSQL lives."""
        return self.data_dir / "postgres"

    @property
    def loopback_only(self) -> bool:
        """Whether nothing outside this machine can connect."""
        return self.host in LOOPBACK_HOSTS

    @property
    def all_interfaces(self) -> bool:
        """Whether it listens on every address of the machine, so that none of them is the one to give out."""
        return self.host in ALL_INTERFACES

    @property
    def http_url(self) -> str:
        """The REST base URL that tokens carry and people open."""
        return self.public_url or f"http://{_reachable(self.host)}:{self.http_port}"

    @property
    def grpc_address(self) -> str:
        """The `host:port` that tokens carry and SDKs dial."""
        return self.public_grpc or f"{_reachable(self.host)}:{self.grpc_port}"

    @property
    def tls_strategy(self) -> Literal["none", "tls", "mtls"] | None:
        """What SDKs have to use at `grpc_address`, in their words; None where a proxy may end TLS in front of us."""
        if self.tls_certificate is not None:
            return "tls" if self.tls_client_ca is None else "mtls"
        is_proxied = self.public_grpc is not None and self.http_url.startswith("https://")
        return None if is_proxied else "none"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its field, its variable, what it is for, and how its text becomes a value."""

    field: str
    help: str
    parse: Callable[[str], object]
    has_flag: bool = True
    """False for secrets: a command line can be read by every process of the machine."""

    @property
    def variable(self) -> str:
        """The environment variable, such as `BROADAXE_GRPC_PORT`."""
        return f"BROADAXE_{self.field.upper()}"

    @property
    def flag(self) -> str:
        """The command line flag, such as `--grpc-port`."""
        return "--" + self.field.replace("_", "-")


def load(
    environment: Mapping[str, str],
    given: Mapping[str, object] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from the environment, with what was given on the command line (None = not given) on top.

    `flags` has the flags of a command that does not use the usual ones, by field. Raises ConfigurationError that names
    the variable or flag and says what a valid value looks like.
    """
    values: dict[str, object] = {}
    for setting in SETTINGS:
        on_command_line = (given or {}).get(setting.field)
        if on_command_line is not None:
            values[setting.field] = _parsed(
                setting, (flags or {}).get(setting.field, setting.flag), _as_text(on_command_line)
            )
        elif (text := environment.get(setting.variable, "").strip()) != "":
            values[setting.field] = _parsed(setting, setting.variable, text)
    settings = Settings(**values)  # type: ignore[arg-type]
    if settings.embedded and settings.database_schema != DEFAULT_DATABASE_SCHEMA:
        raise ConfigurationError(
            "--database-schema: only a database of your own can have another schema; give --database-url as well",
            field="database_schema",
        )
    if settings.smtp_url is not None and settings.mail_from is None:
        raise ConfigurationError(
            "--mail-from: mails need a sender; give one as well as --smtp-url, such as broadaxe@example.com",
            field="mail_from",
        )
    return settings


def _parsed(setting: Setting, source: str, text: str) -> object:
    try:
        return setting.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{source}: {error}", field=source) from None


def _as_text(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(str(item) for item in value)
    return str(value)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > 65535:
        raise ValueError(f"{text!r} is no port; use 1 to 65535, or 0 for any free one")
    return int(text)


def _days(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > RETENTION_DAYS_MAX:
        raise ValueError(f"{text!r} is no number of days; use 1 to {RETENTION_DAYS_MAX}, or 0 for ever")
    return int(text)


def _catch_up_minutes(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > CRON_CATCH_UP_MINUTES_MAX:
        raise ValueError(f"{text!r} is no number of minutes; use 1 to {CRON_CATCH_UP_MINUTES_MAX}, or 0 for never")
    return int(text)


def _edges(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text) or int(text) > EDGES_MAX:
        raise ValueError(f"{text!r} is no number of edges; use 1 to {EDGES_MAX}, or 0 for one process that does all")
    return int(text)


def _host(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,253}", text):
        raise ValueError(f"{text!r} is no address; use one like 127.0.0.1, or 0.0.0.0 for all interfaces")
    return text


def _database_url(text: str) -> str:
    """The URL without what only libpq understands. What is wrong is said without the URL, which has a password."""
    scheme, _, rest = text.partition("://")
    if scheme not in ("postgres", "postgresql"):
        raise ValueError("a database URL looks like postgresql://user:password@host:5432/database")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    login, _, hosts = authority.rpartition("@")
    if "#" in rest or "@" in login or re.search(r"%(?![0-9a-fA-F]{2})", login) or not _HOSTS.fullmatch(hosts):
        raise ValueError(
            "the URL cannot be read; a password with one of @ : / ? # % in it has to be percent-encoded (@ is %40), "
            "or left out and given as PGPASSWORD"
        )
    before, _, query = text.partition("?")
    kept = [part for part in query.split("&") if part and part.partition("=")[0] not in _FOR_LIBPQ_ALONE]
    return "?".join((before, "&".join(kept))) if kept else before


def _schema(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", text):
        raise ValueError(f"{text!r} is no name of a schema; use letters, digits, underscores and hyphens, at most 63")
    if text.startswith("pg_") or text == "information_schema":
        raise ValueError(f"the schema {text!r} belongs to PostgreSQL; use another one")
    return text


def _public_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is no web address; use one like https://broadaxe.example.com")
    return text.rstrip("/")


def _public_grpc(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or "/" in text or not port.isdigit():
        raise ValueError(f"{text!r} is no address with a port; use host:port, such as grpc.example.com:443")
    _port(port)
    return text


def _flag(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "true", "yes", "on"):
        return True
    if lowered in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither true nor false")


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) > EXTRA_DATABASES_MAX:
        raise ValueError(f"{len(names)} databases are too many; at most {EXTRA_DATABASES_MAX}")
    for name in names:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", name):
            raise ValueError(f"{name!r} is no database name; use lower-case letters, digits and underscores")
    return names


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    networks = []
    for part in (part.strip() for part in text.split(",") if part.strip()):
        try:
            networks.append(ip_network(part))
        except ValueError:
            raise ValueError(f"{part!r} is no address or network; use one like 10.0.0.7, 10.0.0.0/8 or ::1") from None
    return tuple(dict.fromkeys(networks))


def _keys(text: str) -> tuple[bytes, ...]:
    return tuple(parse_key(part) for part in text.split(",") if part.strip())


def _one_of(choices: tuple[str, ...]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text.lower()

    return parse


def _reachable(host: str) -> str:
    """A listening address as something to connect to: all interfaces include the loopback one."""
    if host in ALL_INTERFACES:
        return DEFAULT_HOST
    return f"[{host}]" if ":" in host else host


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _file(text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_file():
        raise ValueError("there is no such file")
    return path


SETTINGS: Final[tuple[Setting, ...]] = (
    Setting("database_url", "PostgreSQL 15 or newer to use; without it, dev brings its own", _database_url),
    Setting(
        "direct_database_url", "the same database past its connection pooler, for what needs a session", _database_url
    ),
    Setting("read_database_url", "a streaming replica of the database, for what people look at", _database_url),
    Setting("database_schema", "the schema of its tables in a database of your own", _schema),
    Setting("data_dir", "where the embedded PostgreSQL and the state of dev live", _path),
    Setting("host", "address to listen on", _host),
    Setting("grpc_port", "port for SDKs; 0 picks a free one", _port),
    Setting("http_port", "port for the REST API and the dashboard; 0 picks a free one", _port),
    Setting("public_url", "REST base URL as clients see it; it is written into tokens", _public_url),
    Setting("public_grpc", "host:port of gRPC as clients see it; it is written into tokens", _public_grpc),
    Setting("edges", "processes of serve that end connections in front of the one that decides; 0 for none", _edges),
    Setting("link_port", "port for the other nodes on the same database; 0 picks a free one", _port),
    Setting("public_link", "host:port of the link as other nodes see it; found out if not given", _public_grpc),
    Setting("link_tls_certificate", "PEM file with this node's certificate chain; turns TLS on between nodes", _file),
    Setting("link_tls_key", "PEM file with the private key of that certificate", _file),
    Setting("link_tls_ca", "PEM file with the authorities that the other nodes' certificates must be of", _file),
    Setting("log_level", f"how much to log: {', '.join(LOG_LEVELS)}", _one_of(LOG_LEVELS)),
    Setting("log_format", "console, json, or auto: console on a terminal", _one_of(LOG_FORMATS)),
    Setting("tls_certificate", "PEM file with the gRPC server's certificate chain; turns TLS on for gRPC", _file),
    Setting("tls_key", "PEM file with the private key of that certificate", _file),
    Setting("tls_client_ca", "PEM file with the authorities whose client certificates gRPC demands (mTLS)", _file),
    Setting(
        "serve_http",
        "whether to serve the REST API and the dashboard at all; without them only gRPC",
        _flag,
        has_flag=False,
    ),
    Setting("require_login", "whether the dashboard asks who is there", _flag),
    Setting(
        "trusted_proxies",
        "addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas",
        _networks,
    ),
    Setting(
        "alert_networks",
        "private addresses or networks that messages of alerts may be sent to, separated by commas",
        _networks,
    ),
    Setting(
        "priority_across_tasks",
        "whether the most urgent run goes first also among different tasks of one worker, not only within a task",
        _flag,
    ),
    Setting(
        "enforce_limits",
        "whether tenants are held to their limits of task runs, events, workers, slots and webhooks",
        _flag,
    ),
    Setting("retention_days", "days that finished runs and their history are kept; 0 keeps them for ever", _days),
    Setting("audit_retention_days", "days that entries of the audit log are kept; 0 keeps them for ever", _days),
    Setting(
        "cron_catch_up_minutes",
        "minutes: a cron's last tick that the engine was away for comes late if it is younger; 0 never makes one up",
        _catch_up_minutes,
    ),
    Setting("migrate", "whether serve brings the schema up to date first (the phase pre of an upgrade)", _flag),
    Setting("extra_databases", "further databases to create on the embedded server, separated by commas", _names),
    Setting(
        "secret_key",
        "32 random bytes in base64 that stored secrets are sealed with; older keys may follow, after commas",
        _keys,
        has_flag=False,
    ),
    Setting(
        "openid_providers", "TOML file with the OpenID providers that people sign in through", parse_openid_providers
    ),
    Setting("smtp_url", "the SMTP server that takes mails: smtp://user:password@host:587", parse_smtp_url),
    Setting("mail_from", "the sender of mails", parse_mail_from),
)
