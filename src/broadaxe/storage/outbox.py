"""The outbox: what committed transactions of applications want done, and how the engine hears of it.

The SQL functions of migration 0006 put rows there; a notification, which PostgreSQL sends if and when the transaction
commits, names the tenant and the transaction. Owns reading the rows in pages, bounded in rows and bytes, and the one
connection that listens. Removing rows is the journal's part (`queries/journal/take_outbox.sql`).

Notifications are lost while nobody listens, so whenever the listener connects it says that anything may have happened.
Where a connection pooler leaves no session to listen in, a lookout looks instead, `LOOK_EVERY_S` seconds apart.
Invariants: rows of one transaction come in the order of the calls; a page is never empty while there are rows. Cost:
one connection per engine, and a round trip every `ALIVE_EVERY_S` that tells a dead connection from a quiet one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import asyncpg
import msgspec
import structlog

from broadaxe.core.commands.events import EventRequest
from broadaxe.core.commands.outbox import OutboxRequest
from broadaxe.core.commands.topics import MessageRequest
from broadaxe.core.commands.triggers import Promise, RunRequest
from broadaxe.loops import Loops
from broadaxe.storage import alerts, quotas, tenant_deletion
from broadaxe.storage.connections import connect
from broadaxe.storage.ids import is_id
from broadaxe.storage.outage import UNANSWERED
from broadaxe.storage.revocations import CHANNEL as REVOCATION_CHANNEL
from broadaxe.storage.revocations import Revocations
from broadaxe.storage.statements import statement

__all__ = ["CHANNEL", "Outbox", "OutboxListener", "OutboxLookout", "OutboxPage", "outbox_counts"]

CHANNEL: Final = "broadaxe_outbox"
PAGE_ROWS_MAX: Final = 500
#: Of payloads and metadata; a page has more only if its first row alone has.
PAGE_BYTES_MAX: Final = 16 * 1024 * 1024
CONNECT_TIMEOUT_S: Final = 10.0
ALIVE_EVERY_S: Final = 30.0
RECONNECT_AFTER_S: Final = 0.5
LOOK_EVERY_S: Final = 1.0
#: After so many looks everything is unsure, whatever was found.
LOOKS_BETWEEN: Final = 30

_log = structlog.get_logger(__name__)


class OutboxPage(msgspec.Struct, frozen=True):
    """`requests` in the order they shall be done; `last` is the (transaction, position) of the last of them."""

    requests: tuple[OutboxRequest, ...]
    last: tuple[int, int]
    is_last: bool
    """Whether nothing that was asked for is behind it."""


class Outbox:
    """Reads the outbox of every tenant."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def told(self, tenant_id: str, transactions: Mapping[int, int]) -> OutboxPage:
        """What these transactions left, each behind the position beside it."""
        rows = await self._pool.fetch(
            statement("outbox/told"),
            tenant_id,
            list(transactions.keys()),
            list(transactions.values()),
            PAGE_ROWS_MAX,
            PAGE_BYTES_MAX,
        )
        return _page(rows)

    async def waiting(self, tenant_id: str, after: tuple[int, int]) -> OutboxPage:
        """Everything there is behind `after`."""
        rows = await self._pool.fetch(statement("outbox/waiting"), tenant_id, *after, PAGE_ROWS_MAX, PAGE_BYTES_MAX)
        return _page(rows)

    async def tenants(self) -> list[str]:
        """Tenants that have rows."""
        return [row["tenant_id"] for row in await self._pool.fetch(statement("outbox/tenants"))]


async def outbox_counts(connection: asyncpg.Connection) -> tuple[int, int]:
    """How many requests wait, and how many were refused and are kept; of all tenants, for people."""
    (row,) = await connection.fetch(statement("outbox/counts"))
    return row["waiting"], row["refused"]


