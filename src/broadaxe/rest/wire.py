"""The shapes of the HTTP API: what clients decode, field by field.

Owns the names, the optionality and the formats of every answer. Keys are camelCase unless the protocol says otherwise
(`pagination`, triggers). A key whose value is unknown is left out, never null: dashboards show null dates as dates.
Instants are UTC with `Z` and exactly six digits, because some clients sort them as text.

Refuses: knowing where values come from (`presentation.py`). Source: REST specification, sections 1 to 3.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema
from pydantic.alias_generators import to_camel

from broadaxe.core.commands.workflows import WhilePaused
from broadaxe.core.lifecycle import RunCause, RunStatus, TaskEventType

JsonObject = dict[str, object]

NIL_UUID = "00000000-0000-0000-0000-000000000000"


def format_instant(at: datetime) -> str:
    # `strftime` would write the year 305 with three digits.
    return at.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


Instant = Annotated[
    datetime,
    PlainSerializer(format_instant, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Wire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True)


class SnakeWire(BaseModel):
    model_config = ConfigDict(frozen=True)


# Common -------------------------------------------------------------------------------------------------------------


class Metadata(Wire):
    id: str
    created_at: Instant
    updated_at: Instant


class Pagination(SnakeWire):
    """Page numbers are told of pages by `limit` and `offset`; with a `cursor` nobody knows them."""

    current_page: int | None = None
    next_page: int | None = None
    num_pages: int | None = None
    next_cursor: str | None = None
    """Give it as `cursor` for the page behind this one. Missing when there are no more rows."""


class ApiError(SnakeWire):
    description: str
    field: str | None = None


class ApiErrors(SnakeWire):
    """Every refusal has this body. `code` is a stable name for the reason."""

    errors: list[ApiError]
    message: str = ""
    code: str | None = None


class Deleted(SnakeWire):
    """The answer to a deletion where a client reads one. The Go SDK takes anything but 200 for a failure there."""


# Server -------------------------------------------------------------------------------------------------------------


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
    allow_create_tenant: bool
    allow_change_password: bool
    observability_enabled: bool
    prometheus_server_enabled: bool
    auth_disabled: bool | None = None
    auth_disabled_token: str | None = None
    entry_link_printed: bool | None = None
    """Whether the engine lets browsers in by a link that it printed when it started."""
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


class ResourceLimit(Wire):
    """How much of a resource a tenant may have, and has. Without a window it is counted as it is now."""

    metadata: Metadata
    resource: Literal["TASK_RUN", "EVENT", "WORKER", "WORKER_SLOT", "INCOMING_WEBHOOK"]
    limit_value: int
    value: int
    alarm_value: int
    window: str | None = None
    last_refill: Instant | None = None


class ResourcePolicy(Wire):
    limits: list[ResourceLimit]


class TenantLimit(Wire):
    """A limit of a tenant and what is used. Without `limitValue` there is none; with `isMore` the value is only what
    was counted. Without a window it is counted as it is now."""

    resource: Literal["TASK_RUN", "EVENT", "WORKER", "WORKER_SLOT", "INCOMING_WEBHOOK"]
    limit_value: int | None = None
    is_default: bool
    value: int
    is_more: bool = False
    window: str | None = None
    last_refill: Instant | None = None


class TenantLimits(Wire):
    is_enforced: bool
    retention_days: int
    """Days that finished runs and their history are kept; 0 keeps them for ever."""
    limits: list[TenantLimit]


# People and tenants -------------------------------------------------------------------------------------------------


class User(Wire):
    metadata: Metadata
    email: str
    name: str | None = None
    email_verified: bool = True
    has_password: bool = True


class Tenant(Wire):
    metadata: Metadata
    name: str
    slug: str
    version: Literal["V1"] = "V1"
    environment: Literal["local", "development", "production"] | None = None
    server_url: str | None = None


class MemberUser(Wire):
    email: str
    name: str | None = None


class TenantMember(Wire):
    metadata: Metadata
    user: MemberUser
    role: Literal["OWNER", "ADMIN", "MEMBER", "VIEWER"]
    tenant: Tenant | None = None
    can_view_payloads: bool = True


class TenantMembers(Wire):
    rows: list[TenantMember]
    pagination: Pagination | None = None


class NoRows(Wire):
    """A list that is always empty in this version because nothing can create its rows."""

    rows: list[JsonObject] = []


class Session(Wire):
    """A browser that is logged in."""

    id: str
    device: str
    """What it called itself."""
    created_at: Instant
    last_used_at: Instant
    expires_at: Instant
    is_current: bool


class Sessions(Wire):
    rows: list[Session]
    pagination: Pagination | None = None


class EndedSessions(Wire):
    ended: int


class ApiToken(Wire):
    metadata: Metadata
    name: str
    expires_at: Instant
    last_used_at: Instant | None = None
    """Exact to ten minutes; missing when it was never used."""


class ApiTokens(Wire):
    rows: list[ApiToken]
    pagination: Pagination | None = None


class CreatedToken(Wire):
    token: str


# Runs and tasks -----------------------------------------------------------------------------------------------------


class TaskSummary(Wire):
    """A row of a run list, a task, or a member of a DAG run."""

    metadata: Metadata
    created_at: Instant
    display_name: str
    status: RunStatus
    type: Literal["DAG", "TASK"]
    input: JsonObject
    output: JsonObject
    num_spawned_children: int
    task_external_id: str
    task_id: int
    task_inserted_at: Instant
    tenant_id: str
    workflow_id: str
    workflow_run_external_id: str
    workflow_name: str
    workflow_version_id: str
    action_id: str | None = None
    step_id: str | None = None
    retry_count: int | None = None
    attempt: int | None = None
    additional_metadata: JsonObject
    children: list[TaskSummary] | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: int | None = Field(default=None, description="Milliseconds.")
    error_message: str | None = None
    is_durable: bool | None = None
    is_evicted: bool | None = Field(default=None, description="A durable task that waits, off its worker.")
    parent_task_external_id: str | None = None
    idempotency_key: str | None = None
    workflow_config: JsonObject | None = None


class DurableCondition(Wire):
    kind: Literal["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"]
    sleep_duration_ms: int | None = None
    event_key: str | None = None
    workflow_name: str | None = None


class DurableWaitItem(Wire):
    """One thing waited for, or, with `or`, alternatives."""

    kind: Literal["SLEEP", "USER_EVENT", "CHILD_WORKFLOW"] | None = None
    sleep_duration_ms: int | None = None
    event_key: str | None = None
    workflow_name: str | None = None
    alternatives: list[DurableCondition] | None = Field(default=None, alias="or")


class DurableLogEntry(Wire):
    node_id: int
    branch_id: int
    kind: Literal["RUN", "WAIT_FOR", "MEMO"]
    is_satisfied: bool
    inserted_at: Instant
    task_external_id: str
    task_display_name: str
    satisfied_at: Instant | None = None
    user_message: str | None = None
    wait_data: list[DurableWaitItem] | None = None


class DurableBranch(Wire):
    task_external_id: str
    node_id: int
    branch_id: int


class Restored(Wire):
    requeued: bool


class TaskSummaryList(Wire):
    pagination: Pagination
    rows: list[TaskSummary]


class WorkflowRun(Wire):
    metadata: Metadata
    status: RunStatus
    tenant_id: str
    display_name: str
    workflow_id: str
    workflow_version_id: str
    input: JsonObject
    output: JsonObject
    additional_metadata: JsonObject
    created_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    duration: int | None = Field(default=None, description="Milliseconds.")
    error_message: str | None = None
    parent_task_external_id: str | None = None
    priority: int = Field(description="1 (low), 2 (medium) or 3 (high).")
    triggered_by: RunCause | None = Field(
        default=None, description="What made the run; null for one from before this was remembered."
    )


class ShapeItem(Wire):
    """A task of the workflow's definition. Without a task run yet, `taskExternalId` is the nil UUID."""

    task_external_id: str
    step_id: str
    children_step_ids: list[str]
    task_name: str


