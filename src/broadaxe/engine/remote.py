"""A tenant that another node owns, as its streams and calls here see it.

What travels are frozen records; how is the business of `link/`, which implements this. The streams of the tenant stay
here (`streams.py`); whoever implements this tells them what comes from the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

from broadaxe.core.commands import Command, Reply
from broadaxe.core.questions import AnswerT, Question
from broadaxe.engine.changes import Kind
from broadaxe.engine.streams import TenantStreams
from broadaxe.engine.subscriptions import Elsewhere
from broadaxe.engine.topics import Elsewhere as TopicsElsewhere

__all__ = ["Connect", "Remote"]


class Remote(Elsewhere, TopicsElsewhere, Protocol):
    """The way to a tenant at its owner. Calls raise the error that they come to there; `actor.Broken` when the way
    broke before the answer was there."""

    def submit(
        self, command: Command, *, client: str | None, chars: int = 0, is_alone: bool = False
    ) -> asyncio.Future[Reply]:
        """As of `actor.TenantActor`."""
        ...

    @property
    def knows_promises(self) -> bool:
        """Whether the owner makes what it is asked for under the ids it is told. One of an older version does not."""
        ...

    @property
    def knows_topics(self) -> bool:
        """Whether the owner has topics. One of an older version has not."""
        ...

    async def next_number(self) -> int:
        """A number for a stream that is about to be opened."""
        ...

    async def is_live(self, run_or_task_id: str) -> bool: ...

    async def ask(self, question: Question[AnswerT]) -> AnswerT: ...

    async def put_chunk(self, task_id: str, text: str, index: int | None) -> None: ...

    async def check_task(self, task_id: str) -> None: ...

    def note_change(self, kind: Kind, ids: Iterable[str] | None) -> None: ...

    def follow_changes(self, is_followed: bool) -> None: ...

    @property
    def is_lost(self) -> bool:
        """Whether it has broken, or the owner has the tenant no more."""
        ...

    def close(self) -> None:
        """Nothing of the tenant is needed here any more."""
        ...


class Connect(Protocol):
    """Opens the way to a tenant. `on_lost` is called once when it breaks or the owner has the tenant no more, with
    whether nobody needs the tenant. Raises HeldElsewhere when that node has it not, and Unavailable.
    `unchanged_epoch`: that of this node's lease, when it hands the tenant over and has committed nothing since that
    node has prepared for it."""

    async def __call__(
        self,
        link_address: str,
        tenant_id: str,
        streams: TenantStreams,
        on_lost: Callable[[bool], None],
        unchanged_epoch: int | None = None,
    ) -> Remote: ...

    async def prepare(self, link_address: str, tenant_id: str) -> bool:
        """Has that node read the tenant, which is about to be handed to it: whether it has. Unavailable."""
        ...

    async def reach(self, link_address: str) -> None:
        """Unavailable when the node cannot be reached."""
        ...

    def keep(self, link_addresses: Collection[str], on_gone: Callable[[], None]) -> None:
        """Keeps the links to these nodes, whether or not a tenant is needed there, and no others. `on_gone` is called
        whenever one is found to be gone."""
        ...

    def is_open(self, link_address: str) -> bool:
        """Whether there is a link to that node at this moment."""
        ...
