"""A task as Celery's programs define and call it, run by the engine as one of its own.

Each is a standalone task of the SDK of the same name, whose input is {"args": [...], "kwargs": {...}} and whose output
is {"result": ...}. What else a call carries (its id, how often it was tried, when it expires) is metadata of its run.

Trying again. What the definition alone says (`autoretry_for` and `self.retry()` with the task's own delay) is left to
the engine: one run with several attempts. `self.retry` with a delay or arguments of its own schedules another run, of
the same call, and ends the present one with a note of where it goes on.
"""

from __future__ import annotations

import inspect
import json
import random
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import uuid4

from hatchet_sdk import Context, NonRetryableException, Priority, RateLimit, RateLimitDuration
from pydantic import BaseModel

from broadaxe_worker.celery.exceptions import (
    MaxRetriesExceededError,
    NotPossible,
    Retry,
    TaskRevokedError,
    instant,
)
from broadaxe_worker.celery.results import (
    CALL,
    CALL_ID,
    FAILURE,
    RETRY,
    REVOKED,
    SUCCESS,
    AsyncResult,
    EagerResult,
    inside,
)

if TYPE_CHECKING:
    from hatchet_sdk.runnables.workflow import Standalone

    from broadaxe_worker.celery.app import Celery
    from broadaxe_worker.celery.canvas import Signature

__all__ = ["Call", "Request", "Task"]

#: Celery waits in its queue, and lets tasks run, for ever.
_FOR_EVER: Final = timedelta(days=365)
_RETRIES_MAX: Final = 1_000_000
_BACKOFF_S_MAX: Final = 86_400
_RATE_UNITS: Final = {"s": "SECOND", "m": "MINUTE", "h": "HOUR"}
#: What Celery lets a task say that changes nothing here: it is so anyway, or is about its broker and result store.
_WITHOUT_EFFECT: Final = frozenset({"ignore_result", "track_started", "store_errors_even_if_ignored", "typing"})
_NOT_POSSIBLE: Final = {
    "soft_time_limit": "a thread cannot be interrupted; give time_limit, and look at self.context.is_cancelled",
    "trail": "results know no parents",
    "compression": "payloads are not compressed",
    "Strategy": "there is no strategy to replace",
    "request_stack": "self.request is made for each attempt",
}
_CALL_NOT_POSSIBLE: Final = {
    "link": "write chain(task, the other)",
    "link_error": "catch the error in the task, or in its on_failure",
    "shadow": "a run has the name of its task",
    "exchange": "there is no exchange; name a queue",
    "routing_key": "there is no routing key; name a queue",
    "delivery_mode": "every call is kept until it is done",
    "soft_time_limit": "a thread cannot be interrupted",
    "time_limit": "it is set with the task",
    "group_id": "groups make it",
    "chord": "write chord(parts, body)",
}
_CALL_WITHOUT_EFFECT: Final = frozenset(
    {"retry", "retry_policy", "connection", "producer", "ignore_result", "compression", "add_to_parent", "headers"}
)


