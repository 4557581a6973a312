"""One Celery program, run by Celery and by `broadaxe_worker.celery`: the same calls come to the same."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from broadaxe_worker.celery.results import CALL_ID
from broadaxe_worker.celery.task import Call

from broadaxe.testing.engine_under_test import EngineUnderTest
from broadaxe.testing.worker_under_test import WorkerUnderTest

PROGRAM = Path(__file__).parent / "programs" / "celery_shop.py"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "celery.md"
THEIRS, OURS = "celery", "broadaxe_worker.celery"


def program(library: str, text: str = "") -> ModuleType:
    """The program as a module that has imported the library."""
    name = f"shop_with_{library.replace('.', '_')}"
    source = text or PROGRAM.read_text(encoding="utf-8")
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source.replace("from celery import", f"from {library} import"), name, "exec"), module.__dict__)
    return module


def alike(answers: dict[str, Any]) -> dict[str, str]:
    """Without what is another each time: ids, and the names of the modules."""
    return {
        name: re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "ID", repr(answer)).replace(OURS.replace(".", "_"), THEIRS)
        for name, answer in answers.items()
    }


@contextlib.contextmanager
def their_worker(app: Any) -> Iterator[None]:
    from celery.contrib.testing.worker import start_worker

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=60, loglevel="CRITICAL"):
        yield


@contextlib.contextmanager
def our_worker(app: Any, **labels: str) -> Iterator[WorkerUnderTest]:
    workflows, found = app.offered(labels)
    worker = WorkerUnderTest(app.hatchet, workflows, name=app.main, slots=20, labels=found)
    worker.wait_until_ready()
    try:
        yield worker
    finally:
        worker.kill()


def test_a_program_comes_to_the_same_with_both(engine: EngineUnderTest) -> None:
    with their_worker((theirs := program(THEIRS)).app):
        expected = theirs.everything()
    with our_worker((ours := program(OURS)).app):
        found = ours.everything()
    assert alike(found) == alike(expected)


@pytest.mark.parametrize("propagates", [False, True], ids=["kept", "propagated"])
def test_eager_calls_come_to_the_same_with_both(propagates: bool) -> None:
    answers = []
    for library in (THEIRS, OURS):
        module = program(library)
        module.app.conf.update(task_always_eager=True, task_eager_propagates=propagates)
        with pytest.raises(ValueError, match="at once") if propagates else contextlib.nullcontext():
            module.broken.delay("at once")
        if not propagates:
            answers.append(alike(module.everything() | module.here()))
    assert answers[:1] == answers[1:]


# What is told by time, which the test moves ---------------------------------------------------------------------------

LATER = """
import threading

from celery import Celery, TaskRevokedError, chain, chord, crontab, shared_task

app = Celery("later")
began, goes_on = threading.Event(), threading.Event()
seen = []
tried = []
ticked = []


@app.task(bind=True)
def note(self, text):
    seen.append(text)
    return {"text": text, "queue": self.request.delivery_info["routing_key"], "log": self.context.retry_count}


@app.task(bind=True, max_retries=5, default_retry_delay=60)
def steady(self, fails):
    if self.request.retries < fails:
        self.retry(exc=OSError("not yet"))
    return self.request.retries


@app.task(autoretry_for=(OSError,), retry_backoff=30, retry_jitter=False, max_retries=5)
def backing_off(fails):
    tried.append(fails)
    if len(tried) <= fails:
        raise OSError("not yet")
    return len(tried)


@app.task(bind=True)
def who(self, *_):
    return self.request.id


@app.task
def gather(ids):
    return ids


@app.task(bind=True, max_retries=1, default_retry_delay=60)
def calls_others(self):
    note.delay("always")
    note.delay(f"attempt {self.request.retries}")
    if self.request.retries == 0:
        self.retry(exc=OSError("again"))


@app.task(bind=True, max_retries=5)
def until_revoked(self):
    began.set()
    while not self.context.is_cancelled:
        goes_on.wait(0.01)
    self.retry(countdown=10)


@app.task(bind=True, time_limit=5)
def too_long(self):
    tried.append(self.request.retries)
    goes_on.wait(60)


@app.task(queue="images")
def draw():
    return "drawn"


