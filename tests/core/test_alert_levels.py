"""Alert rules about how things stand, and about crons: when each fires, that it goes on, and that it is over."""

from __future__ import annotations

import pytest

from broadaxe.core.alert_levels import FACTS_MAX
from broadaxe.core.alert_texts import AlertOccasion
from broadaxe.core.alerts import WATCHES_MAX
from broadaxe.core.commands.alerts import AlertFact, AlertKind, DeleteAlertRule, NoteAlertFacts
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.commands.crons import CreateCron
from broadaxe.core.commands.quotas import Resource, SetQuotas
from broadaxe.core.commands.workers import CloseStream
from broadaxe.core.commands.workflows import PauseWorkflow, UnpauseWorkflow, WhilePaused
from broadaxe.core.durations import US_PER_S
from broadaxe.core.quotas import WINDOW_US, Quotas
from broadaxe.errors import InvalidArgument
from tests.core.test_alerts import HOUR_US, MINUTE_S, MINUTE_US, Watched
from tests.core.world import World, task

TOLD = "10000000-0000-7000-8000-00000000ffff"


class Levels(Watched):
    """Without a worker to begin with."""

    def __init__(self, *names: str) -> None:
        super().__init__(*names)
        for name in self.names:
            self.world.put(task("a", schedule_timeout="24h"), name=name)
        self.gone()
        self.world.decisions.clear()

    def gone(self) -> None:
        """The worker's stream ends."""
        self.world.beating.pop(self.worker, None)
        self.world.do(CloseStream(self.worker, self.world.sessions))

    def back(self) -> None:
        self.worker = self.world.worker("a", slots={"default": 1_000})


def kinds(*, kind: AlertKind, **changed: object) -> dict[str, object]:
    return {"kind": kind, "window_us": 10 * MINUTE_US, "name": str(kind)} | changed


def test_a_task_that_waits_too_long_is_told_of_at_that_instant_and_when_it_goes() -> None:
    watched = Levels()
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE))
    watched.world.trigger()
    watched.world.advance(2 * MINUTE_S)
    watched.world.trigger()
    watched.world.advance(8 * MINUTE_S - 1)
    assert watched.occasions() == []
    watched.world.advance(1)
    (message,) = watched.told()
    assert (message.occasion, message.subject, message.count) == (AlertOccasion.FIRED, "flow", 2)
    assert message.title == "flow: a task has waited for a worker for 10m"
    assert message.text == "2 tasks of it wait for a worker."
    watched.back()
    watched.world.advance(MINUTE_S)
    (over,) = watched.told()
    assert (over.occasion, over.alert_id) == (AlertOccasion.RESOLVED, message.alert_id)
    watched.world.advance(2 * 60 * MINUTE_S)
    assert not watched.world.alerts or all(row.resolved_at_us for row in watched.world.alerts.values())


def test_tasks_that_wait_one_after_the_other_are_not_an_old_queue() -> None:
    watched = Levels()
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE))
    for _ in range(10):
        run_id = watched.world.trigger()
        watched.world.advance(5 * MINUTE_S)
        watched.back()
        watched.world.report(run_id, Outcome.COMPLETED, "{}")
        watched.gone()
    assert watched.occasions() == []


def test_tasks_of_a_paused_workflow_wait_on_purpose() -> None:
    watched = Levels("flow", "other")
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE))
    flow_id = next(row.id for row in watched.world.workflows.values() if row.name == "flow")
    watched.world.do(PauseWorkflow(flow_id, 24 * HOUR_US, WhilePaused.QUEUE, WhilePaused.QUEUE))
    watched.world.trigger("flow")
    watched.world.trigger("other")
    before = len(watched.world.decisions)
    watched.world.advance(15 * MINUTE_S)
    assert [message.subject for message in watched.told()] == ["other"]
    assert len(watched.world.decisions) - before < 100, "looks are not made again and again while nothing changes"
    watched.world.do(UnpauseWorkflow(flow_id))
    watched.world.advance(2 * MINUTE_S)
    assert [message.subject for message in watched.told()] == ["flow"]


def test_a_rule_of_one_workflow_looks_at_no_other_queue() -> None:
    watched = Levels("flow", "other")
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE, workflow="other"))
    watched.world.trigger("flow")
    watched.world.advance(15 * MINUTE_S)
    assert watched.occasions() == []


def test_tasks_outside_memory_are_as_old_as_others() -> None:
    watched = Levels()
    watched.world.tenant._state.hot_tasks_max = 0
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE))
    for _ in range(3):
        watched.world.trigger()
    watched.world.advance(10 * MINUTE_S)
    assert [message.count for message in watched.told()] == [3]


def test_what_stays_as_it_is_is_told_again_after_each_quiet_period() -> None:
    watched = Levels()
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE, quiet_us=20 * MINUTE_US))
    watched.world.trigger()
    watched.world.advance(55 * MINUTE_S)
    assert watched.occasions() == ["FIRED", "AGAIN", "AGAIN"]


