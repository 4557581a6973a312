-- Removes outbox rows in the transaction that does what they asked for; those that were refused are put aside. Says how
-- many there were. Called by storage/journal.py; rides outbox_pkey.
with gone as (
    delete from broadaxe.outbox as o
    using unnest($2::uuid[]) as taken (id)
    where o.tenant_id = $1 and o.id = taken.id
    returning o.*
),
refused as (
    insert into broadaxe.outbox_refused (
        tenant_id, id, kind, name, payload, additional_metadata, priority, scope, created_at, refused_at, reason
    )
    select
        gone.tenant_id, gone.id, gone.kind, gone.name, gone.payload, gone.additional_metadata, gone.priority,
        gone.scope, gone.created_at, clock_timestamp(), r.reason
    from gone
    join unnest($3::uuid[], $4::text[]) as r (id, reason) on r.id = gone.id
    -- Somebody may have put the same row into the outbox once more.
    on conflict (tenant_id, id) do update set refused_at = excluded.refused_at, reason = excluded.reason
)
select count(*)::integer from gone
