"""Alert rules: what counts, when people are told, how often, and that it is over."""

from __future__ import annotations

import msgspec
import pytest

from broadaxe.core.alert_texts import AlertMessage, AlertOccasion, check_template, render
from broadaxe.core.alerts import RATE_RUNS_MIN, RULES_MAX, WATCHES_MAX, AlertStatus
from broadaxe.core.audit import Action
from broadaxe.core.commands.alerts import AlertKind, DeleteAlertRule, PutAlertRule
from broadaxe.core.commands.asked import Asked, Initiator, InitiatorKind
from broadaxe.core.commands.attempts import Outcome
from broadaxe.core.durations import US_PER_S
from broadaxe.errors import AlreadyExists, BroadaxeError, FailedPrecondition, InvalidArgument, NotFound
from tests.core.world import World, task

MINUTE_S = 60
MINUTE_US = MINUTE_S * US_PER_S
HOUR_US = 60 * MINUTE_US
CHANNEL = "10000000-0000-7000-8000-0000000000c1"
OTHER_CHANNEL = "10000000-0000-7000-8000-0000000000c2"


def rule(**changed: object) -> PutAlertRule:
    usual: dict[str, object] = {
        "name": "failures",
        "kind": AlertKind.RUN_FAILED,
        "threshold": 1,
        "window_us": 5 * MINUTE_US,
        "quiet_us": HOUR_US,
        "channel_ids": (CHANNEL,),
    }
    return PutAlertRule(**(usual | changed))  # type: ignore[arg-type]


class Watched:
    """A world with workflows, a worker that runs them, and what people were told."""

    def __init__(self, *names: str) -> None:
        self.world = World()
        self.names = names or ("flow",)
        for name in self.names:
            self.world.put(task("a"), name=name)
        self.worker = self.world.worker("a", slots={"default": 1_000})

    def put(self, **changed: object) -> str:
        rule_id = self.world.do(rule(**changed))
        assert isinstance(rule_id, str)
        return rule_id

    def end(self, outcome: Outcome = Outcome.FAILED, name: str | None = None) -> None:
        run_id = self.world.trigger(name or self.names[0])
        self.world.report(run_id, outcome, "it broke" if outcome is Outcome.FAILED else "{}")

    def told(self) -> list[AlertMessage]:
        """Since the last time."""
        rows = [row for decision in self.world.decisions for row in decision.writes.alert_deliveries]
        self.world.decisions.clear()
        return [msgspec.json.decode(row.message, type=AlertMessage) for row in rows]

    def occasions(self) -> list[str]:
        return [str(message.occasion) for message in self.told()]


def test_a_failed_run_is_told_of_once_and_later_that_it_is_over() -> None:
    watched = Watched()
    watched.put()
    watched.end()
    (message,) = watched.told()
    assert (message.occasion, message.title) == (AlertOccasion.FIRED, "flow: a run failed")
    assert message.error == "it broke"
    watched.end()
    assert watched.occasions() == []
    watched.world.advance(6 * MINUTE_S)
    (over,) = watched.told()
    assert (over.occasion, over.title, over.count) == (AlertOccasion.RESOLVED, "Resolved: flow", 2)
    assert over.alert_id == message.alert_id


def test_runs_that_end_well_or_are_cancelled_are_nothing_to_tell_of() -> None:
    watched = Watched()
    watched.put()
    watched.end(Outcome.COMPLETED)
    assert watched.occasions() == []
    assert not watched.world.tenant._state.alerts.rules.popitem()[1].watches


def test_so_many_within_the_window() -> None:
    watched = Watched()
    watched.put(threshold=3)
    for _ in range(2):
        watched.end()
    watched.world.advance(6 * MINUTE_S)
    watched.end()
    assert watched.occasions() == [], "the first two are out of the window"
    watched.end()
    watched.end()
    (message,) = watched.told()
    assert (message.title, message.count) == ("flow: 3 runs failed within 5m", 3)


def test_what_goes_on_is_told_again_after_the_quiet_period() -> None:
    watched = Watched()
    watched.put(quiet_us=10 * MINUTE_US)
    for _ in range(25):
        watched.end()
        watched.world.advance(MINUTE_S)
    assert watched.occasions() == ["FIRED", "AGAIN", "AGAIN"]
    watched.world.advance(6 * MINUTE_S)
    assert watched.occasions() == ["RESOLVED"]


