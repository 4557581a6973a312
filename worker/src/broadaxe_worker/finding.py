"""From `app.main:hatchet` to a worker: what people may name on the command line, and what is wrong with the rest."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from broadaxe_worker.errors import Mistake
from broadaxe_worker.sdk import client_of, is_client, is_official_worker, is_workflow
from broadaxe_worker.worker import Worker

__all__ = ["find"]

#: What may be named.
_KINDS = (
    "a Hatchet client, a worker made with hatchet.worker(...), a workflow, a list of workflows "
    "or an application made with broadaxe_worker.celery"
)


def find(
    target: str,
    *,
    name: str | None = None,
    slots: int | None = None,
    durable_slots: int | None = None,
    labels: Mapping[str, str | int] | None = None,
    stop_limit_s: float | None = None,
) -> Worker:
    """The worker that `module:object` means. Of a client it offers every workflow declared with it in the modules that
    are imported then, of a Celery application its tasks. Mistake when there is no such module or object, or it is of no
    use."""
    module_name, colon, path = target.partition(":")
    if not (colon and module_name and path):
        raise Mistake(f"{target!r} names no object in a module; write it as app.main:hatchet")
    module = _module(module_name)
    found: Any = module
    for part in path.split("."):
        if not hasattr(found, part):
            there = [key for key, value in vars(module).items() if _is_useful(value)]
            hint = f"; it has {', '.join(sorted(there)[:10])}" if there else f"; name {_KINDS}"
            raise Mistake(f"module {module_name} has no {path}{hint}")
        found = getattr(found, part)
    if isinstance(found, Worker):
        return found
    if is_official_worker(found):
        if name is not None or slots is not None or durable_slots is not None or labels:
            raise Mistake(
                f"{target} is a worker, which has its name, slots and labels already; name the client to give others"
            )
        return Worker.of(found, stop_limit_s=stop_limit_s)
    if _is_celery(found):
        offered, labels = found.offered(labels)
        return Worker(
            found.hatchet,
            name or found.main,
            workflows=offered,
            slots=slots,
            durable_slots=durable_slots,
            labels=labels,
            stop_limit_s=stop_limit_s,
        )
    workflows = [found] if is_workflow(found) else list(found) if isinstance(found, list | tuple) else []
    if is_client(found):
        workflows = _declared_with(found)
        if not workflows:
            raise Mistake(
                f"no workflow is declared with {target} in what {module_name} imports; "
                "import the modules that declare some"
            )
    elif not workflows or not all(is_workflow(each) for each in workflows):
        raise Mistake(f"{target} is a {type(found).__name__}; name {_KINDS}")
    return Worker(
        found if is_client(found) else client_of(workflows[0]),
        name or module_name.split(".")[0],
        workflows=workflows,
        slots=slots,
        durable_slots=durable_slots,
        labels=labels,
        stop_limit_s=stop_limit_s,
    )


def _module(name: str) -> ModuleType:
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except Mistake as mistake:
        raise Mistake(f"module {name}: {mistake}{_place(mistake)}") from mistake
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise Mistake(f"there is no module {name} in {here} or among the installed packages") from None
        raise Mistake(f"module {name} cannot be imported: it needs {error.name}, which is not installed") from None
    except SystemExit as error:
        raise Mistake(f"module {name} ends the program when it is imported (exit code {error.code})") from None
    except Exception as error:
        raise Mistake(f"module {name} cannot be imported: {_told(error)}{_place(error)}") from error


def _told(error: Exception) -> str:
    if isinstance(error, ValidationError):
        # Its text quotes what was given, and that may be a token.
        return "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors(include_input=False)[:3])
    return " ".join(f"{type(error).__name__}: {error}".split())[:500]


def _place(error: Exception) -> str:
    """Where in the user's code it broke: the last place that is not inside an installed package."""
    own = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "site-packages" not in frame.filename and not frame.filename.startswith("<") and frame.filename != __file__
    ]
    own = [frame for frame in own if Path(frame.filename).parent.name != "importlib"]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def _declared_with(client: Any) -> list[Any]:
    found: dict[int, Any] = {}
    for module in list(sys.modules.values()):
        if not isinstance(module, ModuleType):
            continue
        for value in list(vars(module).values()):
            if is_workflow(value) and client_of(value) is client:
                found.setdefault(id(value), value)
    return list(found.values())


def _is_useful(value: object) -> bool:
    return is_client(value) or is_official_worker(value) or is_workflow(value) or _is_celery(value)


def _is_celery(value: object) -> bool:
    # Whoever has made one has imported it.
    module = sys.modules.get("broadaxe_worker.celery.app")
    return module is not None and isinstance(value, module.Celery)