class TaskEvent(Wire):
    id: int
    task_id: str
    timestamp: Instant
    event_type: TaskEventType
    message: str
    error_message: str | None = None
    output: str | None = None
    worker_id: str | None = None
    task_display_name: str
    retry_count: int
    attempt: int


class TaskEventList(Wire):
    pagination: Pagination
    rows: list[TaskEvent]


class WorkflowRunDetails(Wire):
    run: WorkflowRun
    task_events: list[TaskEvent]
    shape: list[ShapeItem]
    tasks: list[TaskSummary]
    workflow_config: JsonObject


class DisplayName(Wire):
    metadata: Metadata
    display_name: str


class DisplayNameList(Wire):
    pagination: Pagination
    rows: list[DisplayName]


class RunCount(Wire):
    count: int


class DagChildren(Wire):
    dag_id: str
    children: list[TaskSummary]


class AffectedIds(Wire):
    ids: list[str]


class TaskTiming(Wire):
    metadata: Metadata
    depth: int
    status: RunStatus
    task_display_name: str
    task_external_id: str
    task_id: int
    task_inserted_at: Instant
    tenant_id: str
    parent_task_external_id: str | None = None
    queued_at: Instant | None = None
    started_at: Instant | None = None
    finished_at: Instant | None = None
    workflow_run_id: str
    retry_count: int
    attempt: int


