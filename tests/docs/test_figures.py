"""Figures in prose are those of the code: limits, defaults, sizes, ports and times.

Each row of `FIGURES` is a way to say a figure, with `{}` where the figure stands, and what it has to be: a count,
seconds, or bytes. A row that no page says any more fails, so that the table stays as true as the pages. A figure may be
said in any unit and in words: `five minutes` is 300 seconds, `4 MiB` is 4,194,304 bytes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from hatchet_sdk import Hatchet

from broadaxe import app, config
from broadaxe.cli import database_checks, doctor, move
from broadaxe.cluster import leases, members
from broadaxe.core import (
    affinity,
    attempts,
    batching,
    calendar,
    debounce,
    definition,
    durable,
    expressions,
    filters,
    firing,
    fleet,
    quotas,
    state,
    triggers,
    waits,
)
from broadaxe.core.commands import crons
from broadaxe.core.commands import tasks as task_commands
from broadaxe.core.commands.quotas import Resource
from broadaxe.core.durations import US_PER_S
from broadaxe.engine import activation, backpressure, changes, doubt, outbox, subscriptions
from broadaxe.moving import plan
from broadaxe.remote import server as moving_server
from broadaxe.rest import attempts as logins
from broadaxe.rest import parameters, webhook_proofs
from broadaxe.rest import server as rest_server
from broadaxe.rest.routers import changes as changes_route
from broadaxe.rest.routers import schedules, webhooks, workflows
from broadaxe.rest.settings import HttpSettings
from broadaxe.rpc import askers, transport
from broadaxe.rpc.services import dispatcher, traces
from broadaxe.storage import (
    accounts,
    batches,
    catalogue,
    count_reads,
    failure_reads,
    invites,
    journal,
    log_reads,
    logs,
    migrate,
    partitions,
    payload_search,
    token_verifier,
    tokens,
)
from broadaxe.storage import outbox as outbox_store
from broadaxe.storage import quotas as quota_store
from broadaxe.storage import webhooks as webhook_store

COUNTED: Final = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
WORDS: Final[dict[str, float]] = {word: number for number, word in enumerate(COUNTED, 1)} | {
    "a": 1,
    "an": 1,
    "a hundred": 100,
    "hundred": 100,
    "a quarter of an": 0.25,
}
TIMES: Final = {"ms": 0.001, "millisecond": 0.001, "s": 1, "second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
SIZES: Final = {"kib": 1024, "mib": 1024**2, "kb": 1e3, "mb": 1e6, "gb": 1e9}
UNITS: Final[dict[str, float]] = {**TIMES, **SIZES, "year": 365 * 86_400, "million": 1e6}
FIGURE: Final = (
    rf"((?:hour|[0-9][0-9,]*(?:\.[0-9]+)?|{'|'.join(sorted(WORDS, key=len, reverse=True))})"
    rf"(?: (?:{'|'.join(sorted(UNITS, key=len, reverse=True))})s?\b)?)"
)
SDK_TASK: Final[dict[str, Any]] = Hatchet.task.__kwdefaults__  # type: ignore[assignment]
SDK_DURABLE_TASK: Final[dict[str, Any]] = Hatchet.durable_task.__kwdefaults__  # type: ignore[assignment]


#: What the SQL functions take; each migration that replaces them says it anew.
ENQUEUED_BYTES_MAX: Final = int(
    re.findall(
        r"and may have ([0-9]+)'",
        "".join(path.read_text() for path in sorted(Path(migrate.__file__).with_name("migrations").glob("*.sql"))),
    )[-1]
)


def in_units(text: str) -> float:
    """`five minutes` as 300.0, and `the last hour` without its first words as 3,600.0."""
    number, _, unit = text.lower().rpartition(" ")
    unit = unit if unit in UNITS else unit.removesuffix("s")
    if unit not in UNITS:
        number, unit = text.lower(), ""
    value = WORDS[number] if number in WORDS else float(number.replace(",", "") or 1)
    return value * UNITS.get(unit, 1)


FIGURES: Final[tuple[tuple[str, float], ...]] = (
    # Ports, tokens, people.
    ("`--grpc-port` | `{}`", config.DEFAULT_GRPC_PORT),
    ("`--http-port` | `{}`", config.DEFAULT_HTTP_PORT),
    ("(`http://127.0.0.1:{}` by default)", config.DEFAULT_HTTP_PORT),
    ("It is the gRPC port ({})", config.DEFAULT_GRPC_PORT),
    ("Tokens expire, after {} unless", tokens.DEFAULT_LIFE_S),
    ("the default is {}. A token tells", tokens.DEFAULT_LIFE_S),
    ("tokens that were checked within the last {} go on counting", token_verifier.GRACE_S),
    ("A session lasts {}", accounts.SESSION_LIFE_S),
    ("lets a browser in, for {}", accounts.SESSION_LIFE_S),
    ("A password has {} to", accounts.PASSWORD_LENGTH_MIN),
    ("A password has 8 to {} characters", accounts.PASSWORD_LENGTH_MAX),
    ("tries more than {} passwords of one account", logins.ATTEMPTS_MAX),
    ("passwords of one account in {} has to wait", logins.WINDOW_S),
    ("{} wrong passwords in five minutes", logins.ATTEMPTS_MAX),
    ("wrong passwords in {} lock an account", logins.WINDOW_S),
    ("Logging in is limited to {} attempts", logins.ATTEMPTS_MAX),
    ("Logging in is limited to 10 attempts in {} per account", logins.WINDOW_S),
    # Requirements.
    ("PostgreSQL {} or newer", migrate.POSTGRES_VERSION_MIN),
    ("PostgreSQL ({} or newer)", migrate.POSTGRES_VERSION_MIN),
    ("PostgreSQL server, version {} or newer", migrate.POSTGRES_VERSION_MIN),
    ("at least {} of free space", doctor.FREE_BYTES_MIN),
    ("The engine opens at most {}: ten to read", database_checks.CONNECTIONS_MAX),
    ("opens at most 19: {} to read for people", app.READ_CONNECTIONS_MAX),
    ("to read for people, {} for its work", app.JOURNAL_CONNECTIONS_MAX),
    ("Behind the first {} of one task's line", state.HOT_TASKS_MAX),
    # Moving from another server.
    ("Bounds: {} queued runs", plan.RUNS_MAX),
    ("queued runs, {} rows or", moving_server.ROWS_MAX),
    ("rows or {} of any other list", moving_server.LIST_BYTES_MAX),
    ("of any other list, {} an answer", moving_server.ANSWER_BYTES_MAX),
    ("`left` (reasons, and up to {} names each)", move.NAMES_TOLD_MAX),
    ("holds up to {} connections in its two pools", app.JOURNAL_CONNECTIONS_MAX + app.READ_CONNECTIONS_MAX),
    ("until its lease has run out, {} after it was last renewed", leases.LEASE_TTL_S),
    ("then a death is noticed after {}", leases.LEASE_TTL_S),
    ("says only every {} that it lives", members.RENEW_ALONE_EVERY_S),
    ("and within {} when it is cut off", leases.LEASE_TTL_S),
    ("(what workers report: {})", dispatcher.REPORT_HOLD_S),
    ("What workers report is held for {} while the database is away", dispatcher.REPORT_HOLD_S),
    ("a password; {} tries in five minutes", logins.ATTEMPTS_MAX),
    ("a password; 10 tries in {} for each account", logins.WINDOW_S),
    ("with the sender's proof; {} a second", webhooks.RATE_PER_S),
    ("argon2id, {} and two passes", accounts._hasher.memory_cost * 1024),
    ("argon2id, 19 MiB and {} passes", accounts._hasher.time_cost),
    # Tasks, attempts, workers.
    ("an attempt has {} with the Python SDK", SDK_TASK["execution_timeout"].total_seconds()),
    ("waiting in the queue {}.", SDK_TASK["schedule_timeout"].total_seconds()),
    ("the SDK's default is {}.", SDK_TASK["execution_timeout"].total_seconds()),
    ("({} unless you say so)", config.DEFAULT_RETENTION_DAYS * 86_400),
    ("For {}, unless `--retention-days`", config.DEFAULT_RETENTION_DAYS * 86_400),
    ("{} for a message. Keep large data", transport.SEND_SIZE_BYTES_MAX),
    ("stay well below {};", transport.SEND_SIZE_BYTES_MAX),
    ("(`execution_timeout`, {} by default", SDK_TASK["execution_timeout"].total_seconds()),
    ("execution timeout, {} by default with the Python SDK", SDK_TASK["execution_timeout"].total_seconds()),
    ("{} where an SDK names none", definition.DEFAULT_EXECUTION_TIMEOUT_US / US_PER_S),
    ("(`schedule_timeout`, {} by default)", SDK_TASK["schedule_timeout"].total_seconds()),
    ("(`schedule_timeout`, {})", SDK_TASK["schedule_timeout"].total_seconds()),
    ("longer than its schedule timeout, {} by default", definition.DEFAULT_SCHEDULE_TIMEOUT_US / US_PER_S),
    ("A worker has {} slots unless you say otherwise", dispatcher.DEFAULT_SLOTS),
    ("its last heartbeat is fresh (at most {} old)", affinity.HEARTBEAT_FRESH_US / US_PER_S),
    ("was heard of within {}", affinity.HEARTBEAT_FRESH_US / US_PER_S),
    ("If a worker is silent for {}", fleet.SILENCE_US / US_PER_S),
    ("after {} of silence another worker gets the task", fleet.SILENCE_US / US_PER_S),
    ("waits for {} of silence before it gives", fleet.SILENCE_US / US_PER_S),
    ("After {} lost workers or failed deliveries the task fails", attempts.INTERNAL_RETRIES_MAX),
    ("confirms it; {} after its return", attempts.CONFIRM_US / US_PER_S),
    ("calls are held up to {}", activation.HOLD_S),
    ("(they wait up to {} for that)", doubt.DOUBT_HOLD_S),
    ("the weights of the labels they have ({} each", definition.LabelRequirement("key", "value").weight),
    ("its inputs weigh more than {}", batching.PAYLOAD_BYTES_MAX),
    ("`QUEUE` for both and a TTL of {}", workflows.DEFAULT_QUEUE_TTL_US / US_PER_S),
    # Messages and lines.
    ("messages of {} (4,194,304 bytes) at most", transport.SEND_SIZE_BYTES_MAX),
    ("messages of 4 MiB ({} bytes) at most", transport.SEND_SIZE_BYTES_MAX),
    ("a streamed piece | {} |", transport.SEND_SIZE_BYTES_MAX),
    ("as large as a message ({})", transport.SEND_SIZE_BYTES_MAX),
    ("A result of more than {} never leaves", transport.SEND_SIZE_BYTES_MAX),
    ("more than the {} that SDKs receive", transport.SEND_SIZE_BYTES_MAX),
    ("the body is larger than {}, or that of a webhook", HttpSettings(server_url="", grpc_address="").body_bytes_max),
    ("or that of a webhook than {}", webhooks.BODY_BYTES_MAX),
    ("413 | the body is larger than {} |", webhooks.BODY_BYTES_MAX),
    ("An address with its headers {}", rest_server.HEADERS_BYTES_MAX),
    ("A list in an address takes at most {} values", parameters.LIST_VALUES_MAX),
    ("A line has at most {} characters", logs.MESSAGE_LENGTH_MAX),
    ("a log line | {} characters", logs.MESSAGE_LENGTH_MAX),
    ("spans, that wait for the database | {} or", batches.ROWS_MAX),
    ("that wait for the database | 50,000 or {} each", batches.BYTES_MAX),
    ("A page of the tenant's lines looks at no more than {} of them", log_reads.LINES_LOOKED_AT_MAX),
    ("and at {} for a workflow or a step", log_reads.LINES_AND_TASKS_LOOKED_AT_MAX),
    ("the engine waits up to {} for it", subscriptions.GAP_WAIT_S),
    ("loses pieces, once {} events", subscriptions.EVENTS_BUFFERED_MAX),
    ("undelivered events of one reader of a live stream | {}", subscriptions.EVENTS_BUFFERED_MAX),
    # Many at once.
    ("runs or events in one bulk request | {} |", triggers.BULK_MAX),
    ("Up to {} events can be pushed at once", triggers.BULK_MAX),
    ("requests of a tenant that wait to be decided | {} |", backpressure.UNDER_WAY_MAX),
    ("take ids (at most {}) or a filter", parameters.BODY_VALUES_MAX),
    ("ids in one cancel or replay | {} |", parameters.BODY_VALUES_MAX),
    ("A filter cancels at most {} runs", task_commands.CANCELLED_BY_FILTER_MAX),
    ("and replays at most {}, the newest first", task_commands.REPLAYED_BY_FILTER_MAX),
    ("One request takes up to {} instants", firing.SCHEDULES_MAX),
    ("a filter deletes up to {} at a time", schedules.BY_FILTER_MAX),
    # What starts runs.
    ("A key may have {} bytes", triggers.EVENT_KEY_BYTES_MAX),
    ("A key may have 1,024 bytes, a scope {}", filters.SCOPE_BYTES_MAX),
    ("A workflow may have {} filters of one scope", filters.SCOPE_FILTERS_MAX),
    ("filters of one scope, a tenant {};", filters.FILTERS_MAX),
    ("a filter's payload may have {}", filters.PAYLOAD_BYTES_MAX),
    ("cel/failures` lists the newest {}", journal.FAILURES_KEPT_MAX),
    ("A tenant may have {} crons", calendar.CRONS_MAX),
    ("crons, a workflow may declare {}", definition.CRONS_MAX),
    ("a run for each tick of that time, at most {} at once", crons.BACKFILL_TICKS_MAX),
    ("are looked for in the newest {} runs that pass everything else", payload_search.LOOKED_AT_MAX),
    ("looked for in the newest {} runs that match the rest", payload_search.LOOKED_AT_MAX),
    ("as far as their payloads have {} together", payload_search.LOOKED_AT_BYTES_MAX),
    ("each tick of the last {} comes", firing.LATE_US_MAX / US_PER_S),
    ("if that is less than {} old", config.DEFAULT_CRON_CATCH_UP_MINUTES * 60),
    ("a cron's last tick if it is less than {} old", config.DEFAULT_CRON_CATCH_UP_MINUTES * 60),
    ("Times go from one millisecond to {}", definition.CLAIM_TTL_US_MAX / US_PER_S),
    ("a text of 1 to {} characters", debounce.KEY_CHARS_MAX),
    ("milliseconds from 1 to {} (a day)", debounce.WAIT_MS_MAX),
    # Webhooks.
    ("more than {} requests per second after a burst", webhooks.RATE_PER_S),
    ("requests per second after a burst of {}", webhooks.BURST),
    ("a webhook to {} requests a second", webhooks.RATE_PER_S),
    ("the header you name | {} |", webhook_proofs.SLACK_TOLERANCE_S),
    ("the signature's header and the body | {} |", webhook_proofs.STRIPE_TOLERANCE_S),
    ("begins with `whsec_` | {} |", webhook_proofs.SVIX_TOLERANCE_S),
    ("for {} from `GITHUB` and `LINEAR`", webhook_proofs.REPLAY_WINDOWS_S["GITHUB"]),
    ("for {} from `GENERIC`", webhook_proofs.REPLAY_WINDOWS_S["GENERIC"]),
    ("The latest {} requests of a webhook are remembered", webhook_store.DELIVERIES_KEPT),
    ("The latest {} refused requests", webhook_store.FAILURES_KEPT),
    # Durable tasks and expressions.
    ("is tried on the {} newest events", waits.PAST_EVENTS_MAX),
    ("An attempt that fails within {} of having been cut off", attempts.CUT_OFF_US / US_PER_S),
    ("only while it has one, or after {} without", fleet.SPEECH_US / US_PER_S),
    ("(`EvictionPolicy` of the SDK; {} unless", SDK_DURABLE_TASK["eviction_policy"].ttl.total_seconds()),
    ("One task may record {} operations", durable.ENTRIES_MAX),
    ("SDK's defaults, {} for an attempt", SDK_DURABLE_TASK["execution_timeout"].total_seconds()),
    ("for an attempt and {} until eviction", SDK_DURABLE_TASK["eviction_policy"].ttl.total_seconds()),
    ("A task may record {} operations; before that, end it", durable.ENTRIES_MAX),
    ("an idempotency key for as long as you say, at most {}.", definition.CLAIM_TTL_US_MAX / US_PER_S),
    ("lost worker's tasks go to others after {}", fleet.SILENCE_US / US_PER_S),
    ("**The default timeout is {}** for one attempt", SDK_TASK["execution_timeout"].total_seconds()),
    ("A task that finds no worker within {} is cancelled", SDK_TASK["schedule_timeout"].total_seconds()),
    ("**Attempts end after {}**", SDK_TASK["execution_timeout"].total_seconds()),
    ("the last tick, if it is less than {} old", config.DEFAULT_CRON_CATCH_UP_MINUTES * 60),
    ("log lines are kept for {} and can be searched", config.DEFAULT_RETENTION_DAYS * 86_400),
    ("length of an expression | {} characters", expressions.EXPRESSION_LENGTH_MAX),
    ("nesting of the JSON that is read | {} levels", expressions.JSON_DEPTH_MAX),
    ("length of a string result | {} characters", expressions.RESULT_LENGTH_MAX),
    # What is kept, and what a tenant may have.
    ("`BROADAXE_RETENTION_DAYS` | `--retention-days` | `{}`", config.DEFAULT_RETENTION_DAYS),
    ("kept with their history for {} from their end", config.DEFAULT_RETENTION_DAYS * 86_400),
    ("History goes after {}", config.DEFAULT_RETENTION_DAYS * 86_400),
    ("by day where it is kept for {} at most", partitions.BY_DAY_DAYS_MAX * 86_400),
    ("kept for more than {} or for ever, whole months", partitions.BY_DAY_DAYS_MAX * 86_400),
    ("more than about {} partitions", partitions.PARTITIONS_MAX),
    ("`TASK_RUN` | tasks of the runs that are made | {} |", quotas.DEFAULTS[Resource.TASK_RUN]),
    ("`EVENT` | events that are pushed | {} |", quotas.DEFAULTS[Resource.EVENT]),
    ("`WORKER` | workers that are connected | {} |", quotas.DEFAULTS[Resource.WORKER]),
    ("slots of these workers together, of all kinds | {} |", quotas.DEFAULTS[Resource.WORKER_SLOT]),
    ("`INCOMING_WEBHOOK` | webhooks | {} |", quotas.DEFAULTS[Resource.INCOMING_WEBHOOK]),
    ("A window of {} begins with the first use", quotas.WINDOW_US / US_PER_S),
    ("last 24 hours, up to {} of each", quota_store.COUNTED_MAX),
    ("32 random bytes, for {}, once", invites.LIFE_S),
    ("the one with the address, for {}", invites.LIFE_S),
    # What people and machines read.
    ("lists the workers of the last {}", catalogue.WORKER_LISTED.total_seconds()),
    ("from the newest {} of a time range", failure_reads.FAILURES_LOOKED_AT_MAX),
    ("it is missing when they are more than {}", changes.IDS_MAX),
    ("what changed in the last {}", changes.RECENT_S),
    ("A stream ends after {} hour", changes_route.STREAM_LIFE_S / 3_600),
    ("A request may have {} spans", traces.SPANS_PER_REQUEST_MAX),
    ("spans, a span {} attributes", traces.ATTRIBUTES_MAX),
    ("128 attributes and {} characters in them", traces.ATTRIBUTES_CHARS_MAX),
    ("a value {} characters", traces.VALUE_CHARS_MAX),
    ("the oldest {} are looked at", count_reads.WAITING_LOOKED_AT_MAX),
    ("until the run ends, at most {}, so", askers.HOLD_S),
    ("At most {} questions of a connection", askers.HELD_PER_CONNECTION_MAX),
    ("questions of a connection and {} of a tenant are held", askers.HELD_PER_TENANT_MAX),
    # Enqueued in a transaction.
    ("input and metadata of more than {} together", ENQUEUED_BYTES_MAX),
    ("batches of up to {}", outbox_store.PAGE_ROWS_MAX),
    ("put aside after {} times", outbox.TRIES_MAX),
    ("The newest {} of a tenant are kept", journal.REFUSED_KEPT_MAX),
)


def pattern_of(said: str) -> re.Pattern[str]:
    """Any white space between words, any case of the first letter, and a figure in any form."""
    before, _, after = said.partition("{}")
    text = re.escape(before) + FIGURE + re.escape(after)
    return re.compile(text.replace(r"\ ", r"\s+").replace(" (?:", r"\s+(?:"), re.IGNORECASE)


@pytest.mark.parametrize(("said", "meant"), FIGURES, ids=[said for said, _ in FIGURES])
def test_a_figure_in_prose_is_the_one_of_the_code(pages: list[Any], said: str, meant: float) -> None:
    pattern = pattern_of(said)
    found = [(page.name, match[1]) for page in pages for match in pattern.finditer(page.text)]
    assert found, f"no page says {said!r} any more: change this row with the sentence"
    for name, text in found:
        figure = in_units(re.sub(r"\s+", " ", text))
        assert figure == meant, f"{name} says {text!r} in {said!r}; the code says {meant}"


@pytest.mark.parametrize(
    ("text", "value"),
    [("30 days", 2_592_000), ("4 MiB", 4_194_304), ("five minutes", 300), ("50,000", 50_000), ("0.9 s", 0.9)],
)
def test_figures_are_read_in_any_unit(text: str, value: float) -> None:
    assert in_units(text) == value
