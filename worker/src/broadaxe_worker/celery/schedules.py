"""From Celery's schedules to cron expressions, which the engine ticks by itself."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from broadaxe_worker.celery.exceptions import NotPossible

__all__ = ["crontab", "expression", "schedule"]

_DAY_S: Final = 86_400


class crontab:
    """Celery's: strings, numbers or lists of them."""

    def __init__(
        self,
        minute: str | int | Iterable[int] = "*",
        hour: str | int | Iterable[int] = "*",
        day_of_week: str | int | Iterable[int] = "*",
        day_of_month: str | int | Iterable[int] = "*",
        month_of_year: str | int | Iterable[int] = "*",
    ) -> None:
        fields = (minute, hour, day_of_month, month_of_year, day_of_week)
        self.expression = " ".join(_field(each) for each in fields)
        if day_of_month not in ("*",) and day_of_week not in ("*",):
            # A cron of the engine, as cron has always had it, comes when either fits.
            raise NotPossible(
                "crontab(day_of_week=..., day_of_month=...) means both at once in Celery and either in a cron; "
                "give one, and look at the other in the task"
            )

    def __repr__(self) -> str:
        return f"<crontab: {self.expression}>"


class schedule:
    def __init__(self, run_every: float | timedelta) -> None:
        self.run_every = run_every if isinstance(run_every, timedelta) else timedelta(seconds=run_every)


def _field(given: str | int | Iterable[int]) -> str:
    text = given if isinstance(given, str) else str(given) if isinstance(given, int) else ",".join(map(str, given))
    return "".join(text.split()) or "*"


def expression(given: object, timezone: str = "UTC") -> str:
    """The cron expression that ticks when the schedule does. NotPossible when none does."""
    if isinstance(given, crontab):
        zone = "" if timezone.upper() in ("UTC", "ETC/UTC") else f"CRON_TZ={timezone} "
        return zone + given.expression
    every = given.run_every if isinstance(given, schedule) else given
    if isinstance(every, timedelta):
        every = every.total_seconds()
    if isinstance(every, bool) or not isinstance(every, int | float):
        raise NotPossible(
            f"a {type(given).__name__} is no schedule here; give a number of seconds, a timedelta or a crontab"
        )
    seconds = int(every)
    if seconds == every and 0 < seconds <= _DAY_S:
        for unit_s, units, form in (
            (1, 60, "{} * * * * *"),
            (60, 60, "{} * * * *"),
            (3600, 24, "0 {} * * *"),
            (_DAY_S, 1, "0 0 * * {}"),
        ):
            count, rest = divmod(seconds, unit_s)
            if not rest and count <= units and units % count == 0 and (count < units or units == 1):
                return form.format("*" if count == 1 else f"*/{count}")
    raise NotPossible(
        f"every {every:g} s is no cron: give a part of a minute, an hour or a day that goes into it evenly, "
        "or a crontab"
    )
