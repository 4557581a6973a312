-- The distinct keys of recent events, by loose index scan: one probe per key. Called by EventReads.event_keys.
-- Rides event_by_key. $1 tenant, $2 smallest id, $3 limit.
with recursive found as (
    (select e.key from broadaxe.event e where e.tenant_id = $1 and e.id >= $2 order by e.key limit 1)
    union all
    select (
        select e.key from broadaxe.event e
        where e.tenant_id = $1 and e.id >= $2 and e.key > found.key
        order by e.key limit 1
    )
    from found
    where found.key is not null
)
select found.key from found where found.key is not null limit $3
