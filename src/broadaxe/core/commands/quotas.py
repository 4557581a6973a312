"""Commands about quotas: what the tenant may have."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING


class Resource(StrEnum):
    """What can be limited, by the names of the protocol."""

    TASK_RUN = "TASK_RUN"
    EVENT = "EVENT"
    WORKER = "WORKER"
    WORKER_SLOT = "WORKER_SLOT"
    INCOMING_WEBHOOK = "INCOMING_WEBHOOK"


class QuotaState(msgspec.Struct, frozen=True, gc=False):
    """How a resource stands now. `value` of INCOMING_WEBHOOK is 0: storage knows it. The window and when it began are
    None for what is counted as it is, the beginning also before the first use."""

    resource: Resource
    limit: int
    value: int
    window_us: int | None = None
    since_us: int | None = None


class SetQuotas(msgspec.Struct, frozen=True):
    """The tenant's own limits by resource, None for no limit; all others are the defaults. They are kept by whoever
    sets them. Reply: None."""

    limits: dict[Resource, int | None]

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING


class ShowQuotas(msgspec.Struct, frozen=True):
    """Reply: tuple of `QuotaState`, empty while limits are not enforced."""

    is_repeatable: ClassVar = True
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
