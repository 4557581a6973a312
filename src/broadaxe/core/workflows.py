"""Workflows: their definitions are put, as a new version only if they differ, and deleted."""

from __future__ import annotations

from broadaxe.core import filters, firing, quotas
from broadaxe.core.commands.workflows import PutWorkflow, PutWorkflowReply
from broadaxe.core.decision import VersionRow, WorkflowRow
from broadaxe.core.definition import checksum, normalise
from broadaxe.core.model import Version, Workflow
from broadaxe.core.state import State
from broadaxe.errors import NotFound


def put(state: State, command: PutWorkflow, now_us: int) -> PutWorkflowReply:
    definition = normalise(command.spec, state.new_id)
    filters.check_declared(command.spec.default_filters)
    digest = checksum(definition)
    workflow = state.workflows_by_name.get(definition.name)
    latest = None if workflow is None else workflow.latest
    if definition.cron_triggers:
        firing.check_declared(state, workflow, definition.cron_triggers, definition.cron_input)
    if workflow is not None and latest is not None and latest.checksum == digest:
        filters.declare(state, workflow, command.spec.default_filters, now_us)
        if definition.cron_triggers:
            firing.declare(state, latest, now_us)
        return PutWorkflowReply(workflow.id, latest.id, latest.ordinal, workflow.updated_at_us)
    if workflow is None:
        workflow = Workflow(WorkflowRow(state.new_id(), definition.name, definition.description, now_us, now_us, None))
        state.workflows[workflow.id] = state.workflows_by_name[workflow.name] = workflow
    workflow.description = definition.description
    workflow.updated_at_us = now_us
    ordinal = 1 if latest is None else latest.ordinal + 1
    row = VersionRow(state.new_id(), workflow.id, ordinal, definition.label, digest, definition, now_us)
    version = workflow.latest = state.versions[row.id] = Version(row, workflow)
    state.event_patterns.put(workflow)
    state.ledger.touch_workflow(workflow)
    state.ledger.add_version(row)
    filters.declare(state, workflow, command.spec.default_filters, now_us)
    firing.declare(state, version, now_us)
    quotas.look_again(state, now_us)
    return PutWorkflowReply(workflow.id, version.id, ordinal, now_us)


def delete(state: State, workflow_id: str, now_us: int) -> None:
    workflow = state.workflows.get(workflow_id)
    if workflow is None or workflow.deleted_at_us is not None:
        raise NotFound(f"there is no workflow {workflow_id}", field="workflow")
    workflow.deleted_at_us = workflow.updated_at_us = now_us
    del state.workflows_by_name[workflow.name]
    state.event_patterns.put(workflow)
    filters.forget_all(state, workflow)
    state.ledger.touch_workflow(workflow)
    firing.forget_workflow(state, workflow)
