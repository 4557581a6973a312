"""Commits of which nobody heard whether they were made: the database went away in the middle of one.

A commit is all or nothing, so one row that it alone can have made tells of the whole of it. Whoever waits for a command
of such a round is told what was decided if that row is there, once the tenant is loaded anew; otherwise the command is
decided again. Loading takes a new epoch, which waits for a transaction of the old one and shuts it out: what the row
says then stays true.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from broadaxe.core.commands import Reply
from broadaxe.core.commands.schedules import Scheduled
from broadaxe.core.decision import Writes
from broadaxe.errors import BroadaxeError

__all__ = ["Answer", "Doubt", "DoubtfulRound", "Witness", "WitnessKind", "witness_of"]

Answer = Reply | BroadaxeError


class WitnessKind(StrEnum):
    """What the row is of."""

    RUN = "run"
    EVENT = "event"
    VERSION = "version"
    WORKER = "worker"
    CRON = "cron"
    SCHEDULE = "schedule"


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


@dataclass(frozen=True, slots=True)
class Doubt:
    """What a command of the round is answered if that was made after all."""

    round: DoubtfulRound
    answer: Answer


def witness_of(writes: Writes, answers: Sequence[Answer]) -> Witness | None:
    """None when nothing was made that tells by being there: the round only changed or deleted rows."""
    made = (
        (WitnessKind.RUN, [run.row for run in writes.new_runs]),
        (WitnessKind.EVENT, writes.events),
        (WitnessKind.VERSION, writes.versions),
    )
    for kind, rows in made:
        if rows:
            return Witness(kind, rows[0].id)
    # Rows of these may as well be changed ones. Who has one made is answered its id.
    told = {answer for answer in answers if isinstance(answer, str)}
    told.update(id_ for answer in answers if isinstance(answer, Scheduled) for id_ in answer.schedule_ids)
    put = (
        (WitnessKind.WORKER, writes.workers),
        (WitnessKind.CRON, writes.crons),
        (WitnessKind.SCHEDULE, writes.schedules),
    )
    return next((Witness(kind, row.id) for kind, rows in put for row in rows if row.id in told), None)
