"""What the engine keeps and reads, as it needs it.

Two implementations: `postgres_store.py`, and the simulation's, which fails wherever it likes. Every method may raise
Unavailable when the database is away, and nothing else says so; that is the one way an outage is spelled in this
package. Refuses to decide.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

from broadaxe.core.commands.quotas import Resource
from broadaxe.core.decision import Writes
from broadaxe.core.loaded import Loaded, Missing
from broadaxe.core.topics import Position
from broadaxe.engine.doubt import Witness
from broadaxe.engine.subscriptions import RunOutcome
from broadaxe.storage.outbox import OutboxPage
from broadaxe.storage.topics import TopicPage

__all__ = ["DurableResult", "EntryPlace", "Store", "TenantStore"]

#: Where an entry of a durable log is: (task id, branch, node).
EntryPlace = tuple[str, int, int]
#: What an entry came to: (result, whether it is a failure, error).
DurableResult = tuple[str | None, bool, str | None]


class TenantStore(Protocol):
    """One tenant under one lease: its rows, written and read back, and the payloads that the core does not hold."""

    @property
    def epoch(self) -> int: ...

    async def load_live(self, now_us: int) -> Loaded:
        """Everything live, from one snapshot."""
        ...

    async def load_missing(self, missing: Missing) -> Loaded: ...

    async def commit(self, writes: Writes) -> None:
        """Returns once all of it is durable. LeaseLost when somebody else took the tenant, and any error that is not
        retryable when it cannot be stored: then nothing was. Unavailable when nobody can tell whether it was
        written."""
        ...

    async def confirm(self) -> None:
        """Returns if the tenant is still under this lease. LeaseLost when somebody else took it."""
        ...

    def remember(self, writes: Writes) -> None:
        """Payloads that passed by in a commit, so that they need not be read back."""
        ...

    async def inputs(self, run_ids: Collection[str]) -> dict[str, str]: ...

    async def outputs(self, task_ids: Collection[str]) -> dict[str, str]:
        """By task id; a task without one is absent."""
        ...

    async def durable_results(self, entries: Collection[EntryPlace]) -> dict[EntryPlace, DurableResult]: ...


class Store(Protocol):
    """All tenants. Reads that need no lease are asked of it directly."""

    async def open(self, tenant_id: str, *, here: bool = False) -> TenantStore:
        """Takes the lease, shutting out every earlier owner. NotFound for no such tenant; Unavailable while another
        node holds it, or it is free and belongs to another node, unless `here` insists."""
        ...

    async def release(self, tenant_id: str, successor: str | None = None) -> None:
        """Gives the lease back, for the node of this id or for anybody."""
        ...

    def watch_leases(self, on_lost: Callable[[str], None]) -> None:
        """Who is told of a tenant that somebody else took."""
        ...

    async def close(self) -> None:
        """Gives every lease back. Does not raise."""
        ...

    async def warm(self) -> None:
        """Makes ready what a tenant is taken up with. A tenant that comes here from another node pauses until that is
        done, and the first load over a connection takes several times as long as the next. Unavailable."""
        ...

    async def read_ahead(self, tenant_id: str, now_us: int) -> Loaded | None:
        """What `TenantStore.load_live` would load, of a tenant that another node still holds. None if that is no use,
        since others than its owner may change it. Unavailable."""
        ...

    async def tenants_with_work(self) -> list[str]:
        """Those with live runs, crons or schedules."""
        ...

    async def tenants_with_outbox(self) -> list[str]: ...

    async def outbox_told(self, tenant_id: str, transactions: Mapping[int, int]) -> OutboxPage: ...

    async def outbox_waiting(self, tenant_id: str, after: tuple[int, int]) -> OutboxPage: ...

    async def quotas(self, tenant_id: str) -> dict[Resource, int | None]: ...

    async def results(self, tenant_id: str, run_ids: Sequence[str]) -> list[RunOutcome]:
        """Of those that have finished."""
        ...

    async def runs_with_metadata(
        self, tenant_id: str, key: str, value: str, since_us: int | None, limit: int
    ) -> list[str]:
        """Ids of runs whose metadata has `key` with `value`: of the unfinished ones, or of all that began since."""
        ...

    async def topic_page(self, tenant_id: str, topic_id: str, after: Position | None) -> TopicPage:
        """Messages of the topic that follow, as of a moment after the call; None is where readers begin."""
        ...

    async def is_there(self, tenant_id: str, witness: Witness) -> bool: ...

    async def task_exists(self, tenant_id: str, task_id: str) -> bool: ...

    async def signals(self, tenant_id: str, wanted: Sequence[tuple[str, str]]) -> list[tuple[str, str, str]]:
        """(task id, key, data) of those that have fired."""
        ...
