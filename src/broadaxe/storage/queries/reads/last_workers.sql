-- For each action the worker that offered it and was heard of last. Called by live_names.last_workers where live memory
-- knows of no worker. Rides worker_by_day, newest day first. $1 tenant, $2 action ids.
select wanted.action_id, latest.id, latest.name, latest.seen_at
from unnest($2::text[]) as wanted (action_id)
cross join lateral (
    select w.id, w.name, coalesce(w.last_heartbeat_at, w.created_at) as seen_at
    from broadaxe.worker w
    where w.tenant_id = $1 and wanted.action_id = any(w.actions)
    order by w.seen_on desc, coalesce(w.last_heartbeat_at, w.created_at) desc
    limit 1
) as latest
