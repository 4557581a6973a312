"""A second factor: an authenticator app besides the password, and recovery codes for who lost it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import pyotp
import pytest

from broadaxe.core.audit import Action
from broadaxe.storage import second_factors
from broadaxe.storage.audit_groups import ENTRIES_AT_ONCE
from broadaxe.storage.second_factors import STEP_S
from tests.rest.test_members import PASSWORD, Browser, owner, written

if TYPE_CHECKING:
    from .conftest import Serve, Site

FACTOR = "/api/v1/stable/users/second-factor"
LOGIN = "/api/v1/users/login"


class Clock:
    """The time that codes are of: it stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def time(self) -> float:
        return self.now_s

    def pass_steps(self, steps: int) -> None:
        self.now_s += steps * STEP_S


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr("broadaxe.rest.sessions.time", made)
    monkeypatch.setattr("broadaxe.rest.routers.second_factors.time", made)
    return made


@pytest.fixture
async def sealed(serve: Serve) -> Site:
    """A server with a key to keep secrets with."""
    return await serve(secret_keys=(bytes(32),))


async def enrolled(site: Site, clock: Clock) -> tuple[Browser, pyotp.TOTP, list[str]]:
    """Ada at her browser, her app, and her recovery codes. The code of this step is used."""
    ada = await owner(site)
    begun = await ada.ask("POST", FACTOR, {"password": PASSWORD})
    assert begun.status_code == 200, begun.text
    app = pyotp.parse_uri(begun.json()["address"])
    assert isinstance(app, pyotp.TOTP) and app.secret == begun.json()["secret"]
    assert (app.name, app.issuer) == ("ada@example.com", "Broadaxe")
    confirmed = await ada.ask("POST", f"{FACTOR}/confirm", {"code": app.at(int(clock.now_s))})
    assert confirmed.status_code == 200, confirmed.text
    return ada, app, confirmed.json()["codes"]


async def log_in(site: Site, **more: Any) -> httpx.Response:
    return await Browser(site).ask("POST", LOGIN, {"email": "ada@example.com", "password": PASSWORD, **more})


def field_of(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["errors"][0].get("field")


async def test_whoever_has_an_app_is_asked_for_its_code(sealed: Site, clock: Clock) -> None:
    ada, app, codes = await enrolled(sealed, clock)
    shown = (await ada.ask("GET", FACTOR)).json()
    assert (shown["isOn"], shown["recoveryCodesLeft"]) == (True, len(codes)) and len(set(codes)) == 10
    rows = str(await sealed.seeds.pool.fetch("select * from broadaxe.second_factor"))
    assert app.secret not in rows and codes[0] not in str(
        await sealed.seeds.pool.fetch("select * from broadaxe.recovery_code")
    )
    assert field_of(await log_in(sealed)) == (400, "code")
    # A wrong password says nothing of a second factor.
    wrong = await Browser(sealed).ask("POST", LOGIN, {"email": "ada@example.com", "password": "Wrong-horse-1"})
    assert field_of(wrong) == (400, None)
    clock.pass_steps(1)
    answer = await log_in(sealed, code=app.at(int(clock.now_s)))
    assert answer.status_code == 200, answer.text
    page = await sealed.seeds.pool.fetchval(
        "select after from broadaxe.audit_entry where action = 'account.log_in' and refusal = ''"
    )
    assert '"second_factor":"code"' in page


async def test_a_code_counts_once_and_for_its_time(sealed: Site, clock: Clock) -> None:
    _, app, _ = await enrolled(sealed, clock)
    # The one that confirmed is used.
    assert field_of(await log_in(sealed, code=app.at(int(clock.now_s)))) == (400, "code")
    clock.pass_steps(2)
    code = app.at(int(clock.now_s))
    answers = await asyncio.gather(*(log_in(sealed, code=code) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [200, 400, 400]
    # A clock may be off by one step, and by no more.
    clock.pass_steps(2)
    assert (await log_in(sealed, code=app.at(int(clock.now_s) + STEP_S))).status_code == 200
    clock.pass_steps(4)
    assert field_of(await log_in(sealed, code=app.at(int(clock.now_s) - 2 * STEP_S))) == (400, "code")


async def test_a_recovery_code_lets_in_once(sealed: Site, clock: Clock) -> None:
    ada, _, codes = await enrolled(sealed, clock)
    assert (await log_in(sealed, code=codes[0].lower().replace("-", " "))).status_code == 200
    assert field_of(await log_in(sealed, code=codes[0])) == (400, "code")
    assert (await ada.ask("GET", FACTOR)).json()["recoveryCodesLeft"] == 9


async def test_codes_are_not_guessed(sealed: Site, clock: Clock) -> None:
    _, app, _ = await enrolled(sealed, clock)
    clock.pass_steps(3)
    statuses = [(await log_in(sealed, code=f"{n:06}")).status_code for n in range(10)]
    assert statuses == [400] * 10
    assert (await log_in(sealed, code=app.at(int(clock.now_s)))).status_code == 429
    refused = "select count(*) from broadaxe.audit_entry where action = 'account.log_in' and refusal <> ''"
    # The others are counted into one entry later.
    assert await sealed.seeds.pool.fetchval(refused) == ENTRIES_AT_ONCE


async def test_it_is_turned_off_with_the_password_alone(sealed: Site, clock: Clock) -> None:
    ada, _, _ = await enrolled(sealed, clock)
    assert field_of(await ada.ask("POST", f"{FACTOR}/off", {"password": "Wrong-horse-1"})) == (400, "password")
    again = await ada.ask("POST", FACTOR, {"password": PASSWORD})
    assert again.status_code == 400 and "turn it off first" in again.text
    assert (await ada.ask("POST", f"{FACTOR}/off", {"password": PASSWORD})).status_code == 200
    assert (await ada.ask("GET", FACTOR)).json() == {"isOn": False}
    assert (await log_in(sealed)).status_code == 200
    actions = [action for action, _, _ in await written(sealed)]
    assert actions == [Action.ACCOUNT_ADD_SECOND_FACTOR, Action.ACCOUNT_REMOVE_SECOND_FACTOR, Action.ACCOUNT_LOG_IN]


async def test_what_was_begun_and_not_confirmed_asks_nobody(sealed: Site, clock: Clock) -> None:
    ada = await owner(sealed)
    first = (await ada.ask("POST", FACTOR, {"password": PASSWORD})).json()["secret"]
    second = (await ada.ask("POST", FACTOR, {"password": PASSWORD})).json()["secret"]
    assert first != second and (await log_in(sealed)).status_code == 200
    stale = await ada.ask("POST", f"{FACTOR}/confirm", {"code": pyotp.TOTP(first).at(int(clock.now_s))})
    assert field_of(stale) == (400, "code")
    assert not await second_factors.is_on(sealed.seeds.pool, sealed.owner.id)


async def test_an_engine_without_a_key_keeps_no_secret(site: Site) -> None:
    refused = await (await owner(site)).ask("POST", FACTOR, {"password": PASSWORD})
    assert refused.status_code == 400 and "BROADAXE_SECRET_KEY" in refused.text
