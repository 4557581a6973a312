-- Events that came for the durable tasks $2 while they were not in memory, in their order. Called by storage/loader.py;
-- rides durable_task_pkey and event_pkey.
select d.task_id::text, e.key, e.scope, e.payload, broadaxe.to_us(e.seen_at) as seen_at_us
from broadaxe.durable_task as d
cross join lateral unnest(d.news) with ordinality as n (event_id, position)
join broadaxe.event as e on e.tenant_id = d.tenant_id and e.id = n.event_id
where d.tenant_id = $1 and d.task_id = any($2::uuid[]) and d.news <> '{}'
order by d.task_id, n.position
