-- A page of a tenant's rate limits with the units left now: a window that has passed reads as full, without being
-- written. Called by RateLimitReads.rate_limits_page. Only the branch of the wanted order is carried out: by key it rides
-- rate_limit_pkey; the other orders look at all of the tenant's limits. $1 tenant, $2 part of the key or empty, $3
-- field and direction of the order, $4 limit, $5 offset, $6 how far to count, $7/$8 the limit behind which to begin
-- (key, and number in the orders by one) or null.
with wanted as not materialized (
    select
        key,
        limit_value,
        case
            when statement_timestamp() - last_refill_at >= window_us * interval '1 microsecond' then limit_value else value
        end as value,
        window_us,
        last_refill_at,
        paused_until
    from broadaxe.rate_limit
    where tenant_id = $1 and ($2 = '' or position($2 in key) > 0)
),
page as (
    (
        select * from wanted
        where $3 = 'key asc' and ($7::text is null or key > $7)
        order by key
        limit $4 offset $5
    )
    union all
    (
        select * from wanted
        where $3 = 'key desc' and ($7 is null or key < $7)
        order by key desc
        limit $4 offset $5
    )
    union all
    (
        select * from wanted
        where $3 = 'value asc' and ($7 is null or (value, key) > ($8::bigint, $7))
        order by value, key
        limit $4 offset $5
    )
    union all
    (
        select * from wanted
        where $3 = 'value desc' and ($7 is null or value < $8 or (value = $8 and key > $7))
        order by value desc, key
        limit $4 offset $5
    )
    union all
    (
        select * from wanted
        where $3 = 'limitValue asc' and ($7 is null or (limit_value, key) > ($8, $7))
        order by limit_value, key
        limit $4 offset $5
    )
    union all
    (
        select * from wanted
        where $3 = 'limitValue desc' and ($7 is null or limit_value < $8 or (limit_value = $8 and key > $7))
        order by limit_value desc, key
        limit $4 offset $5
    )
)
select page.*, (select count(*) from (select 1 from wanted limit $6) as counted) as total
from page
order by
    case when $3 = 'key asc' then page.key end asc,
    case when $3 = 'key desc' then page.key end desc,
    case when $3 = 'value asc' then page.value end asc,
    case when $3 = 'value desc' then page.value end desc,
    case when $3 = 'limitValue asc' then page.limit_value end asc,
    case when $3 = 'limitValue desc' then page.limit_value end desc,
    page.key
