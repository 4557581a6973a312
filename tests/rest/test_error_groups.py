"""Failed tasks grouped by the mistake they died of."""

from __future__ import annotations

import traceback
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hatchet_sdk.exceptions import TaskRunError

from broadaxe.rest.error_groups import mistake_of
from broadaxe.storage import accounts
from broadaxe.storage.ids import new_id

from .conftest import Seeds

if TYPE_CHECKING:
    from .conftest import Site

LONG_AGO = "2000-01-01T00:00:00Z"
WORKER = "0b1d2c3e-0000-4000-8000-00000000000a"
ANOTHER_WORKER = "9c1d2c3e-0000-4000-8000-00000000000b"


def python_error(kind: str, message: str, *frames: tuple[str, int, str, str]) -> str:
    """As the Python SDK sends it."""
    trace = "Traceback (most recent call last):\n" + "".join(
        f'  File "{file}", line {line}, in {function}\n    {code}\n' for file, line, function, code in frames
    )
    return TaskRunError(message, kind, f"{trace}{kind}: {message}\n", new_id()).serialize(include_metadata=True)


SDK = ("/venv/lib/python3.11/site-packages/hatchet_sdk/worker/runner.py", 9, "run", "return await call()")
OWN = ("/app/orders/mails.py", 201, "send", 'return TEMPLATES[order["kind"]]')
LIBRARY = ("/venv/lib/python3.11/site-packages/jinja2/loaders.py", 75, "load", "raise KeyError(name)")


def test_the_place_is_the_last_frame_of_the_authors_own_code() -> None:
    mistake = mistake_of(
        python_error("KeyError", "'gold'", SDK, ("/app/run.py", 3, "step", "send(order)"), OWN, LIBRARY)
    )
    assert (mistake.kind, mistake.message) == ("KeyError", "'gold'")
    assert (mistake.file, mistake.line, mistake.function) == OWN[:3]
    assert mistake.code == OWN[3]


def test_a_real_error_of_the_sdk_is_read() -> None:
    def divide() -> float:
        return 1 / 0

    try:
        divide()
    except ZeroDivisionError as error:
        text = TaskRunError.from_exception(error, new_id()).serialize(include_metadata=True)
        bare = "".join(traceback.format_exception(error))
    for one in (text, bare):
        mistake = mistake_of(one)
        assert (mistake.kind, mistake.message) == ("ZeroDivisionError", "division by zero")
        assert (mistake.file, mistake.function, mistake.code) == (__file__, "divide", "return 1 / 0")


def test_what_differs_from_run_to_run_does_not_part_a_group() -> None:
    first = mistake_of(python_error("KeyError", "'gold'", SDK, OWN)).fingerprint()
    elsewhere = (OWN[0], 202, *OWN[2:])
    assert mistake_of(python_error("KeyError", "'tin'", SDK, OWN, LIBRARY)).fingerprint() == first
    assert mistake_of(python_error("KeyError", "'gold'", elsewhere)).fingerprint() == first, "the line has moved"
    assert mistake_of(python_error("ValueError", "'gold'", OWN)).fingerprint() != first
    assert mistake_of(python_error("KeyError", "'gold'", (*OWN[:3], "return other[0]"))).fingerprint() != first


def test_the_last_exception_of_a_chain_counts() -> None:
    cause = python_error("KeyError", "1", ("/app/a.py", 1, "inner", "x[1]")).partition("\n")[2].partition("\n\n{")[0]
    text = f"{cause}\nThe above exception was the direct cause of the following exception:\n\n" + "".join(
        (
            "Traceback (most recent call last):\n",
            '  File "/app/b.py", line 2, in outer\n    raise Refused() from error\n',
        )
    )
    mistake = mistake_of(f"Refused: no\n{text}app.Refused: no")
    assert (mistake.kind, mistake.file) == ("Refused", "/app/b.py")


