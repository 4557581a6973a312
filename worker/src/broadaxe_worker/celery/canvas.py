"""Calls that are yet to be made, and how they follow each other: signatures, chains, groups and chords.

A signature is a call of one task. A group that is started starts its parts, and nobody waits for them. What has an
order, a chain or a chord, is conducted by one durable task for each application: it starts the parts as its children,
gives to each what the one before returned, and takes up where it was when its worker is lost. Its run has the result.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from hatchet_sdk import DurableContext, EvictionPolicy, FailedTaskRunExceptionGroup, TaskRunError
from pydantic import BaseModel

from broadaxe_worker.celery.exceptions import ChordError, NotPossible, TaskRevokedError, instant, rebuilt
from broadaxe_worker.celery.results import CALL, CALL_ID, FAILURE, AsyncResult, EagerResult, GroupResult
from broadaxe_worker.celery.task import Call, Task, encoded

if TYPE_CHECKING:
    from hatchet_sdk.runnables.workflow import Standalone

    from broadaxe_worker.celery.app import Celery

__all__ = ["Score", "Signature", "chain", "chord", "chunks", "conductor", "group"]

_FOR_EVER: Final = timedelta(days=365)
#: What a part of a chain or a chord may say of its call.
_OPTIONS: Final = frozenset({"countdown", "eta", "expires", "queue", "priority"})
_PARTS_MAX: Final = 10_000


class _Node(ABC):
    """Whatever can be started, and stand in a chain."""

    @property
    @abstractmethod
    def app(self) -> Celery:
        """Whose tasks these are."""

    @abstractmethod
    def notes(self) -> dict[str, Any]:
        """As JSON, for the conductor."""

    @abstractmethod
    def apply(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        """Here, without an engine."""

    def apply_async(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        if kwargs:
            raise NotPossible(f"a {type(self).__name__} takes no keyword arguments; give them to its tasks")
        if self.app.conf.task_always_eager:
            return self.apply(args)
        return self._conducted(list(args), options)

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def __or__(self, other: object) -> _Node:
        if not isinstance(other, _Node):
            return NotImplemented
        return chain(self, other)

    def _conducted(self, args: list[Any], options: Mapping[str, Any]) -> AsyncResult:
        id, options = options.get("task_id") or str(uuid4()), {k: v for k, v in options.items() if k != "task_id"}
        strange = set(options) - {"countdown", "eta"}
        if strange:
            raise NotPossible(f"a {type(self).__name__} has no option {min(strange)}; give it to its tasks")
        score = Score(play=self.notes(), args=encoded("a chain", args, {})[0])
        metadata = {CALL_ID: id, CALL: "{}"}
        conducts = self.app.conductor()
        if options:
            at = (
                datetime.fromtimestamp(instant(options["eta"]), UTC)
                if "eta" in options
                else self.app.now() + timedelta(seconds=options["countdown"])
            )
            conducts.schedule(at, score, additional_metadata=metadata)
            return AsyncResult(id, self.app)
        started = conducts.run(score, wait_for_result=False, additional_metadata=metadata)
        return AsyncResult(id, self.app, run_id=started.workflow_run_id)


class Signature(_Node):
    def __init__(
        self,
        task: Task,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        *,
        immutable: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.type = task
        self.task = task.name
        self.args = tuple(args)
        self.kwargs = dict(kwargs)
        self.immutable = immutable
        self.options = dict(options or {})

    @property
    def app(self) -> Celery:
        return self.type.app

    def __repr__(self) -> str:
        said = [repr(each) for each in self.args] + [f"{key}={value!r}" for key, value in self.kwargs.items()]
        return f"{self.task}({', '.join(said)})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.notes() == other.notes()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function, here and now."""
        whole = self.clone(args, kwargs)
        return self.type(*whole.args, **whole.kwargs)

    def clone(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Signature:
        """With arguments before its own, unless it is immutable."""
        more = not self.immutable
        return Signature(
            self.type,
            (*args, *self.args) if more else self.args,
            {**self.kwargs, **(kwargs or {})} if more else self.kwargs,
            immutable=self.immutable,
            options={**self.options, **options},
        )

    def set(self, immutable: bool | None = None, **options: Any) -> Signature:
        if immutable is not None:
            self.immutable = immutable
        self.options.update(options)
        return self

    def apply(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> EagerResult:
        whole = self.clone(args, kwargs)
        return self.type.apply(whole.args, whole.kwargs)

    def apply_async(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        whole = self.clone(args, kwargs, **options)
        return self.type.apply_async(whole.args, whole.kwargs, **whole.options)

    def notes(self) -> dict[str, Any]:
        strange = set(self.options) - _OPTIONS
        if strange:
            raise NotPossible(f"{self.task}: {min(strange)} is not possible within a chain or a chord")
        args, kwargs = encoded(self.task, self.args, self.kwargs)
        options = dict(self.options)
        if "eta" in options:
            options["eta"] = instant(options["eta"])
        if isinstance(options.get("expires"), datetime):
            raise NotPossible(f"{self.task}: expires as an instant is not possible within a chain; give seconds")
        noted: dict[str, Any] = {"task": self.task}
        for key, value in (("args", args), ("kwargs", kwargs), ("options", options), ("immutable", self.immutable)):
            if value:
                noted[key] = value
        return noted


class chain(_Node):
    """One after the other; each is given what the one before returned."""

    def __init__(self, *parts: Any) -> None:
        self.parts: list[_Node] = []
        for part in _flat(parts):
            # a | b | c is one chain of three.
            self.parts += part.parts if isinstance(part, chain) else [part]
        if not self.parts:
            raise NotPossible("a chain needs at least one task")

    @property
    def app(self) -> Celery:
        return self.parts[0].app

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.parts))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def notes(self) -> dict[str, Any]:
        return {"chain": [part.notes() for part in self.parts]}

    def apply(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        given, last = list(args), None
        for part in self.parts:
            last = part.apply(given)
            given = [last.get()]
        return last


class group(_Node):
    """All at once; a list of what they return."""

    def __init__(self, *parts: Any) -> None:
        self.tasks = _flat(parts)

    @property
    def app(self) -> Celery:
        if not self.tasks:
            raise NotPossible("a group without tasks is of no application")
        return self.tasks[0].app

    def __repr__(self) -> str:
        return f"group({self.tasks!r})"

    def __len__(self) -> int:
        return len(self.tasks)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def notes(self) -> dict[str, Any]:
        return {"group": [part.notes() for part in self.tasks]}

    def apply(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        return _Together([part.apply(args, kwargs) for part in self.tasks])

    def apply_async(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any) -> Any:
        return GroupResult([part.apply_async(args, kwargs, **options) for part in self.tasks])


class chord(_Node):
    """A group, and a task that is given the list of what it returned."""

    def __init__(self, header: Any, body: Any = None) -> None:
        self.header = header if isinstance(header, group) else group(header)
        self.body: _Node | None = None if body is None else _flat([body])[0]

    @property
    def app(self) -> Celery:
        if self.body is None:
            raise NotPossible("a chord needs a body: chord(parts)(body)")
        return self.body.app

    def __repr__(self) -> str:
        return f"chord({self.header!r}, {self.body!r})"

    def __call__(self, body: Any = None, **options: Any) -> Any:
        whole = self if body is None else chord(self.header, body)
        return whole.apply_async(**options)

    def notes(self) -> dict[str, Any]:
        return {"chain": self._parts()}

    def _parts(self) -> list[Any]:
        if self.body is None:
            raise NotPossible("a chord needs a body: chord(parts)(body)")
        return [self.header.notes() | {"chord": True}, self.body.notes()]

    def apply(self, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        self._parts()
        assert self.body is not None
        parts = self.header.apply(args)
        for part in parts:
            if not part.successful():
                error = _chord_error(part.id, part.result)
                if self.app.conf.task_eager_propagates:
                    raise error
                return EagerResult(str(uuid4()), error, FAILURE)
        return self.body.apply([parts.get()])


class _Together(GroupResult):
    """The parts of a group that ran here, which a chain may go on from."""

    id = ""

    @property
    def result(self) -> Any:
        return [each.result for each in self.results]


def chunks(task: Task, items: Iterable[Any], size: int) -> group:
    raise NotPossible("chunks is not possible: give each task a list of items")


def _flat(parts: Iterable[Any]) -> list[_Node]:
    """What was given as arguments, or as one list or generator of them."""
    found: list[_Node] = []
    given = list(parts)
    if len(given) == 1 and not isinstance(given[0], _Node) and isinstance(given[0], Iterable):
        given = list(given[0])
    for part in given:
        if not isinstance(part, _Node):
            hint = f"; write {part.__name__}.s(...)" if isinstance(part, Task) else ""
            raise NotPossible(f"{part!r} is no signature, chain, group or chord{hint}")
        found.append(part)
    if len(found) > _PARTS_MAX:
        raise NotPossible(f"{len(found)} parts are more than {_PARTS_MAX}; make several of them")
    return found


# Conducting ---------------------------------------------------------------------------------------------------------


class Score(BaseModel):
    """The input of the conductor: what to play, and what to begin it with."""

    play: dict[str, Any]
    args: list[Any] = []


def conductor(app: Celery) -> Standalone[Score, Any]:
    """The durable task that plays an application's chains and chords."""

    async def conduct(input: Score, ctx: DurableContext) -> dict[str, Any]:
        return {"result": await _play(app, input.play, input.args, ctx, ctx.workflow_run_id)}

    return app.hatchet.durable_task(
        name=f"{app.main}.canvas",
        description="Chains and chords: starts their tasks one after the other.",
        input_validator=Score,
        schedule_timeout=_FOR_EVER,
        execution_timeout=_FOR_EVER,
        eviction_policy=EvictionPolicy(ttl=timedelta(minutes=1)),
        desired_worker_labels=app.label_for(app.conf.task_default_queue),
    )(conduct)


async def _play(app: Celery, notes: Mapping[str, Any], given: list[Any], ctx: DurableContext, place: str) -> Any:
    """`place` is the run and the way to this part in it, the same after a loss of the worker."""
    if "chain" in notes:
        result: Any = None
        for number, part in enumerate(notes["chain"]):
            result = await _play(app, part, given, ctx, f"{place}-{number}")
            given = [result]
        return result
    if "group" in notes:
        # Each is one child, begun in this order whatever happens: what they consist of is conducted by the child.
        parts = [_begin(app, part, given, ctx, f"{place}-{number}") for number, part in enumerate(notes["group"])]
        ended = await asyncio.gather(*parts, return_exceptions=True)
        failed = [each for each in ended if isinstance(each, BaseException)]
        if failed:
            raise _chord_error("", failed[0]) if notes.get("chord") else failed[0]
        return list(ended)
    return await _call(app, notes, given, ctx, place)


async def _begin(app: Celery, notes: Mapping[str, Any], given: list[Any], ctx: DurableContext, place: str) -> Any:
    if "task" in notes:
        return await _call(app, notes, given, ctx, place)
    metadata = {CALL_ID: "", CALL: "{}"}
    try:
        output = await app.conductor().aio_run(Score(play=dict(notes), args=given), additional_metadata=metadata)
    except Exception as error:
        raise _of_child(error) from error
    return output["result"]


async def _call(app: Celery, notes: Mapping[str, Any], given: list[Any], ctx: DurableContext, id: str) -> Any:
    """One task, until it is not tried again. `id` is the call's."""
    task = app.task_named(notes["task"])
    immutable = notes.get("immutable", False)
    args = notes.get("args", []) if immutable else [*given, *notes.get("args", [])]
    call = Call(args=args, kwargs=notes.get("kwargs", {}))
    options = notes.get("options", {})
    if "countdown" in options:
        await ctx.aio_sleep_for(timedelta(seconds=options["countdown"]))
    if "eta" in options:
        left_s = options["eta"] - (await ctx.aio_now()).timestamp()
        if left_s > 0:
            await ctx.aio_sleep_for(timedelta(seconds=left_s))
    told = task.told(queue=options.get("queue")) | {"conducted": True}
    if "expires" in options:
        told["expires"] = (await ctx.aio_now() + timedelta(seconds=options["expires"])).isoformat()
    while True:
        try:
            output = await task.standalone().aio_run(
                call,
                additional_metadata={CALL_ID: id, CALL: json.dumps(told)},
                priority=task._priority(options.get("priority")),
                desired_worker_labels=app.label_for(options.get("queue") or task.own_queue()),
            )
        except Exception as error:
            raise _of_child(error) from error
        if "revoked" in output:
            raise TaskRevokedError(output["revoked"])
        again = output.get("retry")
        if again is None:
            return output.get("result")
        if again["seconds"] > 0:
            await ctx.aio_sleep_for(timedelta(seconds=again["seconds"]))
        call = Call(args=again["args"], kwargs=again["kwargs"])
        told = told | {"retries": again["retries"]}


def _of_child(error: Exception) -> BaseException:
    """What the child raised."""
    first = error.exceptions[0] if isinstance(error, FailedTaskRunExceptionGroup) and error.exceptions else error
    if isinstance(first, TaskRunError):
        return rebuilt(first.exc_type, first.exc)
    return error


def _chord_error(id: str, error: Any) -> ChordError:
    return ChordError(f"Dependency {id + ' ' if id else ''}raised {error!r}")
