"""Books of what lets a run come to be: which run holds which idempotency key, and which runs an event starts.

Kept from committed rows alone, like `books.py`. Expressions are computed in Python; the core is never asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from broadaxe.core.claims import digest_of
from broadaxe.core.decision import EventRow, NewRun, Writes
from broadaxe.core.definition import ClaimMethod
from broadaxe.core.lifecycle import TERMINAL_RUN
from broadaxe.errors import IdempotencyCollision
from tests.simulation.chances import Payload, string_of
from tests.simulation.tables import Tables

FILTERS: Final[Mapping[str, Callable[[Payload, Payload], bool]]] = {
    "true": lambda _, __: True,
    "": lambda _, __: False,
    "input.k == payload.k": lambda i, p: bool(i["k"] == p["k"]),
    "input.n > 1": lambda i, _: bool(i["n"] > 1),
    "input.nowhere": lambda i, _: bool(i["nowhere"]),
}


class TriggerBooks:
    def __init__(self, tables: Tables, hold: Callable[..., None]) -> None:
        self.tables = tables
        self.hold = hold
        self.holders: dict[str, tuple[str, int, ClaimMethod]] = {}
        """Key -> (run that claimed it last, until when, how)."""
        self.let_go: set[str] = set()
        """Runs that have ended at some time, and with that let go of a key they held by STATUS."""
        self.let_go_before: set[str] = set()
        """Those of them that had ended before the present round."""
        self.before: dict[str, set[str]] = {}
        """Key -> runs that held it when the present round began, or have claimed it in it."""

    def observe(self, writes: Writes, now_us: int, replayed: set[str]) -> None:
        """`replayed` are runs that a replay of this round was accepted for: they may have ended just before it."""
        ended = {run.id for run in writes.runs if run.status in TERMINAL_RUN}
        ended |= {new.row.id for new in writes.new_runs if new.state.status in TERMINAL_RUN}
        self.let_go_before = {
            run_id
            for run_id, _, method in self.holders.values()
            if method is ClaimMethod.STATUS and run_id in self.let_go
        }
        self.let_go |= ended | {run_id for run_id in replayed if not self._is_kept(run_id)}
        self.before = {}
        for new_run in writes.new_runs:
            self._check_claim(new_run, now_us)
        self._check_claims_kept(now_us)
        if not (writes.workflows or writes.versions or writes.filters or writes.deleted_filters):
            for event in writes.events:
                self._check_event(event)

    def check_collision(self, collision: IdempotencyCollision, now_us: int) -> None:
        """A refusal names a run that holds its key, or has let go of it in this very round."""
        self.hold(bool(collision.collisions), "a collision without a collision")
        for existing, colliding in collision.collisions:
            self.hold(colliding not in self.tables.runs, "a run was made and refused", colliding)
            key = self.tables.run_rows[existing].idempotency_key
            self.hold(key is not None, "refused for a run without a key", existing)
            assert key is not None
            run_id, until_us, _ = self.holders[key]
            lately = self.before.get(key, set()) | {run_id}
            self.hold(existing in lately, "refused for a run that holds nothing", existing, key)
            self.hold(existing != run_id or until_us > now_us, "refused after its time", existing, key)
            self.hold(existing not in self.let_go_before, "refused for a run that had ended", existing, key)

    def _is_kept(self, run_id: str) -> bool:
        """Whether the tables still have the run's claim."""
        key = self.tables.run_rows[run_id].idempotency_key
        claim = None if key is None else self.tables.claims.get(digest_of(key))
        return claim is not None and claim.run_id == run_id

    def _check_claim(self, new_run: NewRun, now_us: int) -> None:
        row = new_run.row
        rule = self.tables.versions[row.version_id].definition.idempotency
        if rule is None:
            self.hold(row.idempotency_key is None, "a key without a rule", row.id)
            return
        run_input: Payload = msgspec.json.decode(new_run.input, type=dict[str, Any])
        metadata: Payload = msgspec.json.decode(row.additional_metadata or "{}", type=dict[str, Any])
        key = string_of(rule.expression, run_input, metadata)
        self.hold(key is not None and key == row.idempotency_key, "a run with another key", row.id, key)
        assert key is not None
        known = self.holders.get(key)
        if known is not None:
            holder, until_us, method = known
            is_free = until_us <= now_us or (method is ClaimMethod.STATUS and holder in self.let_go)
            self.hold(is_free, "two runs for one key:", key, holder, row.id, method)
            self.before.setdefault(key, set()).add(holder)
        self.holders[key] = row.id, now_us + rule.ttl_us, rule.method

    def _check_claims_kept(self, now_us: int) -> None:
        """Claims in force are in the tables, and only those, give or take the sweep."""
        kept = dict(self.tables.claims)
        for key, (run_id, until_us, method) in self.holders.items():
            claim = kept.pop(digest_of(key), None)
            is_over = method is ClaimMethod.STATUS and run_id in self.let_go
            if until_us > now_us and not is_over:
                self.hold(claim is not None and claim.run_id == run_id, "a claim is lost", key, run_id)
            elif claim is not None:
                self.hold(claim.run_id == run_id and not is_over, "a claim stands that is over", key, run_id)
        self.hold(not kept, "claims of nobody", kept)

    def _check_event(self, event: EventRow) -> None:
        """The runs of an event are those the table of `core/filters.py` gives; keys that collide may leave some out."""
        run_input: Payload = msgspec.json.decode(event.payload, type=dict[str, Any])
        started = Counter(
            (row.workflow_id, row.filter_id, row.filter_payload)
            for row in self.tables.run_rows.values()
            if row.triggering_event_id == event.id
        )
        expected: Counter[tuple[str, str | None, str | None]] = Counter()
        may_be_fewer: set[str] = set()
        for workflow in self.tables.workflows.values():
            if workflow.deleted_at_us is not None:
                continue
            versions = [row for row in self.tables.versions.values() if row.workflow_id == workflow.id]
            definition = max(versions, key=lambda row: row.ordinal).definition
            if definition.idempotency is not None:
                may_be_fewer.add(workflow.id)
            own = [row for row in self.tables.filters.values() if row.workflow_id == workflow.id]
            chosen: list[tuple[str | None, str | None]] = [(None, None)]
            if own:
                chosen = [
                    (row.id, row.payload)
                    for row in own
                    if row.scope == event.scope and _says(row.expression, run_input, row.payload)
                ]
            matches = sum(fnmatchcase(event.key, pattern) for pattern in definition.event_triggers)
            for pair in chosen:
                expected[workflow.id, *pair] += matches
        expected = +expected
        for place in {*started, *expected}:
            is_right = started[place] == expected[place]
            if place[0] in may_be_fewer:
                is_right = started[place] <= expected[place]
            self.hold(is_right, "an event started", started[place], "runs instead of", expected[place], place, event)


def _says(expression: str, run_input: Payload, payload: str) -> bool:
    try:
        return FILTERS[expression](run_input, msgspec.json.decode(payload))
    except KeyError:
        return False
