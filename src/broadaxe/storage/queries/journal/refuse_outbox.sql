-- Puts outbox rows aside that nothing can be made of, with the reasons; take_outbox then removes them with the others.
-- Called by storage/journal.py; rides outbox_pkey.
insert into broadaxe.outbox_refused as r (
    tenant_id, id, kind, name, payload, additional_metadata, priority, scope, created_at, refused_at, reason
)
select
    o.tenant_id, o.id, o.kind, o.name, o.payload, o.additional_metadata, o.priority, o.scope, o.created_at,
    clock_timestamp(), n.reason
from unnest($2::uuid[], $3::text[]) as n (id, reason)
join broadaxe.outbox as o on o.tenant_id = $1 and o.id = n.id
-- Somebody may have put the same row into the outbox once more.
on conflict (tenant_id, id) do update set refused_at = excluded.refused_at, reason = excluded.reason
