-- Upserts rate limit buckets, in the transaction that makes the assignments they paid for. Called by
-- storage/journal.py; rides rate_limit_pkey.
insert into broadaxe.rate_limit (tenant_id, key, limit_value, value, window_us, last_refill_at, paused_until, is_dynamic)
select
    $1, n.key, n.limit_value, n.value, n.window_us, broadaxe.from_us(n.last_refill_at), broadaxe.from_us(n.paused_until),
    n.is_dynamic
from unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::boolean[])
    as n (key, limit_value, value, window_us, last_refill_at, paused_until, is_dynamic)
on conflict (tenant_id, key) do update
set limit_value = excluded.limit_value,
    value = excluded.value,
    window_us = excluded.window_us,
    last_refill_at = excluded.last_refill_at,
    paused_until = excluded.paused_until,
    is_dynamic = excluded.is_dynamic
