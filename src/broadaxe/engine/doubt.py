"""Commits of which nobody heard whether they were made: the database went away in the middle of one.

A commit is all or nothing, so one row that it alone can have made tells of the whole of it. Whoever waits for a command
of such a round is told what was decided if that row is there, once the tenant is loaded anew; otherwise the command is
decided again. Loading takes a new epoch, which waits for a transaction of the old one and shuts it out: what the row
says then stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from broadaxe.core.commands import Command, Reply
from broadaxe.core.commands.asked import promised_ids
from broadaxe.core.commands.schedules import Scheduled
from broadaxe.core.decision import Writes
from broadaxe.errors import BroadaxeError

__all__ = ["Answer", "Doubt", "DoubtfulRound", "Doubts", "Witness", "WitnessKind", "witness_of"]

Answer = Reply | BroadaxeError

#: How long one that may have been committed waits to hear of it. Told Unavailable its client would try again, and what
#: it asked for might be done twice.
DOUBT_HOLD_S: Final = 600.0


class WitnessKind(StrEnum):
    """What the row is of."""

    RUN = "run"
    EVENT = "event"
    VERSION = "version"
    WORKER = "worker"
    CRON = "cron"
    SCHEDULE = "schedule"
    MESSAGE = "message"
    """Its id stands behind that of its topic."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A row that is there if and only if the round that made it was committed."""

    kind: WitnessKind
    id: str

    @property
    def stays(self) -> bool:
        """Whether nothing that may happen since takes the row away again."""
        return self.kind not in (WitnessKind.CRON, WitnessKind.SCHEDULE)


class DoubtfulRound:
    """One such round. `was_made` is told once a later epoch has been taken, by this node or another: None when the row
    is not there and may have been used up since."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.was_made: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()


class Doubts:
    """What is to be found out of one tenant at its next load."""

    def __init__(self, is_there: Callable[[Witness], Awaitable[bool]]) -> None:
        """`is_there` looks for the row; it may raise Unavailable."""
        self._is_there = is_there
        self._rounds: list[DoubtfulRound] = []

    def add(self, doubtful: DoubtfulRound | None) -> None:
        if doubtful is not None:
            self._rounds.append(doubtful)

    async def settle(self, *, is_owner: bool) -> None:
        """An epoch later than theirs has been taken, so what was not committed by now never will be. Before anything is
        decided in it nothing that was committed has gone either; the owner knows that."""
        while self._rounds:
            doubtful = self._rounds[0]
            is_there = await self._is_there(doubtful.witness)
            self._rounds.pop(0)
            is_sure = is_there or is_owner or doubtful.witness.stays
            doubtful.was_made.set_result(is_there if is_sure else None)

    async def was_made(self, doubtful: DoubtfulRound) -> bool | None:
        """Whether it was committed after all; None when that cannot be told in `DOUBT_HOLD_S`."""
        try:
            async with asyncio.timeout(DOUBT_HOLD_S):
                return await asyncio.shield(doubtful.was_made)
        except TimeoutError:
            return None


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a command of the round is answered if that was made after all."""

    round: DoubtfulRound
    answer: Answer


def witness_of(writes: Writes, answers: Sequence[Answer], commands: Sequence[Command]) -> Witness | None:
    """None when nothing was made that tells by being there: the round only changed or deleted rows, or made what its
    commands were promised the ids of. Another round may have made that since, of the same promise."""
    promised = {id_ for command in commands for id_ in promised_ids(command)}
    made = (
        (WitnessKind.RUN, [run.row for run in writes.new_runs]),
        (WitnessKind.EVENT, writes.events),
        (WitnessKind.VERSION, writes.versions),
    )
    for kind, rows in made:
        for row in rows:
            if row.id not in promised:
                return Witness(kind, row.id)
    if writes.messages:
        message = writes.messages[0]
        return Witness(WitnessKind.MESSAGE, f"{message.topic_id}/{message.id}")
    # Rows of these may as well be changed ones. Who has one made is answered its id.
    told = {answer for answer in answers if isinstance(answer, str)}
    told.update(id_ for answer in answers if isinstance(answer, Scheduled) for id_ in answer.schedule_ids)
    put = (
        (WitnessKind.WORKER, writes.workers),
        (WitnessKind.CRON, writes.crons),
        (WitnessKind.SCHEDULE, writes.schedules),
    )
    return next((Witness(kind, row.id) for kind, rows in put for row in rows if row.id in told), None)
