-- What is remembered of how a run came to be and of what holds for it. Called by RunFacts.of; rides run_pkey and the
-- primary keys of what the run names. $1 tenants, $2 run.
select
    r.tenant_id, r.id, r.priority, r.idempotency_key, r.keys::text as keys, r.desired_labels::text as desired_labels,
    r.desired_worker_id, r.cause::text as cause, r.triggering_event_id, r.triggering_event_key, r.additional_metadata::text as metadata,
    r.parent_run_id, r.parent_task_id, r.child_index, r.child_key,
    v.label as version_label, v.ordinal as version_ordinal,
    (select max(l.ordinal) from broadaxe.workflow_version l where l.tenant_id = r.tenant_id and l.workflow_id = r.workflow_id)
        as latest_ordinal,
    p.display_name as parent_name, t.name as parent_task_name, w.name as parent_workflow_name,
    e.triggering_webhook_name as webhook_name
from broadaxe.run r
join broadaxe.workflow_version v on v.tenant_id = r.tenant_id and v.id = r.workflow_version_id
left join broadaxe.run p on p.tenant_id = r.tenant_id and p.id = r.parent_run_id
left join broadaxe.workflow w on w.tenant_id = p.tenant_id and w.id = p.workflow_id
left join broadaxe.task t on t.tenant_id = r.tenant_id and t.id = r.parent_task_id
left join broadaxe.event e on e.tenant_id = r.tenant_id and e.id = r.triggering_event_id
where r.tenant_id = any($1::uuid[]) and r.id = $2::uuid