@shared_task(name="later.shared")
def shared():
    return "shared"


@app.task(rate_limit="2/m", name="later.limited")
def limited(n):
    seen.append(n)


@app.task
def tick(text):
    ticked.append(text)


@app.on_after_configure.connect
def periodic(sender, **kwargs):
    sender.add_periodic_task(3600, tick.s("every hour"))
    sender.add_periodic_task(crontab(minute=30, hour=3), tick.s("at night"), name="nightly")
    sender.add_periodic_task(3600, shared.s())
"""


@pytest.fixture
def later(engine: EngineUnderTest) -> Iterator[ModuleType]:
    module = program(OURS, LATER)
    module.app.now = engine.clock.now
    with our_worker(module.app):
        yield module


def test_countdown_and_eta_are_the_engines(engine: EngineUnderTest, later: ModuleType) -> None:
    in_an_hour = later.note.apply_async(("an hour",), countdown=3600)
    tomorrow = later.note.apply_async(("tomorrow",), eta=engine.clock.now() + timedelta(days=1), priority=9)
    revoked = later.note.apply_async(("never",), countdown=7200)
    chained = later.chain(later.note.si("in a chain").set(countdown=600), later.shared.si()).apply_async()
    assert [call.state for call in (in_an_hour, tomorrow, revoked)] == ["PENDING"] * 3
    revoked.revoke()
    engine.clock.advance(hours=2).result()
    assert in_an_hour.get(timeout=60)["text"] == "an hour"
    assert chained.get(timeout=60) == "shared"
    assert (tomorrow.state, revoked.state) == ("PENDING", "REVOKED")
    with pytest.raises(TimeoutError, match="timed out"):
        tomorrow.get(timeout=0)
    engine.clock.advance(hours=23).result()
    # By its id alone, as another program knows it.
    assert later.app.AsyncResult(tomorrow.id).get(timeout=60)["text"] == "tomorrow"
    assert "never" not in later.seen


def test_the_tasks_own_delay_is_between_the_attempts_of_one_run(engine: EngineUnderTest, later: ModuleType) -> None:
    call = later.steady.delay(2)
    engine.clock.settle().result()
    assert call.state == "PENDING"
    engine.clock.advance(seconds=119).result()
    assert not call.ready()
    engine.clock.advance(seconds=1).result()
    assert call.get(timeout=60) == 2
    assert len(engine.runs(later.steady.name)) == 1


def test_backoff_goes_on_in_runs_of_the_same_call(engine: EngineUnderTest, later: ModuleType) -> None:
    call = later.backing_off.delay(2)
    engine.clock.settle().result()
    assert call.state == "RETRY"
    engine.clock.advance(seconds=30).result()
    assert (call.state, len(later.tried)) == ("RETRY", 2)
    engine.clock.advance(seconds=60).result()
    assert call.get(timeout=60) == 3
    assert len(engine.runs(later.backing_off.name)) == 3
    call = later.backing_off.delay(9)
    engine.clock.settle().result()
    call.revoke()
    engine.clock.advance(days=1).result()
    assert (call.state, len(later.tried)) == ("REVOKED", 4)


def test_every_call_of_a_chord_has_an_id_of_its_own(engine: EngineUnderTest, later: ModuleType) -> None:
    ids = later.chord([later.chain(later.who.s(), later.who.s()), later.who.s(), later.who.s()])(later.gather.s())
    assert len(set(ids.get(timeout=60))) == 3


def test_an_attempt_makes_the_calls_of_the_one_before_once_and_its_own_as_well(
    engine: EngineUnderTest, later: ModuleType
) -> None:
    later.calls_others.delay()
    engine.clock.settle().result()
    engine.clock.advance(minutes=2).result()
    said = {text: later.seen.count(text) for text in ("always", "attempt 0", "attempt 1")}
    assert said == {"always": 1, "attempt 0": 1, "attempt 1": 1}


def test_what_was_revoked_is_not_tried_again_by_the_attempt_that_goes_on(
    engine: EngineUnderTest, later: ModuleType
) -> None:
    call = later.until_revoked.delay()
    assert later.began.wait(60)
    call.revoke()
    engine.clock.advance(minutes=1).result()
    assert (call.state, len(engine.runs(later.until_revoked.name))) == ("REVOKED", 1)


def test_whoever_exceeds_the_time_limit_is_not_tried_again(engine: EngineUnderTest, later: ModuleType) -> None:
    call = later.too_long.delay()
    engine.clock.advance(minutes=30).result()
    later.goes_on.set()
    assert (call.state, later.tried, len(engine.runs(later.too_long.name))) == ("FAILURE", [0], 1)


def test_a_call_is_not_taken_for_what_its_task_started(engine: EngineUnderTest, later: ModuleType) -> None:
    call = later.note.delay("mine")
    call.get(timeout=60)
    later.shared.standalone().run(Call(args=[], kwargs={}), additional_metadata={CALL_ID: call.id})
    assert later.app.AsyncResult(call.id).get(timeout=60)["text"] == "mine"


def test_a_result_is_found_by_its_id_on_a_clock_that_was_moved(engine: EngineUnderTest, later: ModuleType) -> None:
    engine.clock.advance(days=30).result()
    call = later.note.delay("a month on")
    # Among the runs of the last days by the engine's clock.
    assert later.app.AsyncResult(call.id).get(timeout=60)["text"] == "a month on"


def test_beat_is_crons_of_the_engine(engine: EngineUnderTest, later: ModuleType) -> None:
    begun = engine.clock.now()
    engine.clock.advance(days=1).result()
    nights = {begun.date(), engine.clock.now().date()}
    assert later.ticked.count("every hour") == 24
    assert later.ticked.count("at night") == 1 and len(nights) == 2
    assert len(engine.runs("later.shared")) == 24


def test_what_expired_is_not_begun(engine: EngineUnderTest) -> None:
    module = program(OURS, LATER)
    with our_worker(module.app) as worker:
        worker.stop()
    module.app.now = engine.clock.now
    late = module.note.apply_async(("late",), expires=60)
    engine.clock.advance(minutes=2).result()
    with our_worker(module.app), pytest.raises(module.TaskRevokedError, match="expired"):
        late.get(timeout=60)
    assert (late.state, module.seen) == ("REVOKED", [])


def test_workers_take_the_queues_they_are_told(engine: EngineUnderTest) -> None:
    module = program(OURS, LATER)
    with our_worker(module.app, queue="images, video") as images:
        assert module.draw.delay().get(timeout=60) == "drawn"
        assert module.note.apply_async(("here",), queue="video").get(timeout=60)["queue"] == "video"
        waits = module.note.delay("for the others")
        engine.clock.settle().result()
        assert waits.state == "PENDING"
        images.kill()
    with our_worker(module.app):
        assert waits.get(timeout=60)["queue"] == "celery"


def test_a_rate_limit_holds_for_all_workers_together(engine: EngineUnderTest, later: ModuleType) -> None:
    with our_worker(later.app):
        for n in range(6):
            later.limited.delay(n)
        engine.clock.settle().result()
        assert len(later.seen) == 2
        engine.clock.advance(minutes=2).result()
        assert sorted(later.seen) == list(range(6))


def test_a_chain_goes_on_after_its_worker_was_lost(engine: EngineUnderTest) -> None:
    module = program(OURS, LATER)
    with our_worker(module.app) as first:
        call = module.chain(module.note.si("one"), module.note.si("two").set(countdown=60))()
        engine.clock.settle().result()
        assert module.seen == ["one"]
        first.kill()
    with our_worker(module.app):
        engine.clock.advance(minutes=5).result()
        assert call.get(timeout=60)["text"] == "two"
    assert module.seen == ["one", "two"]


def test_the_page_shows_a_program_that_works(engine: EngineUnderTest) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = program(OURS, block)
    module.app.conf.task_always_eager = True
    assert module.make_gallery(["cat", "dog"]) == 2
    assert module.fetch.delay("here").get()["size"] == 4
    workflows, labels = module.app.offered()
    assert labels.keys() == {"queue-celery", "queue-images"}
    assert [cron for each in workflows for cron in each.to_proto().cron_triggers] == ["CRON_TZ=Europe/Berlin 0 3 * * *"]