def test_what_comes_and_goes_within_the_quiet_period_is_in_the_history_only() -> None:
    watched = Watched()
    watched.put(quiet_us=HOUR_US)
    for _ in range(5):
        watched.end()
        watched.world.advance(7 * MINUTE_S)
    rows = [row for decision in watched.world.decisions for row in decision.writes.alerts]
    assert len({row.id for row in rows if row.status == AlertStatus.RESOLVED}) == 5
    assert watched.occasions() == ["FIRED", "RESOLVED"]
    watched.world.advance(60 * MINUTE_S)
    watched.end()
    assert watched.occasions() == ["FIRED"]


def test_what_still_goes_on_when_the_quiet_period_ends_is_told_then() -> None:
    watched = Watched()
    watched.put(quiet_us=8 * MINUTE_US)
    watched.end()
    watched.world.advance(6 * MINUTE_S)
    watched.end()
    assert watched.occasions() == ["FIRED", "RESOLVED"]
    watched.world.advance(3 * MINUTE_S)
    assert watched.occasions() == ["FIRED"]


def test_each_workflow_is_watched_for_itself() -> None:
    watched = Watched("one", "two")
    watched.put(threshold=2)
    watched.end(name="one")
    watched.end(name="two")
    assert watched.occasions() == []
    watched.end(name="two")
    assert [message.subject for message in watched.told()] == ["two"]


def test_a_rule_of_one_workflow_hears_nothing_of_others() -> None:
    watched = Watched("one", "two")
    watched.put(workflow="one")
    watched.end(name="two")
    assert watched.occasions() == []
    watched.end(name="one")
    assert watched.occasions() == ["FIRED"]


def test_a_share_of_failed_runs() -> None:
    watched = Watched()
    watched.put(kind=AlertKind.FAILURE_RATE, threshold=50)
    for _ in range(RATE_RUNS_MIN - 1):
        watched.end()
    assert watched.occasions() == [], "too few to say anything"
    watched.end()
    (message,) = watched.told()
    assert message.title == "flow: 50 % or more of its runs within 5m failed"
    for _ in range(RATE_RUNS_MIN):
        watched.end(Outcome.COMPLETED)
    assert watched.occasions() == []
    watched.end(Outcome.COMPLETED)
    assert watched.occasions() == ["RESOLVED"]


def test_every_channel_of_the_rule_is_told() -> None:
    watched = Watched()
    watched.put(channel_ids=(CHANNEL, OTHER_CHANNEL, CHANNEL))
    watched.end()
    (decision,) = [decision for decision in watched.world.decisions if decision.writes.alert_deliveries]
    assert [row.channel_id for row in decision.writes.alert_deliveries] == [CHANNEL, OTHER_CHANNEL]
    assert decision.writes.runs, "in the commit that ends the run"


def test_a_template_says_it_in_its_own_words() -> None:
    watched = Watched()
    watched.put(template="{workflow} {{x}} broke {count} times: {error}")
    watched.end()
    assert watched.told()[0].text == "flow {x} broke 1 times: it broke"


def test_values_are_not_read_as_a_template() -> None:
    assert render("{error}", {"error": "{workflow} {{"}) == "{workflow} {{"


@pytest.mark.parametrize(
    ("template", "said"), [("{what}", "'{what}'"), ("{", "stands alone"), ("a } b", "stands alone"), ("{0.x}", "{0.x}")]
)
def test_a_template_that_would_break_is_refused(template: str, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said.replace("{", r"\{").replace("}", r"\}")) as refused:
        check_template(template)
    assert refused.value.field == "template"


