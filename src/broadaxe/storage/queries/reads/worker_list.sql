-- The workers of a tenant seen lately, newest first. Called by Catalogue.workers_page.
-- Rides worker_by_day. $1 tenant, $2 the earliest sign of life that still counts, $3 statuses or null,
-- $4 the heartbeat before which a worker is inactive that has no stream ($10: that has one), $5 labels each of which must have one of its values (as text), or
-- null, $6 limit, $7 offset, $8/$9 the worker behind which to begin (instant, id) or null; then only those behind it
-- count.
with known as (
    select
        w.*,
        case when w.last_heartbeat_at is null or w.last_heartbeat_at < case when w.is_listening then $10::timestamptz else $4::timestamptz end
                 then 'INACTIVE'
             when w.is_paused then 'PAUSED'
             else 'ACTIVE' end as status
    from broadaxe.worker w
    where w.tenant_id = $1
        and w.seen_on >= ($2::timestamptz at time zone 'UTC')::date
        and coalesce(w.last_heartbeat_at, w.created_at) >= $2
)
select
    known.tenant_id, known.id, known.name, known.actions, known.slots, known.labels, known.runtime, known.status,
    known.created_at, known.updated_at, known.last_heartbeat_at, known.listening_since, known.paused_by,
    count(*) over () as total
from known
where ($3::text[] is null or known.status = any($3))
    and ($5::jsonb is null or not exists (
        select 1
        from jsonb_each($5) as wanted
        where not coalesce(wanted.value ? (known.labels ->> wanted.key), false)
    ))
    and ($8::timestamptz is null or (known.created_at, known.id) < ($8, $9::uuid))
order by known.created_at desc, known.id desc
limit $6 offset $7
