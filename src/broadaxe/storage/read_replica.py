"""Reads of people on a replica, as fresh as the primary's: what was committed when somebody asks is in the answer.

Owns where such a read goes. The primary is asked how far it has written, and the replica how far it has come; a moment
is waited for it, and after that the primary answers instead. So does it when the replica is away, has become a primary,
or had to break a read off. Then no answer is old: what a page was just told has changed it will see, and so will
whoever asks after a write of their own.

Refuses what is not for people: the engine reads from its primary alone. Cost: two small statements for each read. Both
are asked on the connection that reads next, since several replicas may be behind one name.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Protocol

import asyncpg
import structlog

from broadaxe.loops import Loops
from broadaxe.storage.connections import Pooling, connect
from broadaxe.storage.outage import UNANSWERED
from broadaxe.storage.statements import statement

__all__ = ["Queries", "ReadReplica", "ReplicaCondition", "ReplicaState", "is_replica_of"]

#: How long a read waits for the replica before it turns to the primary.
WAIT_S: Final = 0.25
PAUSE_FIRST_S: Final = 0.002
PAUSE_MAX_S: Final = 0.03
#: How long a replica may take to say how far it has come.
ANSWER_S: Final = 3.0
#: How long nobody waits for a replica that was behind, or turns to one that was away.
BEHIND_FOR_S: Final = 1.0
AWAY_FOR_S: Final = 5.0
#: How often it is looked at when nobody reads, for those who watch it.
LOOK_EVERY_S: Final = 15.0

_log = structlog.get_logger(__name__)


class Queries(Protocol):
    """What answers questions: connections to a primary, or to a primary and its replica."""

    async def fetch(self, query: str, *args: Any) -> Any: ...

    async def fetchrow(self, query: str, *args: Any) -> Any: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...


class ReplicaState(StrEnum):
    IN_USE = "IN_USE"
    BEHIND = "BEHIND"
    AWAY = "AWAY"
    """It does not answer, or is no replica any more."""


@dataclass(frozen=True, slots=True)
class ReplicaCondition:
    state: ReplicaState
    lag_s: float
    """How old its newest commit is while there are newer ones; 0 if there are none."""
    reads: dict[str, int]
    """How many reads `replica` and `primary` have answered since the engine started."""
    problem: str | None = None
    """Why it is away."""


class ReadReplica:
    """Answers from the replica wherever it can."""

    def __init__(self, primary: asyncpg.Pool, replica: asyncpg.Pool, pooling: Pooling = Pooling.NONE) -> None:
        self._primary = primary
        self._replica = replica
        # Through a pooler of transactions only these stay with one server.
        self._has_transactions = not pooling.has_sessions
        self._state = ReplicaState.IN_USE
        self._lag_s = 0.0
        self._problem: str | None = None
        self._not_before_s = 0.0
        self._reads = {"replica": 0, "primary": 0}
        self._loops = Loops("read replica")

    @property
    def condition(self) -> ReplicaCondition:
        """As it was when it was last asked: by a read, or by whoever watches it."""
        return ReplicaCondition(self._state, self._lag_s, dict(self._reads), self._problem)

    def start(self) -> None:
        self._loops.every("look", LOOK_EVERY_S, self.look)

    async def stop(self) -> None:
        await self._loops.close()

    async def fetch(self, query: str, *args: Any) -> Any:
        return await self._ask("fetch", query, args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        return await self._ask("fetchrow", query, args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        return await self._ask("fetchval", query, args)

    async def look(self) -> None:
        """Sees how it is, whether or not somebody reads."""
        wanted = await self._primary.fetchval(statement("replica/position"))
        try:
            async with self._connection() as connection:
                await self._has_come(connection, wanted, WAIT_S)
        except UNANSWERED as error:
            self._be_away(error)

    async def _ask(self, method: str, query: str, args: tuple[Any, ...]) -> Any:
        problem: Exception | None = None
        if asyncio.get_running_loop().time() >= self._not_before_s:
            wanted = await self._primary.fetchval(statement("replica/position"))
            try:
                async with self._connection() as connection:
                    if await self._has_come(connection, wanted, WAIT_S):
                        answer = await getattr(connection, method)(query, *args)
                        self._reads["replica"] += 1
                        return answer
            except (asyncpg.TransactionRollbackError, asyncpg.QueryCanceledError) as error:
                # It had to go on and could not keep what the read looked at.
                _log.debug("the read replica broke a read off; the primary answers", error=str(error))
            except UNANSWERED as error:
                problem = error
        answer = await getattr(self._primary, method)(query, *args)
        self._reads["primary"] += 1
        if problem is not None:
            # Had the primary not answered either, it would have been the question.
            self._be_away(problem)
        return answer

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        async with self._replica.acquire(timeout=ANSWER_S) as connection:
            if not self._has_transactions:
                yield connection
                return
            async with connection.transaction(readonly=True):
                yield connection

    async def _has_come(self, connection: Any, wanted: int, wait_s: float) -> bool:
        """Whether the server of this connection has what the primary had; waits for it a moment."""
        loop = asyncio.get_running_loop()
        until_s, pause_s = loop.time() + wait_s, PAUSE_FIRST_S
        while True:
            progress = await connection.fetchrow(statement("replica/progress"), wanted, timeout=ANSWER_S)
            if progress is None:
                self._be_away("it is no replica (any more); name a server that follows the primary")
                return False
            if progress["is_there"]:
                self._turn(ReplicaState.IN_USE, 0.0)
                return True
            if loop.time() + pause_s > until_s:
                self._turn(ReplicaState.BEHIND, progress["age_s"] or 0.0)
                self._not_before_s = loop.time() + BEHIND_FOR_S
                return False
            await asyncio.sleep(pause_s)
            pause_s = min(PAUSE_MAX_S, 2 * pause_s)

    def _be_away(self, problem: Exception | str) -> None:
        self._not_before_s = asyncio.get_running_loop().time() + AWAY_FOR_S
        self._turn(ReplicaState.AWAY, self._lag_s, str(problem) or type(problem).__name__)

    def _turn(self, state: ReplicaState, lag_s: float, problem: str | None = None) -> None:
        was, self._state, self._lag_s, self._problem = self._state, state, lag_s, problem
        if state is was:
            return
        if state is ReplicaState.IN_USE:
            _log.info("the read replica answers again")
        else:
            _log.warning(
                "people's reads go to the primary: the read replica is "
                + ("behind" if state is ReplicaState.BEHIND else "away"),
                lag_s=round(lag_s, 1),
                error=problem,
            )


async def is_replica_of(dsn: str, primary_dsn: str) -> bool | None:
    """Whether a server follows another one and the database is the same; None if it is another one's. Raises what
    `outage.UNANSWERED` lists."""
    there, here = await _identity(dsn), await _identity(primary_dsn)
    return there["is_replica"] if tuple(there)[:2] == tuple(here)[:2] else None


async def _identity(dsn: str) -> Any:
    connection = await connect(dsn)
    try:
        return await connection.fetchrow(statement("replica/identity"))
    finally:
        await connection.close()
