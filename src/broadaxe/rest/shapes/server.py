"""The shapes of what the engine says of itself."""

from __future__ import annotations

from broadaxe.rest.wire import Wire


class Version(Wire):
    version: str


class MetaAuth(Wire):
    schemes: list[str]


class ReadReplica(Wire):
    """The replica that people's reads go to while it has everything the primary has."""

    state: str
    """`IN_USE`; `BEHIND` or `AWAY` while the primary answers instead."""
    lag_seconds: float
    """How old its newest commit is while there are newer ones."""


class Meta(Wire):
    auth: MetaAuth
    allow_signup: bool
    allow_invites: bool
    setup_needed: bool | None = None
    """Set while there is no account: `POST /api/v1/stable/setup` makes the first one."""
    allow_create_tenant: bool
    allow_change_password: bool
    observability_enabled: bool
    prometheus_server_enabled: bool
    auth_disabled: bool | None = None
    auth_disabled_token: str | None = None
    entry_link_printed: bool | None = None
    """Whether the engine lets browsers in by a link that it printed when it started."""
    reset_by_mail: bool | None = None
    """Whether a forgotten password can be set anew by a link that is sent by mail."""
    embedded: bool | None = None
    grpc_tls_strategy: str | None = None
    """What SDKs have to use at the address in their tokens, `none`, `tls` or `mtls`; absent if a proxy may end TLS."""
    read_replica: ReadReplica | None = None


class Example(Wire):
    """The example worker that an engine on somebody's own machine offers to newcomers."""

    is_offered: bool
    is_running: bool
    problem: str | None = None
    """Why it is not offered."""


class Integration(Wire):
    name: str
    enabled: bool


class FeatureFlag(Wire):
    is_enabled: bool


class Entitlements(Wire):
    audit_logs: bool = False
    prometheus_metrics: bool = False
    strict_additional_metadata_filters: bool = False
    dag_operator: bool = False
    durable_streams: bool = False
    serverless_operator: bool = False
