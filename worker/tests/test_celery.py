"""What a program written for Celery cannot have here is said when it is imported, in one sentence that says what to do.

What it can have is shown with an engine in tests/integrations of the repository.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from broadaxe_worker.celery import Celery, NotPossible, Task, chain, chord, crontab, group, shared_task
from broadaxe_worker.celery.schedules import expression
from broadaxe_worker.cli import main
from broadaxe_worker.finding import find

HEAD = "from broadaxe_worker.celery import *\napp = Celery('shop')\n"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("@app.task(soft_time_limit=5)\ndef t(): pass", "task shop.t: soft_time_limit is not possible"),
        ("@app.task(acks_late=False)\ndef t(): pass", "a task is done when it has ended"),
        ("@app.task(serializer='pickle')\ndef t(): pass", "arguments and results are JSON"),
        ("@app.task(max_retries=-1)\ndef t(): pass", "max_retries must be from 0 to 1000000, or None"),
        ("@app.task(default_retry_delay=90_000)\ndef t(): pass", "default_retry_delay must be from 0 to 86400"),
        ("@app.task(time_limit=0)\ndef t(): pass", "time_limit must be more than 0"),
        ("@app.task(rate_limit='0.5/s')\ndef t(): pass", "write a whole number, or one with /s, /m or /h"),
        ("@app.task(rate_limit='5/d')\ndef t(): pass", "write a whole number, or one with /s, /m or /h"),
        ("@app.task(priority=11)\ndef t(): pass", "priority must be from 0 to 9, not 11"),
        (
            "@app.task(retry_kwargs={'eta': 1})\ndef t(): pass",
            "retry_kwargs may have max_retries and countdown, not eta",
        ),
        ("@app.task(colour='red')\ndef t(): pass", "there is no option colour"),
        ("@app.task(base=int)\ndef t(): pass", "base must be a class derived from"),
        ("@app.task('t')\ndef t(): pass", "app.task takes options by name"),
        ("@app.task\nasync def t(): pass", "declare it with @hatchet.task()"),
        ("from broadaxe_worker.celery import signals", "signals of Celery's is not possible here"),
        ("app.conf.task_serializer = 'pickle'", "app.conf.task_serializer: 'pickle' is not possible"),
        ("app.conf.accept_content = ['pickle']", "only json is accepted"),
        ("app.conf.timezone = 'Mars/Olympus'", "there is no time zone 'Mars/Olympus'"),
        ("app.conf.task_soft_time_limit = 5", "app.conf.task_soft_time_limit: this setting is not possible"),
        ("crontab(day_of_week=1, day_of_month=1)", "means both at once in Celery"),
        ("", "the application shop has no tasks"),
        (
            "@app.task\ndef t(): pass\napp.conf.beat_schedule = {'x': {'task': 't', 'schedule': 60}}",
            "app.conf.beat_schedule: x: there is no task t",
        ),
        (
            "@app.task\ndef t(): pass\napp.conf.beat_schedule = {'x': {'task': t.name, 'schedule': 7 * 60}}",
            "app.conf.beat_schedule: x: every 420 s is no cron",
        ),
        (
            "@app.task\ndef t(): pass\napp.conf.beat_schedule = {'x': {'task': t.name}}",
            "app.conf.beat_schedule: x needs a task and a schedule",
        ),
        ("@app.task\ndef t(): pass\nchain(t)", "is no signature, chain, group or chord; write t.s(...)"),
        ("app.worker_main()", "write app.worker().start()"),
    ],
    ids=range(26),
)
def test_what_is_not_possible_is_said_by_the_command(
    line: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shop.py").write_text(HEAD + line)
    assert main(["shop:app"]) == 2
    said = capsys.readouterr().err
    assert sentence in said and "Traceback" not in said and len(said.splitlines()) == 1


@pytest.fixture
def app() -> Celery:
    return Celery("shop")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"link": None}, "write chain"),
        ({"serializer": "yaml"}, "arguments are JSON"),
        ({"priority": "high"}, "priority must be from 0 to 9, not 'high'"),
        ({"colour": 1}, "apply_async has no option colour"),
        ({"queue": "other", "countdown": 5}, "give the task that queue"),
    ],
    ids=["link", "serializer", "priority", "unknown", "queue later"],
)
def test_what_a_call_cannot_have_is_refused_before_anything_is_sent(
    app: Celery, options: dict[str, Any], sentence: str
) -> None:
    task = app.task(name="t")(lambda: None)
    with pytest.raises(NotPossible, match=sentence):
        task.apply_async(**options)


def test_what_is_no_json_is_refused_before_anything_is_sent(app: Celery) -> None:
    task = app.task(name="t")(lambda *_: None)
    for wrong in (datetime(2026, 1, 1), {1, 2}, float("nan")):
        with pytest.raises(TypeError, match="the arguments of task t must be JSON"):
            task.delay(wrong)


def test_a_worker_offers_the_tasks_of_an_application(tmp_path: Path) -> None:
    tasks = "@app.task\ndef t(): pass\n\n\n@app.task(queue='images')\ndef draw(): pass\n"
    (tmp_path / "shop.py").write_text(HEAD + tasks)
    found = find("shop:app", slots=3)._program
    assert {"shop.t:shop.t", "shop.draw:shop.draw", "shop.canvas:shop.canvas", "shop.beat:shop.beat"} <= set(
        found.tasks
    )
    assert found.name == "shop"
    assert set(found.labels) == {"queue-celery", "queue-images"}
    some = find("shop:app", labels={"queue": "images", "region": "eu"})._program
    assert set(some.labels) == {"queue-images", "region"}


@pytest.mark.parametrize(
    ("given", "cron"),
    [
        (30, "*/30 * * * * *"),
        (60, "* * * * *"),
        (300.0, "*/5 * * * *"),
        (timedelta(hours=1), "0 * * * *"),
        (timedelta(hours=6), "0 */6 * * *"),
        (86_400, "0 0 * * *"),
        (crontab(), "* * * * *"),
        (crontab(minute="*/15", hour=[7, 8], day_of_week="mon-fri"), "*/15 7,8 * * mon-fri"),
    ],
    ids=str,
)
def test_schedules_become_crons(given: Any, cron: str) -> None:
    assert expression(given) == cron
    assert expression(crontab(hour=3), "Europe/Berlin") == "CRON_TZ=Europe/Berlin * 3 * * *"


@pytest.mark.parametrize("given", [0, -5, 7 * 60, 0.5, 90_000, "daily", True, None], ids=str)
def test_what_no_cron_can_tick_is_refused(given: Any) -> None:
    with pytest.raises(NotPossible):
        expression(given)


def test_settings_come_from_objects_as_celery_takes_them(app: Celery) -> None:
    class Settings:
        CELERY_TASK_ALWAYS_EAGER = True
        CELERY_BROKER_URL = "redis://nowhere"
        CELERY_TASK_ROUTES: dict[str, Any] = {"shop.images.*": {"queue": "images"}}  # noqa: RUF012
        DEBUG = True

    app.config_from_object(Settings, namespace="CELERY")
    assert app.conf.task_always_eager and app.conf.broker_url == "redis://nowhere"
    assert (app.routed("shop.images.draw"), app.routed("shop.mail")) == ("images", "celery")
    app.config_from_object({"task_eager_propagates": True})
    assert app.conf.get("task_eager_propagates") is True
    with pytest.raises(AttributeError, match=r"control of Celery's applications is not possible here"):
        _ = app.control


def test_hooks_are_called_in_celerys_order() -> None:
    heard: list[Any] = []

    class Noisy(Task):
        def before_start(self, *given: Any) -> None:
            heard.append("begins")

        def on_retry(self, exc: BaseException, *given: Any) -> None:
            heard.append(f"again: {exc}")

        def on_failure(self, exc: BaseException, *given: Any) -> None:
            heard.append(f"failed: {exc}")

        def after_return(self, status: str, *given: Any) -> None:
            heard.append(status)

    app = Celery("shop")

    @app.task(base=Noisy, autoretry_for=(OSError,), max_retries=1)
    def try_it() -> None:
        raise OSError("no")

    assert try_it.apply().state == "FAILURE"
    assert heard == ["begins", "again: no", "begins", "failed: no", "FAILURE"]


def test_shared_tasks_belong_to_the_application_there_is() -> None:
    @shared_task(bind=True, name="shared.double")
    def double(self: Task, n: int) -> int:
        return n * 2

    app = Celery("later", task_always_eager=True)
    assert (double.app, double.delay(4).get(), app.tasks["shared.double"]) == (app, 8, double)


def test_chains_are_flat_and_chords_need_a_body(app: Celery) -> None:
    t = app.task(name="t")(lambda *_: None)
    whole = chain(t.s(1) | t.s(2), t.si(3).set(countdown=5))
    assert whole.notes() == {
        "chain": [
            {"task": "t", "args": [1]},
            {"task": "t", "args": [2]},
            {"task": "t", "args": [3], "options": {"countdown": 5}, "immutable": True},
        ]
    }
    with pytest.raises(NotPossible, match="a chord needs a body"):
        chord([t.s()]).notes()
    with pytest.raises(NotPossible, match="task_id is not possible within"):
        chain(t.s().set(task_id="x")).notes()
    assert len(group(t.s(n) for n in range(3))) == 3
