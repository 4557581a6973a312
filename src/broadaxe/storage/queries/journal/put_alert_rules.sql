-- Upserts alert rules; channels come as ids joined by commas. Called by storage/journal.py; rides alert_rule_pkey.
insert into broadaxe.alert_rule (
    tenant_id, id, name, kind, workflow, threshold, window_us, quiet_us, channel_ids, is_enabled, template, created_at,
    updated_at
)
select
    $1, n.id, n.name, n.kind, n.workflow, n.threshold, n.window_us, n.quiet_us,
    string_to_array(n.channel_ids, ',')::uuid[], n.is_enabled, n.template, broadaxe.from_us(n.created_at),
    broadaxe.from_us(n.updated_at)
from unnest(
    $2::uuid[], $3::text[], $4::text[], $5::text[], $6::integer[], $7::bigint[], $8::bigint[], $9::text[], $10::boolean[],
    $11::text[], $12::bigint[], $13::bigint[]
) as n (
    id, name, kind, workflow, threshold, window_us, quiet_us, channel_ids, is_enabled, template, created_at, updated_at
)
on conflict (tenant_id, id) do update
set name = excluded.name,
    kind = excluded.kind,
    workflow = excluded.workflow,
    threshold = excluded.threshold,
    window_us = excluded.window_us,
    quiet_us = excluded.quiet_us,
    channel_ids = excluded.channel_ids,
    is_enabled = excluded.is_enabled,
    template = excluded.template,
    updated_at = excluded.updated_at