def test_a_stack_of_javascript_is_read_from_its_front() -> None:
    mistake = mistake_of(
        "TypeError: x is undefined\n    at get (/app/node_modules/lodash/get.js:1:2)\n"
        "    at price (/app/src/price.ts:31:14)\n    at run (/app/src/index.ts:5:1)"
    )
    assert (mistake.kind, mistake.file, mistake.line, mistake.function) == (
        "TypeError",
        "/app/src/price.ts",
        31,
        "price",
    )


@pytest.mark.parametrize(
    ("one", "other", "are_same"),
    [
        ("the task ran longer than 60s", "the task ran longer than 5s", True),
        ("no worker took order 'a'", "no worker took order 'b'", True),
        (f"worker {WORKER} was lost", f"worker {ANOTHER_WORKER} was lost", True),
        ("the task ran longer than 60s", "the task waited longer than 60s", False),
        ("ValueError: bad", "TypeError: bad", False),
        ("", " ", True),
    ],
)
def test_a_text_without_frames_is_known_by_its_first_line(one: str, other: str, are_same: bool) -> None:
    assert (mistake_of(one).fingerprint() == mistake_of(other).fingerprint()) is are_same


@pytest.mark.parametrize(
    "text", ["\n" * 8_000, " " * 8_000, "a: " * 3_000, '  File "x", line 1, in ' * 300, "(" * 8_000]
)
def test_odd_texts_are_read_as_well(text: str) -> None:
    assert len(mistake_of(text).fingerprint()) == 16


async def test_failures_are_grouped_and_a_group_tells_its_tasks(site: Site) -> None:
    greet, other = await site.seeds.single("greet"), await site.seeds.single("other")
    late = site.seeds.now + timedelta(seconds=30)
    runs = [
        await site.seeds.run(made, status="FAILED", task={"status": "FAILED", "error": error, "finished_at": at})
        for made, error, at in (
            (greet, python_error("KeyError", "1", SDK, OWN), site.seeds.now),
            (other, python_error("KeyError", "2", SDK, OWN), late),
            (greet, "the task ran longer than 60s", site.seeds.now),
        )
    ]
    await site.seeds.run(greet, status="COMPLETED", task={"status": "COMPLETED"})
    answer = (await site.client.get(f"{site.stable}/error-groups", params={"since": LONG_AGO})).json()
    assert answer["tasksLookedAt"] == 3
    assert "oldestLookedAt" not in answer
    group, lone = answer["rows"]
    assert (group["count"], lone["count"]) == (2, 1)
    assert (group["exceptionType"], group["file"], group["line"]) == ("KeyError", OWN[0], 201)
    assert lone["message"] == "the task ran longer than 60s"
    assert "file" not in lone
    assert group["exampleRunExternalId"] == runs[1]
    assert group["firstSeenAt"] < group["lastSeenAt"]
    assert [workflow["name"] for workflow in group["workflows"]] in (["greet", "other"], ["other", "greet"])
    path = f"{site.stable}/error-groups/{group['fingerprint']}/tasks"
    tasks = (await site.client.get(path, params={"since": LONG_AGO})).json()["rows"]
    assert [task["taskExternalId"] for task in tasks] == [runs[1], runs[0]]
    narrow = await site.client.get(path, params={"since": LONG_AGO, "workflow_names": "greet"})
    assert [task["taskExternalId"] for task in narrow.json()["rows"]] == [runs[0]]
    gone = await site.client.get(path, params={"since": LONG_AGO, "until": LONG_AGO})
    assert gone.status_code == 404
    bad = await site.client.get(f"{site.stable}/error-groups/xyz/tasks", params={"since": LONG_AGO})
    assert bad.status_code == 400


async def test_failures_of_other_tenants_are_theirs(site: Site) -> None:
    stranger = await accounts.create_tenant(site.seeds.pool, "Other", "other", site.owner.id)
    elsewhere = Seeds(site.seeds.pool, stranger.id)
    await elsewhere.run(await elsewhere.single(), status="FAILED", task={"status": "FAILED", "error": "theirs"})
    answer = await site.client.get(f"{site.stable}/error-groups", params={"since": LONG_AGO})
    assert answer.json() == {"rows": [], "tasksLookedAt": 0}
