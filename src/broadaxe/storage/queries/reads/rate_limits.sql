-- A page of a tenant's rate limits with the units left now: a window that has passed reads as full, without being
-- written. Called by storage/reads.py; rides rate_limit_pkey. $2 is part of the key or empty, $3 the order.
select
    key,
    limit_value,
    case
        when clock_timestamp() - last_refill_at >= window_us * interval '1 microsecond' then limit_value else value
    end as value,
    window_us,
    last_refill_at,
    paused_until,
    count(*) over () as total
from broadaxe.rate_limit
where tenant_id = $1 and ($2 = '' or position($2 in key) > 0)
order by
    case when $3 = 'key asc' then key end asc,
    case when $3 = 'key desc' then key end desc,
    case when $3 = 'value asc' then value end asc,
    case when $3 = 'value desc' then value end desc,
    case when $3 = 'limitValue asc' then limit_value end asc,
    case when $3 = 'limitValue desc' then limit_value end desc,
    key
limit $4 offset $5
