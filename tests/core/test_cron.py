"""Cron expressions: a table of ticks against known instants, daylight saving, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from broadaxe.core.cron import CronExpression
from broadaxe.errors import InvalidArgument


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def ticks(expression: str, after: str, count: int) -> list[str]:
    cron, at_us, found = CronExpression(expression, field="cron"), us(after), []
    for _ in range(count):
        next_us = cron.next_after(at_us)
        assert next_us is not None
        at_us = next_us
        found.append(datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("* * * * *", "2026-01-01 00:00:00", ["2026-01-01 00:01:00", "2026-01-01 00:02:00"]),
        ("*/2 * * * * *", "2026-01-01 00:00:57", ["2026-01-01 00:00:58", "2026-01-01 00:01:00"]),
        ("30 15 10 * * *", "2026-01-01 10:15:30", ["2026-01-02 10:15:30"]),
        ("0 0 1 1 *", "2026-01-01 00:00:00", ["2027-01-01 00:00:00"]),
        ("59 23 31 12 *", "2026-01-01 00:00:00", ["2026-12-31 23:59:00", "2027-12-31 23:59:00"]),
        ("0 0 29 2 *", "2026-01-01 00:00:00", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 29 2 *", "2096-03-01 00:00:00", ["2104-02-29 00:00:00"]),
        ("0 0 31 * *", "2026-01-31 00:00:00", ["2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        ("15,45 9-17/4 * * 1-5", "2026-01-02 17:20:00", ["2026-01-02 17:45:00", "2026-01-05 09:15:00"]),
        ("10/20 * * * *", "2026-01-01 00:00:00", ["2026-01-01 00:10:00", "2026-01-01 00:30:00", "2026-01-01 00:50:00"]),
        ("0 12 * JAN-mar Mon", "2026-03-24 00:00:00", ["2026-03-30 12:00:00", "2027-01-04 12:00:00"]),
        ("0 0 * * 7", "2026-01-01 00:00:00", ["2026-01-04 00:00:00"]),
        ("0 0 * * sat-sun", "2026-01-01 00:00:00", ["2026-01-03 00:00:00", "2026-01-04 00:00:00"]),
        ("0 0 * * */3", "2026-01-01 00:00:00", ["2026-01-03 00:00:00", "2026-01-04 00:00:00", "2026-01-07 00:00:00"]),
        # Both day fields restricted: either will do. One of them begins with a star: both must hold.
        ("0 0 13 * fri", "2026-02-01 00:00:00", ["2026-02-06 00:00:00", "2026-02-13 00:00:00", "2026-02-20 00:00:00"]),
        ("0 0 */2 * mon", "2026-01-01 00:00:00", ["2026-01-05 00:00:00", "2026-01-19 00:00:00"]),
        ("0 0 ? * mon", "2026-01-01 00:00:00", ["2026-01-05 00:00:00"]),
        ("@yearly", "2026-06-01 00:00:00", ["2027-01-01 00:00:00"]),
        ("@annually", "2026-06-01 00:00:00", ["2027-01-01 00:00:00"]),
        ("@monthly", "2026-06-01 00:00:00", ["2026-07-01 00:00:00"]),
        ("@weekly", "2026-01-01 00:00:00", ["2026-01-04 00:00:00"]),
        ("@daily", "2026-01-01 00:00:00", ["2026-01-02 00:00:00"]),
        ("@midnight", "2026-01-01 00:00:00", ["2026-01-02 00:00:00"]),
        ("@hourly", "2026-01-01 00:00:00", ["2026-01-01 01:00:00"]),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "2026-01-01 00:00:00", ["2026-01-01 08:00:00"]),
        ("TZ=America/New_York 0 9 * * *", "2026-07-01 00:00:00", ["2026-07-01 13:00:00"]),
        ("TZ=UTC 0 9 * * *", "2026-07-01 00:00:00", ["2026-07-01 09:00:00"]),
        ("CRON_TZ=Asia/Kolkata @daily", "2026-01-01 00:00:00", ["2026-01-01 18:30:00"]),
        ("CRON_TZ=Europe/Berlin 0 0 1 7 *", "2026-01-01 00:00:00", ["2026-06-30 22:00:00", "2027-06-30 22:00:00"]),
    ],
)  # fmt: skip
def test_ticks(expression: str, after: str, expected: list[str]) -> None:
    assert ticks(expression, after, len(expected)) == expected


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        # Berlin, 29 March 2026: at 01:00 UTC the clock jumps from 02:00 to 03:00.
        ("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 00:30:00"]),
        ("CRON_TZ=Europe/Berlin */20 2 * * *", "2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 00:00:00"]),
        ("CRON_TZ=Europe/Berlin 0 2,3 * * *", "2026-03-28 12:00:00", ["2026-03-29 01:00:00", "2026-03-30 00:00:00"]),
        ("CRON_TZ=Europe/Berlin 30 * * * *", "2026-03-29 00:00:00", ["2026-03-29 00:30:00", "2026-03-29 01:30:00"]),
        ("CRON_TZ=Europe/Berlin 0 */2 * * *", "2026-03-28 23:00:00", ["2026-03-29 02:00:00", "2026-03-29 04:00:00"]),
        # Berlin, 25 October 2026: at 01:00 UTC the clock goes from 03:00 back to 02:00.
        ("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-24 12:00:00", ["2026-10-25 00:30:00", "2026-10-26 01:30:00"]),
        ("CRON_TZ=Europe/Berlin 30 2 * * *", "2026-10-25 01:10:00", ["2026-10-26 01:30:00"]),
        ("CRON_TZ=Europe/Berlin 30 * * * *", "2026-10-25 00:00:00",
         ["2026-10-25 00:30:00", "2026-10-25 01:30:00", "2026-10-25 02:30:00"]),
        # New York, 8 March and 1 November 2026: at 07:00 UTC from 02:00 to 03:00, at 06:00 UTC from 02:00 to 01:00.
        ("CRON_TZ=America/New_York 15 2 * * *", "2026-03-07 12:00:00", ["2026-03-08 07:00:00", "2026-03-09 06:15:00"]),
        ("CRON_TZ=America/New_York 15 1 * * *", "2026-10-31 12:00:00", ["2026-11-01 05:15:00", "2026-11-02 06:15:00"]),
        ("CRON_TZ=America/New_York 15 * * * *", "2026-11-01 05:00:00",
         ["2026-11-01 05:15:00", "2026-11-01 06:15:00", "2026-11-01 07:15:00"]),
        # Lord Howe Island changes by half an hour.
        ("CRON_TZ=Australia/Lord_Howe 10 2 * * *", "2026-10-03 00:00:00",
         ["2026-10-03 15:30:00", "2026-10-04 15:10:00"]),
    ],
)  # fmt: skip
def test_daylight_saving(expression: str, after: str, expected: list[str]) -> None:
    assert ticks(expression, after, len(expected)) == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_a_named_hour_comes_once_on_every_day_of_ten_years(zone: str) -> None:
    cron = CronExpression(f"CRON_TZ={zone} 30 2 * * *", field="cron")
    at_us, days = us("2026-01-01 12:00:00"), []
    while at_us < us("2036-01-01 00:00:00"):
        next_us = cron.next_after(at_us)
        assert next_us is not None
        at_us = next_us
        days.append(datetime.fromtimestamp(at_us / 1e6, ZoneInfo(zone)).date())
    assert all(after - before == timedelta(days=1) for before, after in pairwise(days))


def test_every_hour_comes_in_every_real_hour_of_ten_years() -> None:
    cron = CronExpression("CRON_TZ=Europe/Berlin 0 * * * *", field="cron")
    at_us = us("2026-01-01 12:00:00")
    for _ in range(24 * 365):
        next_us = cron.next_after(at_us)
        assert next_us == at_us + 3_600_000_000
        at_us = next_us


def test_a_tick_is_strictly_later_also_within_its_second() -> None:
    cron = CronExpression("* * * * * *", field="cron")
    assert cron.next_after(us("2026-01-01 00:00:00")) == us("2026-01-01 00:00:01")
    assert cron.next_after(us("2026-01-01 00:00:00") - 1) == us("2026-01-01 00:00:00")
    assert cron.next_after(us("2026-01-01 00:00:00") + 1) == us("2026-01-01 00:00:01")


def test_after_the_year_9999_nothing_comes() -> None:
    assert CronExpression("@yearly", field="cron").next_after(us("9999-06-01 00:00:00")) is None


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("* * * * * * *", "five fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day of month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day of week"),
        ("* * * foo *", "month"),
        ("*/0 * * * *", "step"),
        ("*/90 * * * *", "step"),
        ("30-10 * * * *", "ends before it begins"),
        ("1,,2 * * * *", "cannot be read"),
        ("1-2-3 * * * *", "cannot be read"),
        ("? * * * *", "cannot be read"),
        ("-1 * * * *", "cannot be read"),
        ("\u0663 * * * *", "cannot be read"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("@every 1h", "abbreviation"),
        ("@reboot", "abbreviation"),
        ("TZ=Nowhere/Land * * * * *", "time zone"),
        ("TZ=../../etc/passwd * * * * *", "time zone"),
        ("TZ=/etc/passwd * * * * *", "time zone"),
        ("TZ=Europe * * * * *", "time zone"),
        ("TZ=localtime * * * * *", "time zone"),
        ("TZ= * * * * *", "time zone"),
        ("0 " * 200, "255 characters"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(expression: str, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says) as refused:
        CronExpression(expression, field="cron_triggers[3]")
    assert refused.value.field == "cron_triggers[3]"
