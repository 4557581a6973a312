"""Which runs are meant: what lists, counts and acts on all that match have in common.

Owns the parameters of a query and the fields of a body, and what becomes of them: one `RunFilter`, so that what is
listed, counted and acted on is the same. Names and texts are looked up among the tenant's workflows here. Refuses to
read runs (`storage/reads.py`).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel, BeforeValidator, Field, WithJsonSchema

from broadaxe.core.lifecycle import RunCause, RunStatus
from broadaxe.rest.context import Context
from broadaxe.rest.parameters import (
    BODY_VALUES_MAX,
    Body,
    Id,
    IdList,
    InputInstant,
    StatusList,
    TextList,
    metadata_pairs,
    plain_text,
    strict_metadata_pairs,
)
from broadaxe.storage.payload_search import PayloadSearch, Searched, payload_terms
from broadaxe.storage.run_filter import RunFilter
from broadaxe.storage.run_names import name_search

__all__ = ["RunSelection", "RunTraits", "SelectionBody", "until_or_later"]

SEARCH_LENGTH_MAX: Final = 200
#: Clocks of clients may run ahead of ours.
_AHEAD: Final = timedelta(days=1)
_ID_DIGITS: Final = re.compile(r"[0-9a-f]{1,32}")

RunningFilter = Literal["ALL", "EVICTED", "ON_WORKER"]


def _parse_id_prefix(text: object) -> str:
    digits = text.replace("-", "").lower() if isinstance(text, str) else ""
    if not _ID_DIGITS.fullmatch(digits):
        raise ValueError("this is not the beginning of an id; it has hexadecimal digits and hyphens, like 0b1d2c3e-00")
    return digits


IdPrefix = Annotated[
    str, BeforeValidator(_parse_id_prefix), WithJsonSchema({"type": "string", "pattern": "^[0-9a-fA-F-]{1,36}$"})
]
SearchText = Annotated[
    str | None,
    Field(
        max_length=SEARCH_LENGTH_MAX,
        description="Part of a workflow's name, or of a run's name when no workflow's name has it; whatever the case.",
    ),
]
IdPrefixField = Annotated[IdPrefix | None, Field(description="How the id begins, or the whole of it.")]
_VALUES: Final = (
    "Texts path=value, like customer.id=acme, all of which must be so; looked for in the newest 10,000 runs that pass "
    "everything else."
)
InputValues = Annotated[TextList, Field(description=f"Of the run's input. {_VALUES}")]
OutputValues = Annotated[TextList, Field(description=f"Of the output of a task of the run. {_VALUES}")]
ParentRunId = Annotated[Id | None, Field(description="The run, or the task, that started it.")]


class RunTraits(BaseModel):
    """What may be asked beside the status."""

    since: InputInstant
    until: InputInstant | None = None
    workflow_ids: IdList = None
    workflow_names: TextList = None
    additional_metadata: TextList = None
    additional_metadata_operator: Literal["OR", "AND"] = "OR"
    parent_task_external_id: Id | None = None
    parent_run_external_id: ParentRunId = None
    triggering_event_external_id: Id | None = None
    idempotency_keys: TextList = None
    causes: Annotated[list[RunCause] | None, Query()] = None
    external_id_prefix: IdPrefixField = None
    search: SearchText = None
    worker_id: Annotated[
        Id | None, Field(description="Runs: with a task among the newest 10,000 that the worker took.")
    ] = None

    input: InputValues = None
    output: OutputValues = None

    async def wanted(self, context: Context, tenant_id: str) -> RunFilter:
        return (await self.searched(context, tenant_id))[0]

    async def searched(
        self, context: Context, tenant_id: str, *, of_tasks: bool = False
    ) -> tuple[RunFilter, Searched | None]:
        """The filter, and what was found in payloads if that was asked for; `of_tasks` when statuses are those of
        tasks."""
        named = await _named(context, self.asked(tenant_id), self.workflow_names, self.search)
        return await _with_payloads(context, named, _payload_search(self.input, self.output), of_tasks=of_tasks)

    def asked(self, tenant_id: str) -> RunFilter:
        """The filter without what has to be looked up."""
        return RunFilter(
            tenant_id=tenant_id,
            since=self.since,
            until=until_or_later(self.until),
            workflow_ids=_given(self.workflow_ids),
            worker_id=self.worker_id,
            parent_task_id=self.parent_task_external_id,
            parent_id=self.parent_run_external_id,
            event_id=self.triggering_event_external_id,
            metadata=metadata_pairs(self.additional_metadata),
            match_all=self.additional_metadata_operator == "AND",
            idempotency_keys=_given(self.idempotency_keys),
            causes=frozenset(self.causes) if self.causes else None,
            id_prefix=self.external_id_prefix,
        )


class RunSelection(RunTraits):
    """The filter that the run list, the ids and the count share."""

    statuses: StatusList = None
    running_filter: RunningFilter = "ALL"

    def asked(self, tenant_id: str) -> RunFilter:
        return msgspec.structs.replace(
            super().asked(tenant_id),
            statuses=frozenset(self.statuses) if self.statuses else None,
            evicted=_evicted(self.running_filter),
        )


class SelectionBody(Body):
    """The same in a body, whose metadata pairs have to be pairs."""

    since: InputInstant
    until: InputInstant | None = None
    statuses: list[RunStatus] | None = None
    workflow_ids: list[Id] | None = Field(default=None, max_length=BODY_VALUES_MAX)
    workflow_names: list[str] | None = Field(default=None, max_length=BODY_VALUES_MAX)
    additional_metadata: list[str] | None = Field(default=None, max_length=BODY_VALUES_MAX)
    additional_metadata_operator: Literal["OR", "AND"] = "OR"
    parent_task_external_id: Id | None = None
    parent_run_external_id: ParentRunId = None
    triggering_event_external_id: Id | None = None
    idempotency_keys: list[str] | None = Field(default=None, max_length=BODY_VALUES_MAX)
    causes: list[RunCause] | None = None
    external_id_prefix: IdPrefixField = None
    search: SearchText = None
    worker_id: Id | None = None
    running_filter: RunningFilter = "ALL"
    input: InputValues = None
    output: OutputValues = None

    async def wanted(self, context: Context, tenant_id: str, statuses: frozenset[RunStatus]) -> RunFilter:
        """`statuses` are meant when it names none."""
        named = await _named(
            context,
            RunFilter(
                tenant_id=tenant_id,
                since=self.since,
                until=until_or_later(self.until),
                statuses=frozenset(self.statuses) if self.statuses else statuses,
                workflow_ids=_given(self.workflow_ids),
                worker_id=self.worker_id,
                parent_task_id=self.parent_task_external_id,
                parent_id=self.parent_run_external_id,
                event_id=self.triggering_event_external_id,
                metadata=strict_metadata_pairs(self.additional_metadata, field="filter.additionalMetadata"),
                match_all=self.additional_metadata_operator == "AND",
                idempotency_keys=_given(self.idempotency_keys),
                causes=frozenset(self.causes) if self.causes else None,
                id_prefix=self.external_id_prefix,
                evicted=_evicted(self.running_filter),
            ),
            self.workflow_names,
            self.search,
        )
        search = _payload_search(self.input, self.output, prefix="filter.")
        return (await _with_payloads(context, named, search))[0]


def until_or_later(until: datetime | None) -> datetime:
    """The end of a time range, which is open without one."""
    return until or datetime.now(UTC) + _AHEAD


async def _named(context: Context, wanted: RunFilter, names: list[str] | None, search: str | None) -> RunFilter:
    """The filter with the workflows that names and a text stand for."""
    if names:
        known = [plain_text(name, field="workflow_names") for name in names]
        wanted = _only(wanted, await context.catalogue.workflows_named(wanted.tenant_id, known))
    if not search:
        return wanted
    meant = name_search(plain_text(search, field="search"))
    workflow_ids, counts_birth = await context.catalogue.workflows_of_search(wanted.tenant_id, meant)
    wanted = _only(wanted, workflow_ids)
    if not counts_birth or meant.born is None:
        return wanted
    since, until = max(wanted.since, meant.born.since), min(wanted.until, meant.born.until)
    return msgspec.structs.replace(wanted, since=since, until=until)


def _payload_search(inputs: list[str] | None, outputs: list[str] | None, *, prefix: str = "") -> PayloadSearch | None:
    if not inputs and not outputs:
        return None
    return PayloadSearch(payload_terms(inputs, field=f"{prefix}input"), payload_terms(outputs, field=f"{prefix}output"))


async def _with_payloads(
    context: Context, wanted: RunFilter, search: PayloadSearch | None, *, of_tasks: bool = False
) -> tuple[RunFilter, Searched | None]:
    if search is None:
        return wanted, None
    of_runs = msgspec.structs.replace(wanted, statuses=None, evicted=None) if of_tasks else wanted
    searched = await context.reads.runs_by_payload(of_runs, search)
    return msgspec.structs.replace(wanted, ids=searched.ids), searched


def _only(wanted: RunFilter, workflow_ids: tuple[str, ...]) -> RunFilter:
    before = wanted.workflow_ids
    both = workflow_ids if before is None else tuple(one for one in before if one in set(workflow_ids))
    return msgspec.structs.replace(wanted, workflow_ids=both)


def _given(values: list[str] | None) -> tuple[str, ...] | None:
    return tuple(values) if values else None


def _evicted(running_filter: RunningFilter) -> bool | None:
    return None if running_filter == "ALL" else running_filter == "EVICTED"