def test_no_worker_is_told_of_after_a_while_and_resolved_when_one_comes() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.NO_WORKER))
    watched.world.advance(60)
    watched.world.do(CloseStream(watched.worker, watched.world.sessions))
    watched.world.beating.clear()
    watched.world.advance(10 * MINUTE_S - 2)
    assert watched.occasions() == []
    watched.world.advance(4)
    (message,) = watched.told()
    assert (message.occasion, message.subject) == (AlertOccasion.FIRED, "flow")
    assert message.text == "No worker listens for flow:a."
    watched.world.worker("a")
    watched.world.advance(1)
    assert watched.occasions() == ["RESOLVED"]


def test_a_worker_that_comes_back_in_time_is_nothing_to_tell_of() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.NO_WORKER))
    for _ in range(5):
        watched.world.do(CloseStream(watched.worker, watched.world.sessions))
        watched.world.beating.clear()
        watched.world.advance(9 * MINUTE_S)
        watched.worker = watched.world.worker("a")
        watched.world.advance(9 * MINUTE_S)
    assert watched.occasions() == []


def test_workflows_that_never_had_a_worker_count_once_somebody_waits_or_a_rule_names_them() -> None:
    world = World()
    for name in ("one", "two", "three"):
        world.put(task(name, schedule_timeout="24h"), name=name)
    watched = Watched.__new__(Watched)
    watched.world = world
    watched.put(**kinds(kind=AlertKind.NO_WORKER))
    watched.put(**kinds(kind=AlertKind.NO_WORKER, name="three", workflow="three"))
    world.advance(20 * MINUTE_S)
    assert [message.subject for message in watched.told()] == ["three"]
    world.trigger("two")
    world.advance(12 * MINUTE_S)
    assert [message.subject for message in watched.told()] == ["two"]


def test_that_a_worker_is_missing_outlives_a_load() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.NO_WORKER))
    watched.world.do(CloseStream(watched.worker, watched.world.sessions))
    watched.world.beating.clear()
    watched.world.advance(11 * MINUTE_S)
    assert watched.occasions() == ["FIRED"]
    watched.world.restart()
    watched.world.advance(2 * MINUTE_S)
    assert watched.occasions() == []
    watched.world.worker("a")
    watched.world.advance(1)
    assert watched.occasions() == ["RESOLVED"]


def test_a_load_is_no_reason_to_miss_workers_that_come_again() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.NO_WORKER, window_us=12 * US_PER_S))
    watched.world.advance(60)
    watched.world.restart()
    watched.world.advance(60)
    assert watched.occasions() == []


def cron(watched: Watched) -> str:
    made = watched.world.do(CreateCron(workflow_name="flow", name="c", expression="* * * * *", input="{}"))
    return str(made)


def test_ticks_missed_while_nobody_was_there_are_told_once() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.CRON_MISSED, window_us=HOUR_US))
    cron(watched)
    watched.world.advance(3 * MINUTE_S)
    assert watched.occasions() == []
    watched.world.now_us += 30 * MINUTE_US
    watched.world.restart()
    (message,) = watched.told()
    assert (message.occasion, message.subject, message.count) == (AlertOccasion.FIRED, "flow", 1)
    assert message.title == "flow: a cron missed its time"
    assert message.text.startswith("The cron '* * * * *' missed its time: nobody was there")
    watched.world.advance(70 * MINUTE_S)
    assert watched.occasions() == ["RESOLVED"]


def test_a_machine_that_slept_missed_ticks_and_one_that_was_made_up_is_none() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.CRON_MISSED))
    cron(watched)
    watched.world.advance(3 * MINUTE_S)
    due_us = watched.world.tenant.next_due_us()
    assert due_us is not None
    watched.world.advance(30)
    watched.world.now_us += 35 * US_PER_S
    watched.world.decide()
    assert watched.occasions() == [], "one tick, which is made up"
    watched.world.now_us += 10 * MINUTE_US
    watched.world.decide()
    assert watched.occasions() == ["FIRED"]


def test_a_cron_of_a_paused_workflow_misses_its_time() -> None:
    watched = Watched()
    watched.put(**kinds(kind=AlertKind.CRON_MISSED, threshold=3))
    cron(watched)
    (flow_id,) = watched.world.workflows
    watched.world.do(PauseWorkflow(flow_id, 24 * HOUR_US, WhilePaused.DROP, WhilePaused.DROP))
    watched.world.advance(2 * MINUTE_S + 1)
    assert watched.occasions() == []
    watched.world.advance(MINUTE_S)
    (message,) = watched.told()
    assert "its workflow is paused" in message.text
    watched.world.do(UnpauseWorkflow(flow_id))
    watched.world.advance(20 * MINUTE_S)
    assert watched.occasions() == ["RESOLVED"]


