-- How many waiting tasks carry each metadata value whose key begins with prom_. Called by CountReads.queue_sizes_by_metadata
-- for a tenant's gauges. Rides task_live and the primary key of run; looks at the oldest $2 waiting tasks only, since
-- each costs a look at its run. $1 tenant, $3 limit.
with waiting as (
    select t.action_id, t.run_id
    from broadaxe.task t
    where t.tenant_id = $1 and t.finished_at is null and t.status = 'QUEUED'
    order by t.id
    limit $2
)
select waiting.action_id, pair.key, pair.value, count(*) as tasks
from waiting
join broadaxe.run r on r.tenant_id = $1 and r.id = waiting.run_id
cross join lateral jsonb_each_text(r.additional_metadata) as pair
where r.additional_metadata is not null and pair.key like 'prom\_%'
group by waiting.action_id, pair.key, pair.value
order by tasks desc, pair.key, pair.value
limit $3
