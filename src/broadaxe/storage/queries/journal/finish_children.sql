-- Copies the outcome of child runs $3 into the logs of the durable tasks $2 that spawned them, so that it stays when the
-- child is gone. Called by storage/journal.py after the runs were written; rides durable_entry_pkey, run_pkey and
-- task_by_run within the partitions from $4 on.
update broadaxe.durable_entry as e
set satisfied_at = coalesce(e.satisfied_at, r.finished_at),
    is_failure = r.status <> 'COMPLETED',
    result = case
        when r.status <> 'COMPLETED' then null
        when r.is_dag then (
            select json_object_agg(t.name, t.output::json)::text
            from broadaxe.task as t
            where t.tenant_id = $1 and t.run_id = r.id and t.id <> t.run_id and t.id >= $4::uuid and t.output is not null
        )
        else (select t.output from broadaxe.task as t where t.tenant_id = $1 and t.id = r.id and t.id >= $4::uuid)
    end,
    error = case
        when r.status = 'COMPLETED' then null
        else (
            select string_agg(t.error, e'\n' order by t.id)
            from broadaxe.task as t
            where
                t.tenant_id = $1 and t.error is not null and t.status::text = r.status::text
                and t.id >= $4::uuid
                and (t.id = r.id or (t.run_id = r.id and t.id <> t.run_id))
        )
    end
from unnest($2::uuid[], $3::uuid[]) as n (task_id, run_id)
join broadaxe.run as r on r.tenant_id = $1 and r.id = n.run_id and r.id >= $4::uuid
where e.tenant_id = $1 and e.task_id = n.task_id and e.task_id >= $4::uuid and e.child_run_id = n.run_id