class Call(BaseModel):
    """The input of a run."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


@dataclass(slots=True)
class Request:
    """What a task may know of the call it was made for: `self.request`."""

    id: str = ""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    retries: int = 0
    is_eager: bool = False
    called_directly: bool = True
    expires: str | None = None
    hostname: str = ""
    delivery_info: Mapping[str, Any] = field(default_factory=dict)
    root_id: str = ""
    parent_id: str | None = None

    @property
    def task_id(self) -> str:
        return self.id


_request: ContextVar[Request | None] = ContextVar("request", default=None)
_context: ContextVar[Any] = ContextVar("context", default=None)
#: How often this attempt has made which call.
_calls: ContextVar[Counter[str] | None] = ContextVar("calls", default=None)


class Task:
    """What `@app.task` makes of a function. Classes derived from it may have the hooks, and are given as `base=`."""

    app: Celery
    name: str = ""
    bind: bool = False
    max_retries: int | None = 3
    default_retry_delay: float = 180
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_backoff: bool | int | float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    retry_kwargs: Mapping[str, Any] = {}
    throws: tuple[type[BaseException], ...] = ()
    rate_limit: str | int | None = None
    time_limit: float | None = None
    acks_late: bool = True
    expires: float | datetime | None = None
    queue: str | None = None
    priority: int | None = None
    serializer: str = "json"
    abstract: bool = True

    def __init__(self, function: Callable[..., Any], app: Celery | None, name: str, options: Mapping[str, Any]) -> None:
        if app is not None:
            self.app = app
        self._function = function
        self._standalone: Standalone[Call, Any] | None = None
        self.name = name
        self.__name__ = getattr(function, "__name__", name)
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__
        self.__wrapped__ = function
        for option, value in options.items():
            self._set(option, value)
        self._check()

    # Defining -------------------------------------------------------------------------------------------------------

    def _set(self, option: str, value: Any) -> None:
        if option in _WITHOUT_EFFECT:
            return
        if option in _NOT_POSSIBLE:
            raise NotPossible(f"task {self.name}: {option} is not possible: {_NOT_POSSIBLE[option]}")
        if option not in Task.__annotations__ and not hasattr(type(self), option):
            raise NotPossible(f"task {self.name}: there is no option {option}")
        setattr(self, option, value)

    def _check(self) -> None:
        at = f"task {self.name}"
        if inspect.iscoroutinefunction(self._function):
            raise NotPossible(f"{at}: an async def is no task of Celery's; declare it with @hatchet.task()")
        if self.serializer != "json":
            raise NotPossible(f"{at}: serializer={self.serializer!r} is not possible: arguments and results are JSON")
        if not self.acks_late:
            raise NotPossible(f"{at}: acks_late=False is not possible: a task is done when it has ended, not before")
        if self.max_retries is not None and not 0 <= self.max_retries <= _RETRIES_MAX:
            raise NotPossible(f"{at}: max_retries must be from 0 to {_RETRIES_MAX}, or None")
        for option in ("default_retry_delay", "retry_backoff_max"):
            if not 0 <= getattr(self, option) <= _BACKOFF_S_MAX:
                raise NotPossible(f"{at}: {option} must be from 0 to {_BACKOFF_S_MAX} seconds")
        if self.time_limit is not None and self.time_limit <= 0:
            raise NotPossible(f"{at}: time_limit must be more than 0 seconds")
        strange = set(self.retry_kwargs) - {"max_retries", "countdown"}
        if strange:
            raise NotPossible(f"{at}: retry_kwargs may have max_retries and countdown, not {min(strange)}")
        self._priority(self.priority)
        self._rate()

    def _priority(self, given: int | None) -> Any:
        """Celery's ten, of which the highest is the most urgent, are three here."""
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int) or not 0 <= given <= 9:
            raise NotPossible(f"task {self.name}: priority must be from 0 to 9, not {given!r}")
        return Priority(1 if given <= 3 else 2 if given <= 6 else 3)

    def _rate(self) -> list[Any]:
        """One limit for all workers together."""
        if self.rate_limit is None:
            return []
        count, _, unit = str(self.rate_limit).partition("/")
        if not count.isdecimal() or not 0 < int(count) < 2**31 or (unit or "s") not in _RATE_UNITS:
            raise NotPossible(
                f"task {self.name}: rate_limit={self.rate_limit!r} is none; "
                "write a whole number, or one with /s, /m or /h"
            )
        duration = RateLimitDuration(_RATE_UNITS[unit or "s"])
        return [RateLimit(dynamic_key=json.dumps(self.name), units=1, limit=int(count), duration=duration)]

    @property
    def _may_retry(self) -> bool:
        return self.bind or bool(self.autoretry_for)

    def _limit(self) -> int | None:
        limit: int | None = self.retry_kwargs.get("max_retries", self.max_retries)
        return limit

    def _delay_s(self) -> float:
        """Between two attempts, if nobody says otherwise."""
        delay: float = self.retry_kwargs.get("countdown", self.default_retry_delay)
        return delay

    def _retries(self) -> dict[str, Any]:
        """For the SDK: as many, and as far apart, as the definition says. What is not a whole number of seconds from 1
        to 1000, or not always the same, is told each time instead (`_is_plain`); so is everything where there is a time
        limit, because who exceeds that is not tried again."""
        if not self._may_retry or self.time_limit is not None:
            return {}
        limit = self._limit()
        retries = _RETRIES_MAX if limit is None else limit
        if self._delay_s() == 0:
            return {"retries": retries}
        delay_s = int(min(max(self._delay_s(), 1), 1000))
        return {"retries": retries, "backoff_factor": float(delay_s), "backoff_max_seconds": delay_s}

    def _is_plain(self, countdown_s: float) -> bool:
        delay_s = self._delay_s()
        return (
            self.time_limit is None
            and countdown_s == delay_s
            and (delay_s == 0 or (1 <= delay_s <= 1000 and delay_s == int(delay_s)))
        )

    def standalone(self) -> Standalone[Call, Any]:
        """The task of the SDK that this one is for the engine."""
        if self._standalone is None:

            def run(input: Call, ctx: Context) -> dict[str, Any]:
                return self._attempt(input, ctx)

            self._standalone = self.app.hatchet.task(
                name=self.name,
                description=(self.__doc__ or "").strip() or None,
                input_validator=Call,
                schedule_timeout=_FOR_EVER,
                execution_timeout=_FOR_EVER if self.time_limit is None else timedelta(seconds=self.time_limit),
                rate_limits=self._rate(),
                desired_worker_labels=self.app.label_for(self.own_queue()),
                **({} if self.priority is None else {"default_priority": self._priority(self.priority)}),
                **self._retries(),
            )(run)
        return self._standalone

    def own_queue(self) -> str:
        return self.queue or self.app.routed(self.name)

    # Running --------------------------------------------------------------------------------------------------------

    @property
    def request(self) -> Request:
        return _request.get() or Request()

    @property
    def context(self) -> Context:
        """The SDK's context of this attempt: log, stream, `is_cancelled`. RuntimeError where there is none."""
        found: Context | None = _context.get()
        if found is None:
            raise RuntimeError("there is a context only while a worker runs the task")
        return found

    def run(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*((self, *args) if self.bind else args), **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function, here and now."""
        return self.run(*args, **kwargs)

    def before_start(self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A hook."""

    def on_success(self, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """A hook."""

    def on_retry(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: str
    ) -> None:
        """A hook. `einfo` is the traceback's text."""

    def on_failure(
        self, exc: BaseException, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: str
    ) -> None:
        """A hook. `einfo` is the traceback's text."""

    def after_return(
        self, status: str, retval: Any, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], einfo: str | None
    ) -> None:
        """A hook."""

    def retry(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Tries the call again later: raises Retry (with `throw=False`, returns it to be raised). Raises `exc`, or
        MaxRetriesExceededError without one, when it was tried often enough."""
        if options:
            raise NotPossible(f"task {self.name}: retry({min(options)}=...) is not possible")
        request = self.request
        limit = self._limit() if max_retries is None else max_retries
        if limit is not None and request.retries >= limit:
            if exc is not None:
                raise exc
            raise MaxRetriesExceededError(
                f"Can't retry {self.name}[{request.id}] args:{tuple(request.args)} kwargs:{dict(request.kwargs)}"
            )
        if eta is not None:
            countdown = instant(eta) - self.app.now().timestamp()
        delay_s = max(self._delay_s() if countdown is None else countdown, 0.0)
        retry = Retry(
            exc,
            delay_s,
            tuple(request.args if args is None else args),
            dict(request.kwargs if kwargs is None else kwargs),
            limit=limit,
            is_plain=args is None and kwargs is None and max_retries is None and self._is_plain(delay_s),
        )
        if throw:
            raise retry from exc
        return retry

    def update_state(self, *_: Any, **__: Any) -> NoReturn:
        raise NotPossible(
            f"task {self.name}: update_state is not possible: tell of progress with self.context.put_stream(...)"
        )

    def _perform(self, request: Request) -> tuple[str, Any, str | None]:
        """One attempt: the state it leaves the call in, what it returned or raised (Retry: to be tried again), and its
        traceback. What hooks raise is raised."""
        args, kwargs = request.args, request.kwargs
        remembered, was_inside = _request.set(request), inside.set(not request.is_eager)
        einfo: str | None = None
        value: Any
        try:
            self.before_start(request.id, args, kwargs)
            try:
                state, value = SUCCESS, self.run(*args, **kwargs)
                if isinstance(value, Retry):
                    raise value
            except Exception as error:
                state, value, einfo = FAILURE, self._what_now(error), traceback.format_exc()
            if state == SUCCESS:
                self.on_success(value, request.id, args, kwargs)
            elif isinstance(value, Retry):
                state = RETRY
                self.on_retry(value.exc or value, request.id, args, kwargs, einfo or "")
            else:
                self.on_failure(value, request.id, args, kwargs, einfo or "")
            if state != RETRY:
                self.after_return(state, value, request.id, args, kwargs, einfo)
        finally:
            _request.reset(remembered)
            inside.reset(was_inside)
        return state, value, einfo

    def _what_now(self, error: Exception) -> BaseException:
        """Retry if the call is to be tried again, else what ended it."""
        if isinstance(error, Retry):
            return error
        if not self.autoretry_for or not isinstance(error, self.autoretry_for) or isinstance(error, self._never()):
            return error
        countdown = self.retry_kwargs.get("countdown")
        if self.retry_backoff:
            countdown = min(float(self.retry_backoff) * 2**self.request.retries, self.retry_backoff_max)
            if self.retry_jitter:
                countdown = random.randrange(int(countdown) + 1)
        try:
            return self.retry(exc=error, countdown=countdown, throw=False)
        except Exception as last:
            return last

    def _never(self) -> tuple[type[BaseException], ...]:
        return (*self.dont_autoretry_for, TaskRevokedError)

    def _attempt(self, call: Call, ctx: Context) -> dict[str, Any]:
        """What a worker does. The output of the run."""
        metadata = ctx.additional_metadata
        told = json.loads(str(metadata.get(CALL) or "{}"))
        request = Request(
            id=str(metadata.get(CALL_ID) or ctx.workflow_run_id),
            args=call.args,
            kwargs=call.kwargs,
            retries=told.get("retries", 0) + ctx.retry_count,
            called_directly=False,
            expires=told.get("expires"),
            hostname=ctx.worker_id,
            delivery_info={"routing_key": told.get("queue", self.own_queue())},
            root_id=str(metadata.get(CALL_ID) or ctx.workflow_run_id),
            parent_id=ctx.parent_workflow_run_id,
        )
        if request.expires is not None and self.app.now() > datetime.fromisoformat(request.expires):
            return {"revoked": "expired"}
        remembered, counted = _context.set(ctx), _calls.set(Counter())
        try:
            state, value, _ = self._perform(request)
        finally:
            _context.reset(remembered)
            _calls.reset(counted)
        if state == SUCCESS:
            return {"result": jsonable(value, f"what task {self.name} returned")}
        if state == RETRY:
            return self._again(request, value, told, ctx)
        raise self._for_good(value)

    def _for_good(self, error: BaseException) -> BaseException:
        """The engine would try a task with retries again, whatever it raised."""
        if not self._may_retry:
            return error
        # Of the same name, by which those who wait for it know it.
        final: Exception = type(type(error).__name__, (NonRetryableException,), {})(str(error))
        return final.with_traceback(error.__traceback__)

    def _again(self, request: Request, retry: Retry, told: dict[str, Any], ctx: Context) -> dict[str, Any]:
        if ctx.is_cancelled:
            # Revoked, or too late: the engine has decided what becomes of the call, and nothing follows this attempt.
            raise retry.exc or retry
        if retry.is_plain and not told.get("conducted") and self._may_retry:
            raise retry.exc or retry
        args, kwargs = encoded(self.name, retry.args_again, retry.kwargs_again)
        said = {
            "retries": request.retries + 1,
            "seconds": retry.countdown_s,
            "error": f"{type(retry.exc).__name__}: {retry.exc}" if retry.exc is not None else "",
        }
        if told.get("conducted"):
            # Whoever conducts waits, and begins the task again.
            return {"retry": said | {"args": args, "kwargs": kwargs}}
        at = self.app.now() + timedelta(seconds=retry.countdown_s)
        schedule_id = self._schedule(
            at, Call(args=args, kwargs=kwargs), request.id, told | {"retries": said["retries"]}
        )
        return {"retry": said | {"schedule_id": schedule_id}}

    def _schedule(self, at: datetime, call: Call, id: str, told: Mapping[str, Any], priority: Any = None) -> str:
        made = self.standalone().schedule(
            at, call, additional_metadata={CALL_ID: id, CALL: json.dumps(told)}, priority=priority
        )
        return str(made.scheduled_workflows[0].id)

    # Calling --------------------------------------------------------------------------------------------------------

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        task_id: str | None = None,
        countdown: float | None = None,
        eta: datetime | None = None,
        expires: float | datetime | None = None,
        queue: str | None = None,
        priority: int | None = None,
        serializer: str = "json",
        child_key: str | None = None,
        **options: Any,
    ) -> Any:
        """Starts the task somewhere: an AsyncResult. `countdown` and `eta` have the engine start it then. `child_key`:
        of several calls with the same key in one task, only the first counts (not Celery's)."""
        for option in options:
            if option in _CALL_NOT_POSSIBLE:
                raise NotPossible(f"task {self.name}: {option} is not possible: {_CALL_NOT_POSSIBLE[option]}")
            if option not in _CALL_WITHOUT_EFFECT:
                raise NotPossible(f"task {self.name}: apply_async has no option {option}")
        if serializer != "json":
            raise NotPossible(f"task {self.name}: serializer={serializer!r} is not possible: arguments are JSON")
        given = tuple(args or ()), dict(kwargs or {})
        if self.app.conf.task_always_eager:
            return self.apply(*given, task_id=task_id)
        sent_args, sent_kwargs = encoded(self.name, *given)
        call = Call(args=sent_args, kwargs=sent_kwargs)
        id = task_id or str(uuid4())
        told = self.told(queue=queue, expires=expires)
        urgency = self._priority(priority)
        if countdown is not None or eta is not None:
            if queue not in (None, self.own_queue()):
                raise NotPossible(
                    f"task {self.name}: a queue other than its own ({self.own_queue()}) is not possible together with "
                    "countdown or eta; give the task that queue"
                )
            at = instant(eta) if eta is not None else self.app.now().timestamp() + (countdown or 0.0)
            self._schedule(datetime.fromtimestamp(at, UTC), call, id, told, urgency)
            return AsyncResult(id, self.app)
        started = self.standalone().run(
            call,
            wait_for_result=False,
            additional_metadata={CALL_ID: id, CALL: json.dumps(told)},
            priority=urgency,
            desired_worker_labels=self.app.label_for(queue or self.own_queue()),
            child_key=child_key or self._child_key(call),
        )
        return AsyncResult(id, self.app, run_id=started.workflow_run_id)

    def _child_key(self, call: Call) -> str | None:
        """Within a task, by which an attempt that follows makes the same call once, and another one anew."""
        if (calls := _calls.get()) is None:
            return None
        digest = sha256(f"{self.name}\0{call.model_dump_json()}".encode()).hexdigest()[:32]
        calls[digest] += 1
        return f"{digest}-{calls[digest]}"

    def told(self, *, queue: str | None = None, expires: float | datetime | None = None) -> dict[str, Any]:
        """What a run has to know of the call beside its input."""
        ends = self.expires if expires is None else expires
        if isinstance(ends, int | float):
            ends = self.app.now() + timedelta(seconds=ends)
        said: dict[str, Any] = (
            {} if ends is None else {"expires": datetime.fromtimestamp(instant(ends), UTC).isoformat()}
        )
        return said if queue is None else said | {"queue": queue}

    def apply(
        self,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *,
        task_id: str | None = None,
        throw: bool | None = None,
        retries: int = 0,
        **_: Any,
    ) -> EagerResult:
        """Runs the task here, without an engine; a retry follows at once."""
        id = task_id or str(uuid4())
        request = Request(
            id=id, args=tuple(args or ()), kwargs=dict(kwargs or {}), retries=retries, called_directly=False, root_id=id
        )
        request.is_eager = True
        state, value, einfo = self._perform(request)
        while state == RETRY:
            request.args, request.kwargs, request.retries = value.args_again, value.kwargs_again, request.retries + 1
            state, value, einfo = self._perform(request)
        if state == FAILURE and (self.app.conf.task_eager_propagates if throw is None else throw):
            raise value
        return EagerResult(id, value, REVOKED if isinstance(value, TaskRevokedError) else state, einfo)

    def AsyncResult(self, id: str) -> AsyncResult:
        return AsyncResult(id, self.app)

    # Signatures -----------------------------------------------------------------------------------------------------

    def signature(
        self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, immutable: bool = False, **options: Any
    ) -> Signature:
        from broadaxe_worker.celery.canvas import Signature

        return Signature(self, args, kwargs or {}, immutable=immutable, options=options)

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs, immutable=True)

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"


def encoded(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """The arguments of a call, sure to arrive as they were sent."""
    return jsonable(list(args), f"the arguments of task {name}"), jsonable(
        dict(kwargs), f"the arguments of task {name}"
    )


def jsonable(value: Any, what: str) -> Any:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} must be JSON: {error}; send text or numbers instead") from None
    return value