@pytest.mark.parametrize(
    ("changed", "error", "field"),
    [
        ({"name": " "}, InvalidArgument, "name"),
        ({"workflow": "no such"}, NotFound, "workflow"),
        ({"threshold": 0}, InvalidArgument, "threshold"),
        ({"threshold": 101, "kind": AlertKind.FAILURE_RATE}, InvalidArgument, "threshold"),
        ({"window_us": 1}, InvalidArgument, "window"),
        ({"quiet_us": -1}, InvalidArgument, "quiet"),
        ({"channel_ids": ()}, InvalidArgument, "channels"),
        ({"template": "{"}, InvalidArgument, "template"),
        ({"rule_id": CHANNEL}, NotFound, "rule"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else "",
)
def test_a_rule_that_makes_no_sense_is_refused_whole(
    changed: dict[str, object], error: type[BroadaxeError], field: str
) -> None:
    watched = Watched()
    with pytest.raises(error) as refused:
        watched.put(**changed)
    assert refused.value.field == field
    assert not watched.world.tenant._state.alerts.rules
    assert not watched.world.decisions[-1].writes


def test_names_are_taken_once_and_rules_are_bounded() -> None:
    watched = Watched()
    first = watched.put(name="0")
    with pytest.raises(AlreadyExists):
        watched.put(name="0")
    watched.put(name="0", rule_id=first, threshold=2)
    for number in range(1, RULES_MAX):
        watched.put(name=str(number))
    with pytest.raises(FailedPrecondition, match="delete one"):
        watched.put(name="one more")


def test_what_a_rule_watches_is_bounded() -> None:
    names = [f"flow{number}" for number in range(WATCHES_MAX + 3)]
    watched = Watched(*names)
    rule_id = watched.put()
    for name in names:
        watched.end(name=name)
    watches = watched.world.tenant._state.alerts.rules[rule_id].watches
    assert len(watches) == WATCHES_MAX + 1
    assert watches["other workflows"].count == 3


def test_a_rule_that_goes_ends_what_it_watches_in_silence() -> None:
    watched = Watched()
    rule_id = watched.put()
    watched.end()
    watched.told()
    watched.world.do(DeleteAlertRule(rule_id))
    writes = watched.world.decisions[-1].writes
    assert [row.status for row in writes.alerts] == [AlertStatus.RESOLVED]
    assert writes.deleted_alert_rules == [rule_id]
    watched.world.advance(60 * MINUTE_S)
    watched.end()
    assert watched.occasions() == []
    with pytest.raises(NotFound):
        watched.world.do(DeleteAlertRule(rule_id))


def test_a_rule_that_is_turned_off_counts_nothing() -> None:
    watched = Watched()
    rule_id = watched.put()
    watched.put(rule_id=rule_id, is_enabled=False)
    watched.end()
    assert watched.occasions() == []
    assert not watched.world.tenant._state.alerts.rules[rule_id].watches


def test_another_text_leaves_what_is_watched_alone() -> None:
    watched = Watched()
    rule_id = watched.put()
    watched.end()
    watched.put(rule_id=rule_id, template="{error}")
    watched.world.advance(6 * MINUTE_S)
    assert watched.occasions() == ["FIRED", "RESOLVED"]


def test_where_no_rule_is_nothing_is_kept() -> None:
    watched = Watched()
    watched.end()
    assert not any(decision.writes.alerts for decision in watched.world.decisions)


def test_all_of_it_comes_back_after_a_load() -> None:
    watched = Watched()
    watched.put(threshold=2, quiet_us=0)
    watched.end()
    before = watched.world
    old = before.tenant
    before.restart()
    (mine,), (theirs,) = (
        next(iter(state.alerts.rules.values())).watches.values() for state in (before.tenant._state, old._state)
    )
    assert mine.row() == theirs.row()
    assert mine.due_at_us == theirs.due_at_us
    before.decisions.clear()
    watched.end()
    assert watched.occasions() == ["FIRED"]


def test_the_audit_log_says_who_made_a_rule() -> None:
    watched = Watched()
    ann = Initiator(InitiatorKind.ACCOUNT, "1", "ann@example.com")
    rule_id = watched.world.do(Asked(rule(), ann))
    (row,) = watched.world.decisions[-1].writes.audit
    assert (row.action, row.object_id, row.object_name) == (Action.ALERT_RULE_CREATE, rule_id, "failures")
    watched.world.do(Asked(rule(rule_id=rule_id, threshold=4), ann))
    (row,) = watched.world.decisions[-1].writes.audit
    assert row.action == Action.ALERT_RULE_CHANGE
    assert '"threshold":1' in (row.before or "") and '"threshold":4' in (row.after or "")
    watched.world.do(Asked(DeleteAlertRule(str(rule_id)), ann))
    (row,) = watched.world.decisions[-1].writes.audit
    assert (row.action, row.after) == (Action.ALERT_RULE_DELETE, None)
