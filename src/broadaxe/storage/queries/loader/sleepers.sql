-- Evicted tasks that sleep outside memory (core/dormant.py): the earliest sleep each needs, its waits for events, and
-- whether something has come already. Called by storage/loader.py at activation; rides task_evicted, run_pkey and
-- durable_entry_pkey within the partitions from $2 on.
select
    t.id::text, broadaxe.to_us(w.due_at) as due_at_us, coalesce(w.waits, '{}') as waits,
    coalesce(w.has_news, false) or d.news <> '{}' as has_news
from broadaxe.task as t
join broadaxe.run as r on r.tenant_id = t.tenant_id and r.id = t.id and r.id >= $2::uuid
join broadaxe.durable_task as d on d.tenant_id = t.tenant_id and d.task_id = t.id and d.task_id >= $2::uuid
left join lateral (
    select
        min(e.due_at) as due_at,
        array_agg(e.wait order by e.branch_id, e.node_id) filter (where e.event_keys <> '{}') as waits,
        bool_or(
            e.is_awaited and e.satisfied_at is not null
            and (e.place is null or d.order_at_eviction is null or e.place > d.order_at_eviction)
            or e.child_run_id is not null and e.satisfied_at is null and exists (
                select 1
                from broadaxe.run as c
                where c.tenant_id = e.tenant_id and c.id = e.child_run_id and c.id >= $2::uuid and c.finished_at is not null
            )
        ) as has_news
    from broadaxe.durable_entry as e
    where e.tenant_id = t.tenant_id and e.task_id = t.id and e.task_id >= $2::uuid and e.is_on_path
) as w on true
where t.tenant_id = $1 and t.id >= $2::uuid and t.status = 'EVICTED' and not r.is_dag and r.keys is null
order by t.id
