-- Upserts workers; what is fixed at registration stays. Called by storage/journal.py (heartbeats come this way too);
-- rides worker_pkey. `actions` travel as JSON because arrays of arrays must be rectangular.
insert into broadaxe.worker (
    tenant_id, id, name, actions, slots, labels, runtime, is_paused, is_listening, created_at, updated_at,
    last_heartbeat_at, listening_since, speaks_durably, paused_by
)
select
    $1, n.id, n.name, array(select jsonb_array_elements_text(n.actions::jsonb)), n.slots::jsonb, n.labels::jsonb,
    n.runtime::jsonb, n.is_paused, n.is_listening, broadaxe.from_us(n.created_at), broadaxe.from_us(n.updated_at),
    broadaxe.from_us(n.last_heartbeat_at), broadaxe.from_us(n.listening_since),
    n.speaks_durably, n.paused_by
from unnest(
    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::boolean[], $9::boolean[],
    $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::boolean[], $15::text[]
) as n (
    id, name, actions, slots, labels, runtime, is_paused, is_listening, created_at, updated_at, last_heartbeat_at,
    listening_since, speaks_durably, paused_by
)
on conflict (tenant_id, id) do update
set labels = excluded.labels,
    is_paused = excluded.is_paused,
    is_listening = excluded.is_listening,
    updated_at = excluded.updated_at,
    last_heartbeat_at = excluded.last_heartbeat_at,
    listening_since = excluded.listening_since,
    speaks_durably = excluded.speaks_durably,
    paused_by = excluded.paused_by