def test_a_limit_that_is_nearly_used_is_told_of_and_ends_with_its_window() -> None:
    watched = Watched()
    watched.world.tenant._state.quotas = Quotas()
    watched.world.do(SetQuotas({Resource.TASK_RUN: 10, Resource.WORKER: None, Resource.WORKER_SLOT: None}))
    watched.put(**kinds(kind=AlertKind.LIMIT_NEARLY_USED, threshold=80))
    for _ in range(7):
        watched.world.trigger()
    watched.world.advance(2)
    assert watched.occasions() == []
    watched.world.trigger()
    watched.world.advance(1)
    (message,) = watched.told()
    assert (message.subject, message.text) == ("TASK_RUN", "8 of 10 are used.")
    assert message.title == "TASK_RUN: 80 % or more of the limit are used"
    watched.world.do(SetQuotas({Resource.TASK_RUN: 100}))
    watched.world.advance(MINUTE_S)
    assert watched.occasions() == ["RESOLVED"]
    watched.world.do(SetQuotas({Resource.TASK_RUN: 9}))
    watched.world.advance(61 * MINUTE_S)
    watched.world.trigger()
    watched.world.advance(2)
    assert watched.occasions() == ["FIRED"]
    watched.world.advance(WINDOW_US / US_PER_S)
    assert watched.occasions()[-1] == "RESOLVED"


def facts(*subjects: str) -> tuple[AlertFact, ...]:
    return tuple(AlertFact(subject, f"{subject} ends.") for subject in subjects)


@pytest.mark.parametrize("kind", [AlertKind.TOKEN_EXPIRING, AlertKind.NODE_LOST])
def test_what_the_database_says_is_told_once_for_each_thing(kind: AlertKind) -> None:
    watched = Watched()
    rule_id = watched.put(**kinds(kind=kind))
    watched.world.do(NoteAlertFacts(rule_id, facts("one", "two")))
    assert [(message.subject, message.text) for message in watched.told()] == [
        ("one", "one ends."),
        ("two", "two ends."),
    ]
    watched.world.do(NoteAlertFacts(rule_id, facts("two", "one")))
    assert watched.occasions() == []
    watched.world.do(NoteAlertFacts(rule_id, facts("two")))
    assert [(message.occasion, message.subject) for message in watched.told()] == [("RESOLVED", "one")]
    watched.world.restart()
    assert watched.occasions() == [], "until somebody has looked nothing is over"
    watched.world.do(NoteAlertFacts(rule_id, ()))
    assert watched.occasions() == ["RESOLVED"]
    watched.world.advance(2 * 60 * MINUTE_S)
    assert not watched.world.tenant._state.alerts.rules[rule_id].watches
    watched.world.do(DeleteAlertRule(rule_id))
    watched.world.do(NoteAlertFacts(rule_id, facts("three")))
    watched.world.do(NoteAlertFacts(TOLD, facts("three")))
    assert watched.occasions() == []


def test_facts_are_bounded() -> None:
    watched = Watched()
    rule_id = watched.put(**kinds(kind=AlertKind.TOKEN_EXPIRING))
    watched.world.do(NoteAlertFacts(rule_id, facts(*(str(number) for number in range(FACTS_MAX + 50)))))
    assert len(watched.world.tenant._state.alerts.rules[rule_id].watches) <= WATCHES_MAX


def test_a_rule_that_is_off_or_gone_looks_at_nothing() -> None:
    watched = Levels()
    rule_id = watched.put(**kinds(kind=AlertKind.QUEUE_AGE))
    watched.world.trigger()
    watched.world.advance(5)
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE, rule_id=rule_id, is_enabled=False))
    watched.world.advance(15 * MINUTE_S)
    assert watched.occasions() == []
    watched.put(**kinds(kind=AlertKind.QUEUE_AGE, rule_id=rule_id))
    watched.world.advance(1)
    assert watched.occasions() == ["FIRED"]
    watched.world.do(DeleteAlertRule(rule_id))
    watched.world.advance(60 * MINUTE_S)
    assert watched.occasions() == []


def test_a_tenant_in_which_nothing_is_wrong_may_sleep() -> None:
    watched = Watched()
    for kind in AlertKind:
        watched.put(**kinds(kind=kind, workflow=""))
    watched.end()
    watched.world.advance(10 * 60 * MINUTE_S)
    watched.told()
    rules = watched.world.tenant._state.alerts.rules.values()
    assert [rule.due_at_us for rule in rules] == [None] * len(AlertKind)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        (kinds(kind=AlertKind.LIMIT_NEARLY_USED, workflow="flow"), "workflow"),
        (kinds(kind=AlertKind.TOKEN_EXPIRING, workflow="flow"), "workflow"),
        (kinds(kind=AlertKind.NODE_LOST, workflow="flow"), "workflow"),
        (kinds(kind=AlertKind.QUEUE_AGE, threshold=2), "threshold"),
        (kinds(kind=AlertKind.LIMIT_NEARLY_USED, threshold=101), "threshold"),
        (kinds(kind=AlertKind.NO_WORKER, quiet_us=0), "quiet"),
        (kinds(kind=AlertKind.TOKEN_EXPIRING, window_us=91 * 24 * HOUR_US), "window"),
        (kinds(kind=AlertKind.QUEUE_AGE, window_us=8 * 24 * HOUR_US), "window"),
    ],
    ids=str,
)
def test_numbers_that_mean_nothing_for_a_kind_are_refused(changed: dict[str, object], field: str) -> None:
    watched = Watched()
    with pytest.raises(InvalidArgument) as refused:
        watched.put(**changed)
    assert refused.value.field == field
