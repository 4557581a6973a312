"""Commands about workers: their registration, streams, heartbeats, labels and pauses."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING, Needs

LabelValue = str | int


class RegisterWorker(msgspec.Struct, frozen=True):
    """Always a new worker, whatever its name. Reply: the worker id."""

    name: str
    actions: tuple[str, ...]
    slots: dict[str, int]
    labels: dict[str, LabelValue] = {}
    runtime: dict[str, str] = {}

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Arrivals(msgspec.Struct, frozen=True):
    """What came to a stream before the tenant was loaded."""

    attempts: tuple[tuple[str, int], ...]
    """The latest, each by its task and when that was assigned."""
    since_us: int
    """All that were assigned after this instant and came are named."""


class OpenStream(msgspec.Struct, frozen=True):
    """A worker opened an assignment stream. `session` numbers streams of this process, newest highest. `arrived` is of
    one that was open before the tenant was loaded, if anything came to it. Reply: None."""

    worker_id: str
    session: int
    arrived: Arrivals | None = None

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class CloseStream(msgspec.Struct, frozen=True):
    """That stream ended. Ignored when a newer one has replaced it. Reply: None."""

    worker_id: str
    session: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class OpenDurableStream(msgspec.Struct, frozen=True):
    """A worker's durable tasks speak on this stream from now on, and it gets such tasks only while there is one
    (section 13.10). Numbers are those of `OpenStream`. Reply: None. NotFound if absent."""

    worker_id: str
    stream: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class CloseDurableStream(msgspec.Struct, frozen=True):
    """That stream ended. Ignored when a newer one has replaced it. Reply: None."""

    worker_id: str
    stream: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class Heartbeat(msgspec.Struct, frozen=True):
    worker_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class UnregisterWorker(msgspec.Struct, frozen=True):
    """The worker says goodbye; its running attempts stay until they report or the heartbeat rule takes them."""

    worker_id: str

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class PutWorkerLabels(msgspec.Struct, frozen=True):
    worker_id: str
    labels: dict[str, LabelValue]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))


class PauseWorker(msgspec.Struct, frozen=True):
    worker_id: str
    is_paused: bool

    is_repeatable: ClassVar = True
    chars: ClassVar = 0

    @property
    def needs(self) -> Needs:
        return Needs(workers=frozenset((self.worker_id,)))
