"""Tenants go where they belong: taken up here when nobody has them, handed over when they belong to another node.

    a node comes          its share moves to it, one tenant at a time, those first that decide nothing at the moment
    a node goes           what belongs here then and has work to do is taken up
    this node drains      everything moves, one tenant at a time
    this node stops       everything moves, several at a time
    this node is cut off  from the database for as long as its leases last: other nodes are sent away, which take
                          its tenants up

Where a tenant belongs is not decided here (`nodes.py`), so two nodes cannot send one to and fro for longer than they
see different nodes; and a tenant stays with a node that cannot reach the one it belongs to. Owns the order of moves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Final

import structlog

from broadaxe.engine.activation import Activation
from broadaxe.engine.changes import Kind
from broadaxe.engine.nodes import Nodes, Place
from broadaxe.engine.remote import Connect
from broadaxe.errors import Unavailable
from broadaxe.loops import Loops

__all__ = ["Moves"]

#: A tenant that got its first work at another node is known here after so long at most, and taken up should that node
#: be lost; and so often it is looked whether all are where they belong.
LOOK_EVERY_S: Final = 5.0
#: A node that came more recently gets no tenant of another: it may go as quickly as it came.
SETTLED_S: Final = 3.0
#: A tenant that is found busy so many times, with such pauses, moves all the same.
BUSY_LOOKS_MAX: Final = 8
BUSY_PAUSE_S: Final = 0.25
#: How often it is looked whether this node is cut off.
LOOK_ALIVE_EVERY_S: Final = 0.5
#: How many move at once when the node stops, and how long that may take.
STOP_AT_ONCE_MAX: Final = 8
STOP_S: Final = 20.0

_log = structlog.get_logger(__name__)


class Moves:
    def __init__(
        self,
        nodes: Nodes,
        connect: Connect,
        loops: Loops,
        activations: Callable[[], Collection[Activation]],
        take_up_work: Callable[[], Awaitable[None]],
    ) -> None:
        """`activations` are those there are; `take_up_work` needs every tenant that has work and belongs here."""
        self._nodes = nodes
        self._connect = connect
        self._loops = loops
        self._activations = activations
        self._take_up_work = take_up_work
        self._changed = asyncio.Event()
        self._busy: Counter[str] = Counter()
        """How often each tenant that is to move was found busy."""
        self._said_empty = False
        self._is_cut_off = False
        self._is_leaving = False

    async def start(self) -> None:
        self._nodes.watch(self._nodes_changed)
        await self._nodes.join()
        self._nodes_changed()
        self._loops.keep("bring tenants where they belong", self._run)
        self._loops.every("look whether this node is cut off", LOOK_ALIVE_EVERY_S, self._look_alive)

    def _nodes_changed(self) -> None:
        self._connect.keep([node.link_address for node in self._nodes.others()], self._nodes.look)
        self._changed.set()
        self._note_nodes()

    def _note_nodes(self) -> None:
        """For pages that show the nodes."""
        for activation in self._activations():
            activation.streams.changes.note(Kind.NODES, ())

    async def _look_alive(self) -> None:
        """The leases of one that is cut off have run out, and who asks it for its tenants would wait for nothing."""
        is_alive = self._nodes.is_alive()
        if is_alive and self._is_cut_off:
            _log.info("this node reaches the database again")
        elif not is_alive:
            if not self._is_cut_off:
                _log.warning("this node cannot reach the database; other nodes take its tenants up if they can")
            for activation in list(self._activations()):
                activation.streams.guests.hang_up()
        self._is_cut_off = not is_alive

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            await self._take_up_work()
            await self._move_out()

    async def _move_out(self) -> None:
        misplaced = self._misplaced()
        for activation in sorted(misplaced, key=lambda activation: not activation.is_quiet()):
            # Seen anew each time: moving takes a while, and nodes come and go.
            place = self._misplaced((activation,)).get(activation)
            if place is None or self._is_leaving:
                continue
            if not activation.is_quiet() and self._busy[activation.tenant_id] < BUSY_LOOKS_MAX:
                self._busy[activation.tenant_id] += 1
                asyncio.get_running_loop().call_later(BUSY_PAUSE_S, self._changed.set)
                continue
            if await self._is_reached(place):
                del self._busy[activation.tenant_id]
                await self._hand_over(activation, place)
        if not self._nodes.is_draining() or self._is_leaving:
            self._said_empty = False
        elif not self._is_leaving and not self._said_empty and not self._misplaced():
            self._said_empty = True
            left = sum(activation.present is not None for activation in self._activations())
            if left:
                _log.warning("this node drains, but no other node can take its tenants", tenants=left)
            else:
                _log.info("this node drains and owns nothing any more; it can be stopped")

    def _misplaced(self, among: Collection[Activation] | None = None) -> dict[Activation, Place]:
        """Tenants decided here that belong to another node, with that."""
        found = {}
        is_draining = self._nodes.is_draining()
        for activation in list(self._activations() if among is None else among):
            if activation.present is not None:
                place = self._nodes.place(activation.tenant_id)
                if place is not None and (is_draining or place.age_s >= SETTLED_S):
                    found[activation] = place
        return found

    async def _is_reached(self, place: Place) -> bool:
        try:
            await self._connect.reach(place.link_address)
        except Unavailable as error:
            _log.warning("tenants stay here, since the node that they belong to cannot be reached", reason=str(error))
            return False
        return True

    async def _hand_over(self, activation: Activation, place: Place) -> None:
        loop = asyncio.get_running_loop()
        began_at_s = loop.time()
        try:
            await activation.hand_over(place)
        except Unavailable as error:
            _log.warning("a tenant was not handed over", tenant=activation.tenant_id, reason=str(error))
        else:
            _log.info(
                "a tenant was handed over",
                tenant=activation.tenant_id,
                link=place.link_address,
                ms=round(1e3 * (loop.time() - began_at_s), 1),
            )
            self._note_nodes()

    async def leave(self) -> None:
        """A planned stop: everything goes where it belongs without this node, as far as somebody can be reached."""
        self._is_leaving = True
        try:
            async with asyncio.timeout(STOP_S):
                await self._nodes.step_down()
                turns = asyncio.Semaphore(STOP_AT_ONCE_MAX)

                async def leave(activation: Activation, place: Place) -> None:
                    async with turns:
                        if await self._is_reached(place):
                            await self._hand_over(activation, place)

                await asyncio.gather(*(leave(*moving) for moving in self._misplaced().items()))
        except (Unavailable, TimeoutError) as error:
            _log.warning("not every tenant was handed over before the stop", reason=str(error) or "it took too long")