class TaskTimingList(Wire):
    pagination: Pagination
    rows: list[TaskTiming]


class Span(Wire):
    """`trace_id` has 32 hex digits, span ids 16. `created_at` is the span's start."""

    trace_id: str
    span_id: str
    parent_span_id: str | None = None
    span_name: str
    span_kind: Literal["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
    service_name: str
    status_code: Literal["UNSET", "OK", "ERROR"]
    status_message: str | None = None
    duration_ns: int
    created_at: Instant
    retry_count: int
    resource_attributes: dict[str, str] | None = None
    span_attributes: dict[str, str] | None = None
    scope_name: str | None = None
    scope_version: str | None = None


class TraceSummary(Wire):
    """A trace that clients sent spans of: what these say."""

    trace_id: str
    name: str
    """Of the first span without a parent, else of the first one."""
    service_names: list[str]
    spans: int
    errors: int
    started_at: Instant
    duration_ms: int
    run_external_id: str | None = None
    """A run of which a span tells."""


class TraceSummaries(Wire):
    pagination: Pagination
    rows: list[TraceSummary]


class SpanList(Wire):
    pagination: Pagination
    retry_counts: list[int]
    rows: list[Span]


# Logs ---------------------------------------------------------------------------------------------------------------


class LogLine(Wire):
    created_at: Instant
    message: str
    metadata: JsonObject
    task_external_id: str
    task_display_name: str
    retry_count: int
    attempt: int
    level: Literal["DEBUG", "INFO", "WARN", "ERROR"]


class LogLineList(Wire):
    pagination: Pagination
    rows: list[LogLine]


class LogPoint(SnakeWire):
    time: Instant
    DEBUG: int
    INFO: int
    WARN: int
    ERROR: int


class LogPoints(Wire):
    counted_since: Instant | None = None
    """Set when there are more lines than were counted: earlier ones are not."""
    results: list[LogPoint]


# Counts -------------------------------------------------------------------------------------------------------------


class RunningDetail(Wire):
    evicted: int
    on_worker: int


class StatusCount(Wire):
    status: RunStatus
    count: int
    running_detail_count: RunningDetail | None = None


class FinishedPoint(SnakeWire):
    time: Instant
    SUCCEEDED: int
    FAILED: int


class FinishedPoints(Wire):
    results: list[FinishedPoint]


class LoadPoint(Wire):
    """What ended in a bucket, how long it had waited and run, and how many waited and ran on average."""

    time: Instant
    succeeded: int
    failed: int
    cancelled: int
    waited_ms_p50: int | None = None
    waited_ms_p95: int | None = None
    ran_ms_p50: int | None = None
    ran_ms_p95: int | None = None
    waiting: float
    running: float


class LoadPoints(Wire):
    width_s: int
    """The width of a bucket."""
    results: list[LoadPoint]


class WorkerLoadPoint(Wire):
    """What ended on the worker in a bucket, and how many tasks it ran at once at the most."""

    time: Instant
    succeeded: int
    failed: int
    running: int


class WorkerLoadPoints(Wire):
    width_s: int
    """The width of a bucket."""
    results: list[WorkerLoadPoint]


class QueueCounts(Wire):
    queues: dict[str, int]


class ConcurrencyStat(Wire):
    """How many tasks wait or run under each key of a concurrency rule."""

    expression: str
    type: str
    keys: dict[str, int]


class LiveTasks(Wire):
    total: int = 0
    queues: dict[str, int] = {}
    concurrency: list[ConcurrencyStat] = []
    oldest: Instant | None = None
    oldest_excluding_retries: Instant | None = None


class TaskStat(Wire):
    queued: LiveTasks
    running: LiveTasks


class LegacyCounts(Wire):
    num_queued: int = 0
    num_running: int = 0
    num_pending: int = 0


class LegacyQueueCounts(Wire):
    total: LegacyCounts
    workflow: dict[str, LegacyCounts] = {}
    queues: dict[str, int]


class LegacyWorkflowCounts(Wire):
    group_key_runs_count: int = 0
    group_key_count: int = 0


# Workflows ----------------------------------------------------------------------------------------------------------


class WorkflowVersionMeta(Wire):
    metadata: Metadata
    version: str
    order: int
    workflow_id: str


class Workflow(Wire):
    metadata: Metadata
    name: str
    tenant_id: str
    description: str | None = None
    is_paused: bool = False
    paused_workflow_cron_run_queue_behavior: WhilePaused | None = None
    paused_workflow_scheduled_run_queue_behavior: WhilePaused | None = None
    versions: list[WorkflowVersionMeta] | None = None


class WorkflowList(Wire):
    pagination: Pagination
    rows: list[Workflow]


class LastRun(Wire):
    """The newest run of a workflow."""

    workflow_id: str
    run_external_id: str
    status: RunStatus
    created_at: Instant
    finished_at: Instant | None = None


class LastRunList(Wire):
    rows: list[LastRun]


class EventTrigger(SnakeWire):
    parent_id: str
    event_key: str


class WorkflowTriggers(SnakeWire):
    workflow_version_id: str
    tenant_id: str
    events: list[EventTrigger]
    crons: list[JsonObject]


class ConcurrencySetting(Wire):
    """A concurrency rule of a workflow, or of the task in `stepReadableId`."""

    max_runs: int
    limit_strategy: Literal["CANCEL_IN_PROGRESS", "DROP_NEWEST", "QUEUE_NEWEST", "GROUP_ROUND_ROBIN"]
    expression: str
    scope: Literal["WORKFLOW", "TASK"]
    step_readable_id: str | None = None


class WorkflowVersion(Wire):
    metadata: Metadata
    version: str
    order: int
    workflow_id: str
    workflow: Workflow
    triggers: WorkflowTriggers
    default_priority: int
    schedule_timeout: str
    sticky: Literal["soft", "hard"] | None = None
    v1_concurrency: list[ConcurrencySetting] = Field(serialization_alias="v1Concurrency")
    workflow_config: JsonObject
    input_json_schema: JsonObject | None = None


# Workers ------------------------------------------------------------------------------------------------------------


class RegisteredWorkflow(Wire):
    id: str
    name: str


class SemaphoreSlot(Wire):
    step_run_id: str
    action_id: str
    workflow_run_id: str
    started_at: Instant | None = None
    timeout_at: Instant | None = None
    status: Literal["RUNNING"] = "RUNNING"


class SlotConfig(Wire):
    limit: int
    available: int


class WorkerLabel(Wire):
    metadata: Metadata
    key: str
    value: str


class RuntimeInfo(Wire):
    sdk_version: str | None = None
    language: Literal["GOLANG", "PYTHON", "TYPESCRIPT", "RUBY"] | None = None
    language_version: str | None = None
    os: str | None = None
    runtime_extra: str | None = None


class Worker(Wire):
    metadata: Metadata
    name: str
    type: Literal["SELFHOSTED"] = "SELFHOSTED"
    status: Literal["ACTIVE", "INACTIVE", "PAUSED"]
    last_heartbeat_at: Instant | None = None
    last_listener_established: Instant | None = None
    actions: list[str]
    registered_workflows: list[RegisteredWorkflow] | None = None
    slots: list[SemaphoreSlot]
    recent_step_runs: list[JsonObject] = []
    slot_config: dict[str, SlotConfig]
    labels: list[WorkerLabel]
    max_runs: int | None = None
    available_runs: int | None = None
    runtime_info: RuntimeInfo | None = None


class WorkerList(Wire):
    pagination: Pagination
    rows: list[Worker]


# Events -------------------------------------------------------------------------------------------------------------


class RunSummary(Wire):
    running: int = 0
    queued: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0


class TriggeredRun(Wire):
    workflow_run_id: str
    filter_id: str | None = None


class Event(Wire):
    metadata: Metadata
    key: str
    tenant_id: str
    workflow_run_summary: RunSummary
    payload: JsonObject
    additional_metadata: JsonObject
    scope: str | None = None
    seen_at: Instant
    triggered_runs: list[TriggeredRun]
    triggering_webhook_name: str | None = None


class EventList(Wire):
    pagination: Pagination
    rows: list[Event]


class Webhook(Wire):
    metadata: Metadata
    tenant_id: str
    name: str
    source_name: Literal["GENERIC", "GITHUB", "STRIPE", "SLACK", "LINEAR", "SVIX"]
    event_key_expression: str
    scope_expression: str | None = None
    static_payload: JsonObject | None = None
    auth_type: Literal["BASIC", "API_KEY", "HMAC"]
    return_event_as_response_payload: bool


class WebhookList(Wire):
    rows: list[Webhook]
    pagination: Pagination | None = None


class WebhookFailure(Wire):
    """A request that a webhook refused, and why."""

    webhook_name: str
    reason: Literal["PROOF", "MALFORMED_PROOF", "BODY", "EVENT_KEY", "SCOPE", "SECRET"]
    message: str
    at: Instant


class WebhookFailureList(Wire):
    rows: list[WebhookFailure]
    pagination: Pagination | None = None


class WebhookAnswer(Wire):
    message: str = "ok"
    event: Event


class WebhookChallenge(Wire):
    """Slack's question whether an address is meant for it, sent back."""

    challenge: str


class PushedEvents(Wire):
    metadata: Metadata
    events: list[Event]


class Filter(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_id: str
    scope: str
    expression: str
    payload: JsonObject
    is_declarative: bool


class FilterList(Wire):
    pagination: Pagination
    rows: list[Filter]


class ExpressionDebug(Wire):
    """What an expression says, or why it says nothing."""

    status: Literal["SUCCESS", "ERROR"]
    output: bool | None = None
    error: str | None = None


class ExpressionFailure(Wire):
    """An expression that failed where nobody waited to be told, or a limit that kept a run from being made."""

    metadata: Metadata
    source: Literal["FILTER", "IDEMPOTENCY_KEY", "TENANT_LIMIT"]
    message: str
    workflow_id: str | None = None
    event_id: str | None = None


class ExpressionFailures(Wire):
    rows: list[ExpressionFailure]
    pagination: Pagination | None = None


class Cron(Wire):
    metadata: Metadata
    tenant_id: str
    workflow_version_id: str
    workflow_id: str
    workflow_name: str
    cron: str
    enabled: bool
    method: Literal["DEFAULT", "API"]
    name: str | None = None
    input: JsonObject
    additional_metadata: JsonObject
    priority: int


class CronList(Wire):
    pagination: Pagination
    rows: list[Cron]


class CronTicks(Wire):
    """When an expression comes true next, and in which time zone its fields are read."""

    expression: str
    time_zone: str
    ticks: list[Instant]


class CronTicksList(Wire):
    rows: list[CronTicks]


class Schedule(Wire):
    """A run that has not been triggered yet; so there is nothing of a run in it."""

    metadata: Metadata
    tenant_id: str
    workflow_version_id: str
    workflow_id: str
    workflow_name: str
    trigger_at: Instant
    method: Literal["DEFAULT", "API"]
    input: JsonObject
    additional_metadata: JsonObject
    priority: int


class ScheduleList(Wire):
    pagination: Pagination
    rows: list[Schedule]


class FiredRun(Wire):
    external_id: str


class ScheduleError(Wire):
    id: str | None = None
    error: str


class DeletedSchedules(Wire):
    deleted_ids: list[str]
    errors: list[ScheduleError]


class UpdatedSchedules(Wire):
    updated_ids: list[str]
    errors: list[ScheduleError]


class ErrorGroupWorkflow(Wire):
    workflow_id: str
    name: str
    count: int


class ErrorGroup(Wire):
    """Failed tasks with one mistake at one place of their own code."""

    fingerprint: str
    exception_type: str | None = None
    message: str = Field(description="Of the newest of them.")
    file: str | None = None
    line: int | None = None
    function: str | None = None
    code: str | None = Field(default=None, description="The line itself, if the error shows it.")
    count: int
    first_seen_at: Instant
    last_seen_at: Instant
    example_run_external_id: str
    example_task_external_id: str
    workflows: list[ErrorGroupWorkflow]
    task_names: list[str]


class ErrorGroupList(Wire):
    rows: list[ErrorGroup]
    tasks_looked_at: int
    oldest_looked_at: Instant | None = Field(
        default=None, description="When the oldest of them failed, if there may be more that were not looked at."
    )


class ErrorGroupTask(Wire):
    task_external_id: str
    workflow_run_external_id: str
    workflow_name: str
    task_name: str
    failed_at: Instant


class ErrorGroupTasks(Wire):
    rows: list[ErrorGroupTask]


class RateLimit(Wire):
    key: str
    tenant_id: str
    limit_value: int
    value: int
    window: str
    last_refill: Instant
    paused_until: Instant | None = None


class RateLimitList(Wire):
    pagination: Pagination
    rows: list[RateLimit]


class EventKeys(Wire):
    rows: list[str]


class EventData(Wire):
    data: str