class OutboxListener:
    """Listens until it is stopped, over any number of connections.

    `on_told(tenant_id, transaction)` for every notification; `on_unsure()` whenever some may have been missed: at the
    start, and after the connection was lost. The same connection hears of changed limits, `on_quotas(tenant_id)`, of
    messages of alerts that wait, `on_alerts()`, and of what was revoked.
    """

    def __init__(
        self,
        dsn: str,
        on_told: Callable[[str, int], None],
        on_unsure: Callable[[], None],
        on_quotas: Callable[[str], None] = lambda _: None,
        revocations: Revocations | None = None,
        on_alerts: Callable[[], None] = lambda: None,
        on_deleted: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._dsn = dsn
        self._revocations = revocations or Revocations()
        self._on_told = on_told
        self._on_unsure = on_unsure
        self._on_quotas = on_quotas
        self._on_alerts = on_alerts
        self._on_deleted = on_deleted
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it listens, or when the first attempt failed; then it goes on trying."""
        listening = asyncio.Event()
        self._task = asyncio.create_task(self._listen_for_ever(listening), name="outbox listener")
        await listening.wait()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def _listen_for_ever(self, tried: asyncio.Event) -> None:
        while True:
            try:
                await self._listen(tried)
            except UNANSWERED as error:
                _log.warning("not listening to the outbox; connecting again", error=str(error))
            except Exception:
                _log.exception("not listening to the outbox; connecting again")
            tried.set()
            await asyncio.sleep(RECONNECT_AFTER_S)

    async def _listen(self, listening: asyncio.Event) -> None:
        """Returns when the connection is lost."""
        connection = await connect(
            self._dsn, timeout=CONNECT_TIMEOUT_S, server_settings={"application_name": "broadaxe outbox"}
        )
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._heard)
            await connection.add_listener(quotas.CHANNEL, self._heard_of_quotas)
            await connection.add_listener(tenant_deletion.CHANNEL, self._heard_of_deletion)
            await connection.add_listener(REVOCATION_CHANNEL, lambda *_: self._revocations.tell())
            await connection.add_listener(alerts.CHANNEL, lambda *_: self._on_alerts())
            self._on_unsure()
            self._revocations.listens(True)
            listening.set()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), ALIVE_EVERY_S)
                    break
                await connection.execute(statement("outbox/alive"), timeout=CONNECT_TIMEOUT_S)
            _log.warning("the connection that listens to the outbox was lost; connecting again")
        finally:
            self._revocations.listens(False)
            connection.terminate()

    def _heard(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        # Everybody in the database may notify: what is not exactly of our form is not ours.
        tenant_id, _, transaction = str(payload).partition(" ")
        if _is_tenant(tenant_id) and transaction.isascii() and transaction.isdigit() and len(transaction) < 19:
            self._on_told(tenant_id, int(transaction))

    def _heard_of_quotas(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if _is_tenant(str(payload)):
            self._on_quotas(str(payload))

    def _heard_of_deletion(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if _is_tenant(str(payload)):
            self._on_deleted(str(payload))


class OutboxLookout:
    """Looks into the outbox again and again, where a connection pooler leaves nobody a session to listen in.

    `on_unsure()` when something waits, and now and then in any case, for what else is told there. A look is one
    statement, a step along an index for each tenant that has something.
    """

    def __init__(self, outbox: Outbox, on_unsure: Callable[[], None]) -> None:
        self._outbox = outbox
        self._on_unsure = on_unsure
        self._looks = 0
        self._loops = Loops("outbox lookout")

    async def start(self) -> None:
        self._loops.every("look", LOOK_EVERY_S, self._look)

    async def stop(self) -> None:
        await self._loops.close()

    async def _look(self) -> None:
        is_time = self._looks % LOOKS_BETWEEN == 0
        if await self._outbox.tenants() or is_time:
            self._on_unsure()
        self._looks += 1


def _is_tenant(text: str) -> bool:
    return is_id(text) and text == text.lower()


def _page(rows: list[Any]) -> OutboxPage:
    if not rows:
        return OutboxPage((), (0, 0), True)
    last, found = rows[-1], rows[0]["found"]
    is_last = found < PAGE_ROWS_MAX and len(rows) == found
    return OutboxPage(tuple(map(_request, rows)), (last["transaction_id"], last["position"]), is_last)


def _request(row: Any) -> OutboxRequest:
    promise = Promise(row["id"], row["created_at_us"])
    if row["kind"] == "RUN":
        return RunRequest(
            workflow_name=row["name"],
            input=row["payload"],
            additional_metadata=row["additional_metadata"],
            priority=row["priority"],
            promise=promise,
        )
    if row["kind"] == "MESSAGE":
        return MessageRequest(
            namespace=row["scope"], topic=row["name"], payload=row["payload"].encode(), promise=promise
        )
    return EventRequest(
        key=row["name"],
        payload=row["payload"],
        additional_metadata=row["additional_metadata"],
        priority=row["priority"],
        scope=row["scope"],
        promise=promise,
    )
