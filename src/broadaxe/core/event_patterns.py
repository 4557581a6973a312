"""Which workflows an event's key starts: the patterns of all latest versions, found by the key and not one by one.

A pattern is a key in which ``*`` stands for any run of characters, the empty one included. One without a ``*`` is found
by the key itself. The others are kept by what stands before their first and after their last ``*``: the key's own
beginning and end of these lengths lead to them. What stands between two ``*`` is then looked for, if there is any.

Invariants: exactly the patterns of the latest versions of workflows that are not deleted are here, and what matches
comes in the order of the workflows' ids, the order in which a load brings them back.

Cost: an event costs O(length pairs of a beginning and an end that patterns have) look-ups, which are few when patterns
follow a custom, and O(what matches); only patterns of the form ``*x*``, which have neither, are compared one by one.
Putting or dropping a workflow costs O(its patterns).

Source: semantics 5.4.
"""

from __future__ import annotations

from typing import TypeAlias

from broadaxe.core.model import Workflow

_Listeners: TypeAlias = dict[Workflow, None]


class EventPatterns:
    """The event patterns of a tenant's workflows."""

    __slots__ = ("_exact", "_known", "_with_wildcards")

    def __init__(self) -> None:
        self._known: dict[Workflow, tuple[str, ...]] = {}
        self._exact: dict[str, _Listeners] = {}
        self._with_wildcards: dict[tuple[int, int], dict[tuple[str, str], dict[str, _Listeners]]] = {}
        """By the lengths of beginning and end, then by the two themselves, then by the pattern."""

    def put(self, workflow: Workflow) -> None:
        """The patterns of the workflow's latest version replace those it had; a deleted workflow has none."""
        version = workflow.latest
        wanted = () if version is None or workflow.deleted_at_us is not None else version.definition.event_triggers
        for pattern in self._known.pop(workflow, ()):
            self._drop(pattern, workflow)
        for pattern in wanted:
            self._listeners(pattern)[workflow] = None
        if wanted:
            self._known[workflow] = wanted

    def matching(self, key: str) -> list[tuple[Workflow, int]]:
        """Every workflow with a pattern that matches `key`, by id, with how many of its patterns do."""
        found = dict.fromkeys(self._exact.get(key, ()), 1)
        for (beginning, end), by_ends in self._with_wildcards.items():
            rest = len(key) - end
            if rest < beginning:
                continue
            for pattern, listeners in by_ends.get((key[:beginning], key[rest:]), {}).items():
                if _matches_between(pattern, key, beginning, rest):
                    for workflow in listeners:
                        found[workflow] = found.get(workflow, 0) + 1
        return sorted(found.items(), key=_id_of)

    def known(self) -> dict[str, tuple[str, ...]]:
        """What is here, by workflow id: for those who compare two memories."""
        return {workflow.id: patterns for workflow, patterns in self._known.items()}

    def _listeners(self, pattern: str) -> _Listeners:
        if "*" not in pattern:
            return self._exact.setdefault(pattern, {})
        ends = _ends(pattern)
        by_ends = self._with_wildcards.setdefault((len(ends[0]), len(ends[1])), {})
        return by_ends.setdefault(ends, {}).setdefault(pattern, {})

    def _drop(self, pattern: str, workflow: Workflow) -> None:
        """What is empty then is not kept."""
        listeners = self._listeners(pattern)
        del listeners[workflow]
        if listeners:
            return
        if "*" not in pattern:
            del self._exact[pattern]
            return
        ends = _ends(pattern)
        lengths = len(ends[0]), len(ends[1])
        by_ends = self._with_wildcards[lengths]
        del by_ends[ends][pattern]
        if not by_ends[ends]:
            del by_ends[ends]
            if not by_ends:
                del self._with_wildcards[lengths]


def _ends(pattern: str) -> tuple[str, str]:
    """What stands before the first ``*`` and after the last."""
    return pattern[: pattern.index("*")], pattern[pattern.rindex("*") + 1 :]


def _matches_between(pattern: str, key: str, position: int, end: int) -> bool:
    """Whether what stands between the stars of `pattern` comes in `key`, in order, from `position` up to `end`."""
    for part in pattern.split("*")[1:-1]:
        found = key.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _id_of(found: tuple[Workflow, int]) -> str:
    return found[0].id
