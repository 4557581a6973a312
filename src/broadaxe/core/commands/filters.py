"""Commands about event filters."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from broadaxe.core.commands.needs import NOTHING


class CreateFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Makes an event filter. `payload` is a JSON object text. Reply: its id. NotFound for an unknown workflow."""

    workflow_id: str
    scope: str
    expression: str
    payload: str = "{}"

    is_repeatable: ClassVar = False
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload)


class ChangeFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Changes what is not None. Reply: None. NotFound if absent."""

    filter_id: str
    scope: str | None = None
    expression: str | None = None
    payload: str | None = None

    is_repeatable: ClassVar = True
    needs: ClassVar = NOTHING

    @property
    def chars(self) -> int:
        return len(self.payload or "")


class DeleteFilter(msgspec.Struct, frozen=True):
    """Forgets an event filter, declared or not. Reply: None. NotFound if absent."""

    filter_id: str

    is_repeatable: ClassVar = False
    chars: ClassVar = 0
    needs: ClassVar = NOTHING
