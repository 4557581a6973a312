"""Who is to be asked when an event is pushed, without asking everybody who waits for its key.

An *interest* is what a waiter wants of an event: its key, perhaps its scope, and an expression over its payload. Many
tasks wait for one key and each for an event about its own subject: `input.order_id == 'o-17'`. An expression that
begins with such a comparison cannot be true of a payload with another value there, so waiters are found by the value.

`candidates` leaves out only waiters whose interest the event cannot meet; who is named may still have to say no.

Cost: adding and removing O(1); an event costs O(candidates + different fields that expressions of its key begin with).

Source: semantics 6.4, grpc specification 7.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Generic, TypeVar

import msgspec

from broadaxe.core.expressions import Environment, Failure, evaluate_bool, value_of

#: A comparison at the beginning that has to hold: nothing but `&&` follows it, on the same level or a deeper one.
_COMPARISON: Final = re.compile(
    r"\s*input((?:\.[A-Za-z_]\w*)+)\s*==\s*(?:'([^'\\\n]*)'|\"([^\"\\\n]*)\"|(-?\d{1,15}))\s*(?:&&[^|?]*)?"
)

Path = tuple[str, ...]
Subject = str | int | None
#: Where a waiter is found: key, scope, field and its value.
Place = tuple[str, str | None, Path, Subject]
WaiterT = TypeVar("WaiterT")


class Interest(msgspec.Struct, frozen=True, gc=False):
    """What a waiter wants of an event. `scope` None: any. An empty expression is true."""

    key: str
    scope: str | None
    expression: str


class Shown:
    """A pushed event as waiters see it: parsed when the first one asks, each expression evaluated once."""

    __slots__ = ("_answers", "_value", "key", "payload", "scope")

    def __init__(self, key: str, scope: str | None, payload: str) -> None:
        self.key = key
        self.scope = scope
        self.payload = payload
        """JSON."""
        self._value: object | Failure | None = None
        self._answers: dict[str, bool] = {}

    def meets(self, key: str, scope: str | None, expression: str) -> bool:
        """Whether this is an event somebody wants."""
        if key != self.key or (scope is not None and scope != self.scope):
            return False
        return not expression.strip() or self._is_true(expression)

    def at(self, path: Path) -> object:
        """The value the payload has there, None without one."""
        value = self._payload()
        for name in path:
            if not isinstance(value, Mapping):
                return None
            value = value.get(name)
        return value

    def _is_true(self, expression: str) -> bool:
        answer = self._answers.get(expression)
        if answer is None:
            value = self._payload()
            answer = not isinstance(value, Failure) and (
                evaluate_bool(expression, Environment.CONDITION, {"input": value}) is True
            )
            self._answers[expression] = answer
        return answer

    def _payload(self) -> object | Failure:
        if self._value is None:
            self._value = value_of(self.payload)
        return self._value


class Interests(Generic[WaiterT]):
    """Waiters by what they want. A waiter may have several interests, and the same one only once."""

    __slots__ = ("_added", "_paths", "_waiters")

    def __init__(self) -> None:
        self._waiters: dict[Place, dict[WaiterT, int]] = {}
        """By key, scope, and the value of a field if the expression begins with one; how manieth it was added."""
        self._paths: dict[str, dict[Path, int]] = {}
        """The fields to look at in an event, by its key, and how many values of each are waited for."""
        self._added = 0

    def __bool__(self) -> bool:
        return bool(self._waiters)

    def add(self, waiter: WaiterT, interest: Interest) -> None:
        place = place_of(interest)
        path = place[2]
        waiters = self._waiters.get(place)
        if waiters is None:
            waiters = self._waiters[place] = {}
            paths = self._paths.setdefault(interest.key, {})
            paths[path] = paths.get(path, 0) + 1
        if waiter not in waiters:
            self._added += 1
            waiters[waiter] = self._added

    def remove(self, waiter: WaiterT, interest: Interest) -> None:
        """And every other interest of the waiter at the same place. Idempotent."""
        place = place_of(interest)
        path = place[2]
        waiters = self._waiters.get(place)
        if waiters is None or waiters.pop(waiter, None) is None or waiters:
            return
        del self._waiters[place]
        paths = self._paths[interest.key]
        paths[path] -= 1
        if not paths[path]:
            del paths[path]
            if not paths:
                del self._paths[interest.key]

    def candidates(self, event: Shown) -> list[WaiterT]:
        """Those who may want the event, each once, in the order they were added."""
        found = []
        for path in self._paths.get(event.key, ()):
            subject = event.at(path) if path else None
            if path and (not isinstance(subject, str | int | float) or isinstance(subject, bool)):
                continue
            for scope in (None,) if event.scope is None else (None, event.scope):
                # 5 and 5.0 are the same key of a dict, as they are the same number to an expression.
                waiters = self._waiters.get((event.key, scope, path, subject))  # type: ignore[arg-type]
                if waiters:
                    found.append(waiters)
        return _in_order(found)


def place_of(interest: Interest) -> Place:
    """Interests at the same place are found together: a waiter with several of them stands there once."""
    return interest.key, interest.scope, *_beginning(interest.expression)


def _in_order(found: Iterable[dict[WaiterT, int]]) -> list[WaiterT]:
    places: dict[WaiterT, int] = {}
    for waiters in found:
        for waiter, added in waiters.items():
            places[waiter] = min(added, places.get(waiter, added))
    return sorted(places, key=places.__getitem__)


def _beginning(expression: str) -> tuple[Path, Subject]:
    """The field the expression compares first and the value it must have; nothing if it begins otherwise."""
    match = _COMPARISON.fullmatch(expression)
    if match is None:
        return (), None
    path, single, double, number = match.groups()
    fields = tuple(path[1:].split("."))
    if number is not None:
        return fields, int(number)
    return fields, single if single is not None else double
