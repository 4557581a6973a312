-- The newest stored events of each (key $2, scope $3) since $4, at most $5 of each, for waits that look back. Called by
-- storage/loader.py; rides event_by_key and prunes partitions by id.
select e.key, e.scope, e.payload, broadaxe.to_us(e.seen_at) as seen_at_us
from unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[]) as q (key, scope, since_us, count_max)
cross join lateral (
    select v.*
    from broadaxe.event as v
    where
        v.tenant_id = $1 and v.key = q.key and v.scope = q.scope
        and v.id >= broadaxe.id_floor(broadaxe.from_us(q.since_us)) and v.seen_at >= broadaxe.from_us(q.since_us)
    order by v.id desc
    limit q.count_max
) as e
