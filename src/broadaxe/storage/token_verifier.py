"""Who an API token speaks for: asked by every call, and about every open stream for as long as it is open.

Owns the verdicts that are known, the one question to the database that is under way, and the watch over open streams.
Refuses tokens that are unknown, expired or revoked, all with the same words.

**Asking.** However many calls want a verdict, one query is under way at a time; what is wanted meanwhile goes together
into the next.

**While the database is away** a verdict that it gave within the last `GRACE_S` goes on counting, never past the token's
own end: a worker whose report were refused would forget it. A call whose token nobody knows waits, up to `HOLD_S`, as
long as the engine would hold it. Away means that the last question failed, or that `PATIENCE_S` brought no answer.

**Open streams** are asked about together when something was revoked (`revocations.py`), where nobody hears of that once
every `WATCH_EVERY_S`, and not at all while there are none. A token that had no open stream is asked about soon, because
the verdict that let it in is not new. A stream whose token was revoked, deleted or has expired is told to end; all in
all within five seconds. The answer stands for calls with these tokens as well, which then ask only now and then, so
that the use is noted. While the database is away only expiry ends one.

Invariants: a verdict that is used without asking is at most `CACHE_TTL_S` old while the database answers (with an open
stream a turn of its watch and `WATCHED_SLACK_S`); a revocation that this process was told of (`forget`) counts at once
and is not overtaken by a question that was under way; at most `TOKENS_KNOWN_MAX` verdicts are known and at most as many
are wanted.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

import asyncpg
import msgspec
import structlog

from broadaxe.errors import Unauthenticated, Unavailable
from broadaxe.storage.accounts import Role
from broadaxe.storage.outage import OUTAGE, OUTAGE_MESSAGE
from broadaxe.storage.revocations import Revocations
from broadaxe.storage.statements import statement
from broadaxe.storage.tokens import TOKEN_LENGTH_MAX, TopicName, hash_of, topic_of

__all__ = ["TokenPrincipal", "TokenVerifier"]

CACHE_TTL_S: Final = 4.0
GRACE_S: Final = 3_600.0
HOLD_S: Final = 20.0
PATIENCE_S: Final = 1.0
WATCH_EVERY_S: Final = 4.0
WATCH_SOON_S: Final = 0.8
#: How long the question of a turn may be on its way.
WATCHED_SLACK_S: Final = 0.6
#: So long the watch may stand for a call's own question, which notes that the token is in use.
UNASKED_MAX_S: Final = 300.0
TOKENS_KNOWN_MAX: Final = 4_096
#: How long one question may take, the wait for a connection included, and when it is asked again after it failed.
QUESTION_TIMEOUT_S: Final = 5.0
ASK_AGAIN_AFTER_S: Final = 0.2

_log = structlog.get_logger(__name__)


class TokenPrincipal(msgspec.Struct, frozen=True):
    """Who a valid token speaks for."""

    tenant_id: str
    token_id: str
    expires_at: datetime
    role: Role
    topic: TopicName | None = None
    """All that it may read, if it is narrowed to one durable stream."""


class _Verdict:
    __slots__ = ("asked_at_s", "fresh_until_s", "given_at_s", "principal")

    def __init__(self, principal: TokenPrincipal, given_at_s: float) -> None:
        self.principal = principal
        self.asked_at_s = self.given_at_s = given_at_s
        self.fresh_until_s = given_at_s + CACHE_TTL_S


class _Watched:
    """The open streams of one token; `tells` are called when it has ended."""

    __slots__ = ("expires_at", "tells")

    def __init__(self, expires_at: datetime | None) -> None:
        self.expires_at = expires_at
        self.tells: dict[object, Callable[[], None]] = {}


class TokenVerifier:
    """See the module's text. `clock` counts seconds, `now` is the time of day that ends tokens."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        revocations: Revocations | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._now = now
        # Keyed by the token's text, so that the fast path hashes nothing: Python keeps a string's hash, and the text
        # is in the memory of this process anyway. Insertion order is age: a new verdict goes to the end.
        self._known: dict[str, _Verdict] = {}
        self._wanted: dict[str, asyncio.Future[TokenPrincipal | None]] = {}
        self._is_away = False
        self._asking: asyncio.Task[None] | None = None
        self._ended: set[str] = set()
        """Tokens whose end was told of since the question under way was asked."""
        self._watched: dict[str, _Watched] = {}
        self._revocations = revocations or Revocations()
        self._is_due = self._revocations.watcher()
        """Set when the open streams are to be looked at before their turn."""
        self._watching: asyncio.Task[None] | None = None

    def cached(self, token_text: str) -> TokenPrincipal | None:
        """The answer if it is known and fresh, else None; then ask `verify`."""
        verdict = self._known.get(token_text)
        if verdict is None or verdict.fresh_until_s <= self._clock():
            return None
        return verdict.principal

    async def verify(self, token_text: str) -> TokenPrincipal:
        """Raises Unauthenticated unless the token is valid, Unavailable if nobody can say."""
        known = self.cached(token_text)
        if known is not None:
            return known
        if not token_text.startswith("ey") or len(token_text) > TOKEN_LENGTH_MAX:
            raise Unauthenticated("the token is not valid")
        verdict = self._want(token_text)
        last = self._last_verdict(token_text)
        if verdict is not None and not (self._is_away and last is not None):
            # The future is shared by all who wait for it, so it must outlive the one of them that is called off.
            await asyncio.wait((verdict,), timeout=HOLD_S if last is None else PATIENCE_S)
            if verdict.done():
                principal = verdict.result()
                if principal is None:
                    raise Unauthenticated("the token is not valid")
                return principal
            # It may have been revoked in this process meanwhile.
            last = self._last_verdict(token_text)
        if last is None:
            raise Unavailable(OUTAGE_MESSAGE)
        return last

    def forget(self, token_id: str) -> None:
        """A token was revoked: drops what is known about it and ends its streams."""
        if self._asking is not None:
            self._ended.add(token_id)
        for text in [text for text, verdict in self._known.items() if verdict.principal.token_id == token_id]:
            del self._known[text]
        self._end_streams(token_id)

    def watch(self, token_id: str, expires_at: datetime | None, on_end: Callable[[], None]) -> Callable[[], None]:
        """Calls `on_end` once, within five seconds, when the token does not count any more.

        Returns what ends the watch; it may be called at any time and again.
        """
        watched = self._watched.get(token_id)
        if watched is None:
            watched = self._watched[token_id] = _Watched(expires_at)
            self._is_due.set()
        key = object()
        watched.tells[key] = on_end
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch_streams(), name="watch over tokens of open streams")

        def unwatch() -> None:
            watched.tells.pop(key, None)
            if not watched.tells and self._watched.get(token_id) is watched:
                del self._watched[token_id]

        return unwatch

    async def stop(self) -> None:
        tasks = [task for task in (self._asking, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._give_up(Unavailable("the engine is shutting down"))

    # Asking --------------------------------------------------------------------------------------------------------

    def _last_verdict(self, token_text: str) -> TokenPrincipal | None:
        """What counts while the database is away."""
        verdict = self._known.get(token_text)
        if verdict is None or verdict.given_at_s + GRACE_S <= self._clock():
            return None
        return verdict.principal if verdict.principal.expires_at > self._now() else None

    def _want(self, token_text: str) -> asyncio.Future[TokenPrincipal | None] | None:
        """The answer to come; None when too many are waited for already."""
        wanted = self._wanted.get(token_text)
        if wanted is None:
            if len(self._wanted) >= TOKENS_KNOWN_MAX:
                return None
            wanted = self._wanted[token_text] = asyncio.get_running_loop().create_future()
            if self._asking is None:
                self._asking = asyncio.create_task(self._ask(), name="verdicts on tokens")
        return wanted

    async def _ask(self) -> None:
        """Asks until nothing is wanted any more."""
        try:
            while self._wanted:
                asked = dict(self._wanted)
                self._ended.clear()
                try:
                    found = await self._question(asked)
                except OUTAGE as error:
                    self._went_away(error)
                    await asyncio.sleep(ASK_AGAIN_AFTER_S)
                else:
                    self._came_back()
                    for text, future in asked.items():
                        del self._wanted[text]
                        self._settle(text, future, found.get(hash_of(text)))
        except Exception as error:
            _log.exception("tokens could not be checked")
            self._give_up(error)
        finally:
            self._asking = None

    def _give_up(self, error: Exception) -> None:
        for future in self._wanted.values():
            future.set_exception(error)
            future.exception()  # Perhaps nobody waits any more, and that is no news.
        self._wanted.clear()

    async def _question(self, texts: Iterable[str]) -> dict[bytes, TokenPrincipal]:
        async with asyncio.timeout(QUESTION_TIMEOUT_S):
            rows = await self._pool.fetch(statement("tokens/verify"), [hash_of(text) for text in texts])
        return {
            row["token_hash"]: TokenPrincipal(
                str(row["tenant_id"]), str(row["id"]), row["expires_at"], Role(row["role"]), topic_of(row)
            )
            for row in rows
        }

    def _settle(
        self, text: str, future: asyncio.Future[TokenPrincipal | None], principal: TokenPrincipal | None
    ) -> None:
        self._known.pop(text, None)
        if principal is not None and principal.token_id in self._ended:
            principal = None
        if principal is not None:
            while len(self._known) >= TOKENS_KNOWN_MAX:
                del self._known[next(iter(self._known))]
            verdict = self._known[text] = _Verdict(principal, self._clock())
            life_left_s = (principal.expires_at - self._now()).total_seconds()
            verdict.fresh_until_s = verdict.given_at_s + min(CACHE_TTL_S, life_left_s)
        future.set_result(principal)

    def _went_away(self, error: BaseException) -> None:
        if not self._is_away:
            self._is_away = True
            _log.warning("tokens cannot be checked; those checked lately go on counting", error=str(error))

    def _came_back(self) -> None:
        if self._is_away:
            self._is_away = False
            _log.info("tokens can be checked again")

    # Open streams --------------------------------------------------------------------------------------------------

    async def _watch_streams(self) -> None:
        """One turn after the other until no stream is open."""
        try:
            pause_s = WATCH_EVERY_S
            while self._watched:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._is_due.wait()
                        await asyncio.sleep(WATCH_SOON_S)
                self._is_due.clear()
                pause_s = WATCH_EVERY_S
                try:
                    if await self._look_at_streams():
                        pause_s = self._pause_s()
                except Exception:
                    # Whatever it is: tokens that ended must not go on reading because of it.
                    _log.exception("the tokens of open streams could not be checked; trying again")
        finally:
            self._watching = None

    def _pause_s(self) -> float:
        """Until the next turn, or the next end of a token."""
        ends = [watched.expires_at for watched in self._watched.values() if watched.expires_at is not None]
        pause_s = self._revocations.pause_s(WATCH_EVERY_S)
        return min(pause_s, (min(ends) - self._now()).total_seconds()) if ends else pause_s

    async def _look_at_streams(self) -> bool:
        """False when nobody could tell."""
        now = self._now()
        for token_id, watched in list(self._watched.items()):
            if watched.expires_at is not None and watched.expires_at <= now:
                self._end_streams(token_id)
        asked = list(self._watched)
        if not asked:
            return True
        asked_at_s = self._clock()
        try:
            async with asyncio.timeout(QUESTION_TIMEOUT_S):
                rows = await self._pool.fetch(statement("tokens/still_valid"), asked)
        except OUTAGE as error:
            _log.debug("the tokens of open streams cannot be checked", error=str(error))
            return False
        valid = {str(row["id"]) for row in rows}
        turn_s = self._revocations.pause_s(WATCH_EVERY_S)
        for token_id in set(asked) - valid:
            self.forget(token_id)
        for verdict in self._known.values():
            # Who was forgotten while the question was under way is not known any more.
            if verdict.principal.token_id in valid and asked_at_s - verdict.asked_at_s < UNASKED_MAX_S:
                life_left_s = (verdict.principal.expires_at - now).total_seconds()
                verdict.given_at_s = asked_at_s
                verdict.fresh_until_s = asked_at_s + min(turn_s + WATCHED_SLACK_S, life_left_s)
        return True

    def _end_streams(self, token_id: str) -> None:
        watched = self._watched.pop(token_id, None)
        if watched is not None:
            for tell in list(watched.tells.values()):
                tell()
