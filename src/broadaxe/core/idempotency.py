"""Idempotency keys: a workflow says with an expression what makes two of its triggers the same.

The run that comes first claims the key; while the claim stands no other run of the tenant with that key comes to be,
whatever its workflow and however it was triggered. A claim of a TTL rule stands until its time is over; one of a STATUS
rule until its run has ended, its time being the longest it may stand. A replayed run does not claim again.

Owns what a key may be, claiming, releasing and expiry. Refuses to know triggers: `triggers.py` asks `claim` in the
decision that makes the run, so claim and run are one commit, and two equal keys in one round cannot both win.

Invariants: a claim past its time counts for nothing, whether or not it has been swept; a run releases only its own
claim; one alarm of the tenant's heap stands for all claims.

Cost: claiming and releasing are O(1); expiry is O(1) per claim, in sweeps of at most `SWEPT_AT_ONCE_MAX`, each of which
is one round of the journal. What a claim takes in memory is in `claims.py`.

Source: semantics 5.9.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from broadaxe.core.claims import digest_of, expires_at_us, pack, run_id_of
from broadaxe.core.definition import ClaimMethod, IdempotencyRule
from broadaxe.core.durations import US_PER_MS, US_PER_S
from broadaxe.core.expressions import Environment, Failure, evaluate_string, variables_of
from broadaxe.core.model import Run
from broadaxe.core.state import State
from broadaxe.core.timers import AlarmKind

#: Keys that begin like this are the engine's own.
RESERVED_PREFIX: Final = "broadaxe__"
#: Claims of a tenant at a time.
CLAIMS_MAX: Final = 5_000_000
#: Claims that end in one sweep; what is left follows a moment later.
SWEPT_AT_ONCE_MAX: Final = 10_000
_SWEEP_PAUSE_US: Final = 20 * US_PER_MS


def key_of(rule: IdempotencyRule, run_input: str, metadata: str | None) -> str | Failure:
    """The key a trigger with this input and metadata has."""
    variables = variables_of(run_input, metadata)
    if isinstance(variables, Failure):
        return variables
    key = evaluate_string(rule.expression, Environment.IDEMPOTENCY, variables)
    if isinstance(key, Failure):
        return key
    if not key:
        return Failure(f"the idempotency expression {rule.expression!r} gives an empty key")
    if key.startswith(RESERVED_PREFIX):
        return Failure(f"idempotency keys that begin with {RESERVED_PREFIX} are reserved")
    return key


def is_full(state: State) -> bool:
    return len(state.claims) >= CLAIMS_MAX


def claim(state: State, rule: IdempotencyRule, key: str, run_id: str, now_us: int) -> str | None:
    """Claims the key for the run; if another run holds it, that run's id instead."""
    digest = digest_of(key)
    held = state.claims.get(digest)
    if held is not None and expires_at_us(held) > now_us:
        return run_id_of(held)
    packed = pack(run_id, now_us + rule.ttl_us)
    state.claims.put(digest, packed)
    state.ledger.touch_claim(digest, packed)
    _arm(state)
    return None


def release(state: State, run: Run) -> None:
    """The run has ended; a STATUS claim it still holds ends with it."""
    rule, key = run.version.definition.idempotency, run.row.idempotency_key
    if rule is None or key is None or rule.method is not ClaimMethod.STATUS:
        return
    digest = digest_of(key)
    held = state.claims.get(digest)
    if held is not None and run_id_of(held) == run.id:
        state.claims.drop(digest)
        state.ledger.touch_claim(digest, None)


def sweep(state: State, now_us: int) -> None:
    """Forgets claims whose time is over."""
    state.claims.sweep_at_us = None
    ended = state.claims.pop_expired(now_us, SWEPT_AT_ONCE_MAX)
    for digest in ended:
        state.ledger.touch_claim(digest, None)
    _arm(state, not_before_us=now_us + _SWEEP_PAUSE_US)


def adopt(state: State, claims: Mapping[bytes, bytes]) -> None:
    """Takes in what was read from the tables: packed claims by the digest of their key."""
    for digest, packed in claims.items():
        state.claims.put(digest, packed)
    _arm(state)


def _arm(state: State, not_before_us: int = 0) -> None:
    claims = state.claims
    second = claims.next_second()
    if second is None:
        return
    at_us = max(second * US_PER_S, not_before_us)
    if claims.sweep_at_us is None or at_us < claims.sweep_at_us:
        if claims.sweep_at_us is not None:
            state.timers.disarm()
        claims.sweep_at_us = at_us
        state.timers.arm(at_us, AlarmKind.CLAIMS_EXPIRE, claims)
