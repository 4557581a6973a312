"""The application: its settings, its tasks, what beat would have ticked, and the worker for all of it."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NoReturn
from zoneinfo import ZoneInfo

from hatchet_sdk import Context, DesiredWorkerLabel, EmptyModel, Hatchet

from broadaxe_worker.celery.canvas import Signature, conductor
from broadaxe_worker.celery.exceptions import NotPossible
from broadaxe_worker.celery.results import AsyncResult
from broadaxe_worker.celery.schedules import expression
from broadaxe_worker.celery.task import Task

if TYPE_CHECKING:
    from hatchet_sdk.runnables.workflow import Standalone

    from broadaxe_worker.worker import Worker

__all__ = ["Celery", "current_app", "shared_task"]

_log = logging.getLogger("broadaxe_worker")
_FOR_EVER: Final = timedelta(days=365)
#: About Celery's broker, its result store and its processes, of which there are none.
_WITHOUT_EFFECT: Final = (
    *("accept_", "beat_", "broker_", "cache_", "control_", "database_", "event_", "mongodb_", "redis_", "result_"),
    *("sentinel_", "worker_", "timezone_", "enable_utc", "imports", "include", "task_acks", "task_annotations_none"),
    *("task_create_missing", "task_ignore_result", "task_publish", "task_reject", "task_remote", "task_send_sent"),
    *("task_store", "task_track", "task_queue_max", "task_compression", "task_protocol", "task_default_delivery"),
)


class Config:
    """`app.conf`. A name that means nothing here is refused when it is set."""

    def __init__(self) -> None:
        self.beat_schedule: dict[str, Mapping[str, Any]] = {}
        self.task_always_eager = False
        self.task_eager_propagates = False
        self.task_default_queue = "celery"
        self.task_routes: Mapping[str, Any] = {}
        self.task_serializer = "json"
        self.result_serializer = "json"
        self.accept_content: Sequence[str] = ["json"]
        self.timezone = "UTC"
        self.task_time_limit: float | None = None
        self.task_default_rate_limit: str | int | None = None
        self.task_default_priority: int | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        problem = ""
        if name in ("task_serializer", "result_serializer") and value != "json":
            problem = f"{value!r} is not possible: arguments and results are JSON"
        elif name == "accept_content" and not set(value) <= {"json", "application/json"}:
            problem = "only json is accepted"
        elif name == "timezone":
            try:
                ZoneInfo(str(value))
            except (ValueError, OSError, KeyError):
                problem = f"there is no time zone {value!r}"
        elif name not in vars(self) and getattr(self, "_is_made", False) and not name.startswith(_WITHOUT_EFFECT):
            problem = "this setting is not possible; docs/celery.md has those that are"
        if problem:
            raise NotPossible(f"app.conf.{name}: {problem}")
        object.__setattr__(self, name, value)

    _is_made: bool = False

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        return getattr(self, name, default)

    def update(self, *given: Mapping[str, Any], **settings: Any) -> None:
        for name, value in {**(given[0] if given else {}), **settings}.items():
            setattr(self, name, value)


class _Signal:
    """`app.on_after_configure.connect`: called when a worker is about to begin."""

    def __init__(self) -> None:
        self._receivers: list[Callable[..., Any]] = []

    def connect(self, receiver: Callable[..., Any] | None = None, **_: Any) -> Any:
        if receiver is None:
            return self.connect
        self._receivers.append(receiver)
        return receiver

    def send(self, sender: Any) -> None:
        receivers, self._receivers = self._receivers, []
        for receiver in receivers:
            receiver(sender=sender)


class Celery:
    def __init__(
        self,
        main: str = "celery",
        *,
        broker: str | None = None,
        backend: str | None = None,
        include: Sequence[str] = (),
        task_cls: type[Task] = Task,
        hatchet: Hatchet | None = None,
        config_source: Any = None,
        **settings: Any,
    ) -> None:
        """`main` names the application. `broker` and `backend` have no effect: there is an engine instead, told by
        HATCHET_CLIENT_TOKEN, or by the client that is given as `hatchet`."""
        self.main = main or "celery"
        self.conf = Config()
        self.conf._is_made = True
        self.conf.update(settings)
        self.Task = task_cls
        self.on_after_configure = _Signal()
        self.on_after_finalize = _Signal()
        self._include = list(include)
        self._packages: list[tuple[Callable[[], Iterable[str]] | Iterable[str], str]] = []
        self._tasks: dict[str, Task] = {}
        self._hatchet = hatchet
        self._conductor: Standalone[Any, Any] | None = None
        _apps.append(self)
        if config_source is not None:
            self.config_from_object(config_source)

    def __repr__(self) -> str:
        return f"<Celery {self.main}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):
            raise AttributeError(name)
        raise AttributeError(f"{name} of Celery's applications is not possible here; see docs/celery.md")

    @property
    def hatchet(self) -> Hatchet:
        """The SDK's client, made when it is first needed: a program that only defines tasks needs no engine."""
        if self._hatchet is None:
            self._hatchet = Hatchet()
        return self._hatchet

    def now(self) -> datetime:
        """By which countdowns and expiries are reckoned. Tests put the engine's clock in its place."""
        return datetime.now(UTC)

    # Settings -------------------------------------------------------------------------------------------------------

    def config_from_object(self, source: Any, silent: bool = False, namespace: str = "") -> None:
        """Of a module (or its name), an object or a mapping. With a namespace only names that begin with it, in
        capitals as Django has them: CELERY_TASK_ALWAYS_EAGER."""
        if isinstance(source, str):
            module, _, rest = source.partition(":")
            source = importlib.import_module(module)
            source = getattr(source, rest) if rest else source
        names = source if isinstance(source, Mapping) else {name: getattr(source, name) for name in dir(source)}
        prefix = f"{namespace.upper()}_" if namespace else ""
        for name, value in names.items():
            if namespace and name.startswith(prefix):
                setattr(self.conf, name.removeprefix(prefix).lower(), value)
            elif not namespace and not name.startswith("_") and name == name.lower() and _is_setting(value):
                setattr(self.conf, name, value)

    def routed(self, name: str) -> str:
        """The queue that `task_routes` gives a task, or the application's."""
        import fnmatch

        for pattern, route in self.conf.task_routes.items():
            if fnmatch.fnmatchcase(name, pattern):
                queue = route.get("queue") if isinstance(route, Mapping) else route
                if not isinstance(queue, str):
                    raise NotPossible(
                        f"app.conf.task_routes: {pattern} has no queue, which is all that a route may say"
                    )
                return queue
        return self.conf.task_default_queue

    # Tasks ----------------------------------------------------------------------------------------------------------

    def task(self, *given: Any, **options: Any) -> Any:
        """`@app.task` and `@app.task(...)`."""
        if given and callable(given[0]):
            return self._made(given[0], {})
        if given:
            raise NotPossible("app.task takes options by name: @app.task(name=...)")
        return lambda function: self._made(function, options)

    def _made(self, function: Callable[..., Any], options: Mapping[str, Any]) -> Task:
        task = _task(function, self, options, self.Task, self.main)
        if self.conf.task_time_limit is not None and task.time_limit is None:
            task.time_limit = self.conf.task_time_limit
        if self.conf.task_default_rate_limit is not None and task.rate_limit is None:
            task.rate_limit = self.conf.task_default_rate_limit
        self._tasks[task.name] = task
        return task

    @property
    def tasks(self) -> Mapping[str, Task]:
        """By name; those of `shared_task` too."""
        return {**_shared, **self._tasks}

    def task_named(self, name: str) -> Task:
        """NotPossible when there is none."""
        found = self._tasks.get(name) or _shared.get(name)
        if found is None:
            raise NotPossible(
                f"there is no task {name} in the application {self.main}; "
                "import the module that has it, or name it in include"
            )
        return found

    def send_task(
        self, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Any:
        """Calls a task by its name, which this program must know."""
        return self.task_named(name).apply_async(args, kwargs, **options)

    def signature(
        self, name: str, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None, **options: Any
    ) -> Signature:
        return self.task_named(name).signature(args, kwargs, **options)

    def AsyncResult(self, id: str) -> AsyncResult:
        return AsyncResult(id, self)

    def autodiscover_tasks(
        self,
        packages: Callable[[], Iterable[str]] | Iterable[str] | None = None,
        related_name: str = "tasks",
        force: bool = False,
    ) -> None:
        """Imports `tasks` of each package when a worker begins; of all of Django's applications unless they are
        named."""
        self._packages.append((_django_apps if packages is None else packages, related_name))
        if force:
            self._import()

    def _import(self) -> None:
        include, self._include = [*self._include, *(self.conf.get("include") or self.conf.get("imports") or ())], []
        for module in include:
            importlib.import_module(module)
        packages, self._packages = self._packages, []
        for given, related in packages:
            for package in given() if callable(given) else given:
                name = f"{package}.{related}"
                if importlib.util.find_spec(name) is not None:
                    importlib.import_module(name)

    # Beat -----------------------------------------------------------------------------------------------------------

    def add_periodic_task(
        self, every: Any, signature: Signature, args: Sequence[Any] = (), name: str = "", **options: Any
    ) -> str:
        if not isinstance(signature, Signature):
            raise NotPossible(
                f"add_periodic_task takes a signature of one task, such as add.s(1, 2), not {signature!r}"
            )
        whole = signature.clone(args)
        name = name or repr(whole)
        self.conf.beat_schedule[name] = {
            "task": whole.task,
            "schedule": every,
            "args": whole.args,
            "kwargs": whole.kwargs,
            "options": {**whole.options, **options},
        }
        return name

    def beat(self) -> Standalone[Any, Any]:
        """The task that the engine starts at every tick, which starts what is due then. It is offered without entries
        as well: a version of it without crons is what ends those of the version before."""
        due: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for name, entry in self.conf.beat_schedule.items():
            try:
                due.setdefault(expression(entry["schedule"], self.conf.timezone), []).append((name, entry))
                self.task_named(entry["task"])
            except NotPossible as problem:
                raise NotPossible(f"app.conf.beat_schedule: {name}: {problem}") from None
            except (KeyError, TypeError):
                raise NotPossible(f"app.conf.beat_schedule: {name} needs a task and a schedule") from None

        def tick(input: EmptyModel, ctx: Context) -> dict[str, Any]:
            started = {}
            for name, entry in due.get(str(ctx.additional_metadata.get("hatchet__cron_expression")), []):
                call = self.task_named(entry["task"]).apply_async(
                    entry.get("args") or (),
                    entry.get("kwargs") or {},
                    # An attempt that follows a lost one starts nothing twice.
                    child_key=name,
                    **entry.get("options") or {},
                )
                started[name] = str(call)
            return {"started": started}

        return self.hatchet.task(
            name=f"{self.main}.beat",
            description="Starts what app.conf.beat_schedule says.",
            on_crons=list(due),
            schedule_timeout=_FOR_EVER,
            desired_worker_labels=self.label_for(self.conf.task_default_queue),
        )(tick)

    # Working --------------------------------------------------------------------------------------------------------

    def label_for(self, queue: str) -> list[Any]:
        """What a worker must have to be given a task of the queue."""
        return [DesiredWorkerLabel(key=_label(queue), value=_YES, required=True)]

    def conductor(self) -> Standalone[Any, Any]:
        if self._conductor is None:
            self._conductor = conductor(self)
        return self._conductor

    def offered(self, labels: Mapping[str, str | int] | None = None) -> tuple[list[Any], dict[str, str | int]]:
        """The workflows of a worker and its labels. Of `labels`, `queue` says which queues it serves, by commas; all
        that the program knows unless it is given."""
        self._import()
        self.on_after_configure.send(self)
        self.on_after_finalize.send(self)
        tasks = self.tasks
        if not tasks:
            raise NotPossible(
                f"the application {self.main} has no tasks; import the modules that have, or name them in include"
            )
        others = dict(labels or {})
        named = str(others.pop("queue", ""))
        queues = [each.strip() for each in named.split(",") if each.strip()]
        if not queues:
            queues = [self.conf.task_default_queue, *(task.own_queue() for task in tasks.values())]
        workflows = [*(task.standalone() for task in tasks.values()), self.conductor(), self.beat()]
        return workflows, {**others, **{_label(queue): _YES for queue in queues}}

    def worker(
        self,
        name: str | None = None,
        *,
        queues: Sequence[str] = (),
        slots: int | None = None,
        durable_slots: int | None = None,
        stop_limit_s: float | None = None,
    ) -> Worker:
        """A worker for all tasks: `app.worker().start()`. `broadaxe-worker module:app` is the same."""
        from broadaxe_worker.worker import Worker

        workflows, labels = self.offered({"queue": ",".join(queues)})
        return Worker(
            self.hatchet,
            name or self.main,
            workflows=workflows,
            slots=slots,
            durable_slots=durable_slots,
            labels=labels,
            stop_limit_s=stop_limit_s,
        )

    def worker_main(self, argv: Sequence[str] | None = None) -> NoReturn:
        raise NotPossible("worker_main is not possible: write app.worker().start(), or run broadaxe-worker module:app")


_YES: Final = "yes"
_apps: list[Celery] = []
_shared: dict[str, Task] = {}


def current_app() -> Celery:
    """The last one made. NotPossible before there is one."""
    if not _apps:
        raise NotPossible("there is no application yet; make one with Celery(...) and import it")
    return _apps[-1]


class _SharedTask(Task):
    # An attribute of other tasks: this one learns it when it is called.
    @property
    def app(self) -> Celery:  # type: ignore[override]
        return current_app()


def shared_task(*given: Any, **options: Any) -> Any:
    """A task of whichever application there is when it is called."""

    def made(function: Callable[..., Any]) -> Task:
        base = options.get("base", Task)
        task = _task(function, None, options, type("SharedTask", (_SharedTask, base), {}), "")
        _shared[task.name] = task
        return task

    return made(given[0]) if given and callable(given[0]) else made


def _task(
    function: Callable[..., Any], app: Celery | None, options: Mapping[str, Any], base: type[Task], main: str
) -> Task:
    module = function.__module__
    if module == "__main__" and main:
        module = main
    name = options.get("name") or f"{module}.{getattr(function, '__name__', '')}"
    others = {option: value for option, value in options.items() if option not in ("name", "base")}
    given_base = options.get("base")
    if given_base is not None and app is not None:
        base = given_base
    if not (isinstance(base, type) and issubclass(base, Task)):
        raise NotPossible(f"task {name}: base must be a class derived from broadaxe_worker.celery.Task")
    return base(function, app, name, others)


def _label(queue: str) -> str:
    return f"queue-{queue}"


def _is_setting(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | dict | list | tuple | timedelta | None.__class__)


def _django_apps() -> Iterable[str]:
    configs = importlib.import_module("django.apps").apps.get_app_configs()
    return [config.name for config in configs]
