"""The workers of one action: whose turn it is, and who may have room.

Workers take turns: the one after the worker that was given a task last is looked at first. One that cannot take a task
with certain slots, or a durable one, rests: it is not looked at again for such tasks until something about it changes,
a slot that becomes free, a heartbeat, a stream, the end of a pause. Whoever changes a worker so that it may take more
calls `wake`. So a fleet of a thousand busy workers costs nothing beside the one that has room.

Invariant: a worker that is neither resting nor here can take nothing; one that rests could not when it was looked at.

Cost: finding a worker is O(log workers) for each one looked at, and every fruitless look is paid for by a change of
that worker; adding and removing one is O(rooms), amortised.

Source: semantics 2.5, 2.7.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final, TypeAlias

from broadaxe.core.model import Worker

#: (slot type, units) of everything a task needs, sorted.
Slots: TypeAlias = tuple[tuple[str, int], ...]
#: What tasks need that a worker may lack: their slots, and whether they are durable.
RoomKey: TypeAlias = tuple[Slots, bool]

#: More kinds of needs than that are forgotten and found out again.
_ROOMS_MAX: Final = 64
_EMPTY_MIN: Final = 16


class Room:
    """The seats of workers that are not known to lack room for certain slots, in order."""

    __slots__ = ("seats",)

    def __init__(self, seats: list[int]) -> None:
        self.seats = seats


class Crew:
    """Iterating gives the workers in the order in which they came."""

    __slots__ = ("_next", "_rooms", "_seat_of", "_seats")

    def __init__(self) -> None:
        self._seats: list[Worker | None] = []
        self._seat_of: dict[str, int] = {}
        self._rooms: dict[RoomKey, Room] = {}
        self._next = 0

    def __iter__(self) -> Iterator[Worker]:
        return (worker for worker in self._seats if worker is not None)

    def add(self, worker: Worker) -> None:
        """Idempotent."""
        if worker.id in self._seat_of:
            return
        seat = self._seat_of[worker.id] = len(self._seats)
        self._seats.append(worker)
        for room in self._rooms.values():
            room.seats.append(seat)

    def remove(self, worker: Worker) -> None:
        """The worker is gone for good. Idempotent."""
        seat = self._seat_of.pop(worker.id, None)
        if seat is None:
            return
        worker.resting.clear()
        self._seats[seat] = None
        for room in self._rooms.values():
            _remove(room.seats, seat)
        if len(self._seats) > _EMPTY_MIN and len(self._seats) > 2 * len(self._seat_of):
            self._close_ranks()

    def find(self, worker_id: str) -> Worker | None:
        seat = self._seat_of.get(worker_id)
        return None if seat is None else self._seats[seat]

    def in_turn(self, needs: RoomKey) -> Iterator[Worker]:
        """Workers that may have room, the one in turn first. Whoever turns out to have none is to `rest`."""
        seats = self._room(needs).seats
        start = seat = self._next
        has_turned = False
        while True:
            index = bisect_left(seats, seat)
            if index == len(seats) or (has_turned and seats[index] >= start):
                if has_turned:
                    return
                has_turned, seat = True, 0
                continue
            found = seats[index]
            worker = self._seats[found]
            assert worker is not None
            yield worker
            seat = found + 1

    def rest(self, worker: Worker, needs: RoomKey) -> None:
        """The worker cannot take a task with these needs until it is woken."""
        room = self._room(needs)
        seat = self._seat_of[worker.id]
        _remove(room.seats, seat)
        worker.resting.append((room, seat))

    def had_its_turn(self, worker: Worker) -> None:
        self._next = self._seat_of[worker.id] + 1

    def _room(self, needs: RoomKey) -> Room:
        room = self._rooms.get(needs)
        if room is None:
            if len(self._rooms) >= _ROOMS_MAX:
                self._rooms.clear()
            seats = [seat for seat, worker in enumerate(self._seats) if worker is not None]
            room = self._rooms[needs] = Room(seats)
        return room

    def _close_ranks(self) -> None:
        """Seats that were left are no more. Who rests is found out again: rooms begin anew."""
        before = sum(worker is not None for worker in self._seats[: self._next])
        self._seats = list(self)
        self._seat_of = {worker.id: seat for seat, worker in enumerate(self)}
        self._rooms = {}
        self._next = before


def wake(worker: Worker) -> None:
    """The worker may have room again, wherever it rests. A room that is no more does not mind."""
    for room, seat in worker.resting:
        insort(room.seats, seat)
    worker.resting.clear()


def _remove(seats: list[int], seat: int) -> None:
    index = bisect_left(seats, seat)
    if index < len(seats) and seats[index] == seat:
        del seats[index]
