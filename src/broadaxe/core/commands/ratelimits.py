"""Commands about rate limits."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING


class PutRateLimit(msgspec.Struct, frozen=True):
    """Creates or changes a static rate limit. Reply: None."""

    key: str
    limit: int
    window_us: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class DeleteRateLimit(msgspec.Struct, frozen=True):
    """Forgets a rate limit; tasks under it wait until it is put again. Reply: None. NotFound if absent."""

    key: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ForgetRateLimits(msgspec.Struct, frozen=True):
    """Forgets dynamic rate limits that nobody used since then. Reply: how many, at most
    `ratelimits.FORGOTTEN_AT_ONCE_MAX`."""

    unused_since_us: int

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class PauseRateLimit(msgspec.Struct, frozen=True):
    """No units until then; an earlier instant never shortens a pause. Reply: the instant in force, in microseconds."""

    key: str
    until_us: int

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
