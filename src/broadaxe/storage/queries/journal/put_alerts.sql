-- Upserts what alert rules watch and what is over. Called by storage/journal.py; rides alert_pkey.
insert into broadaxe.alert (
    tenant_id, id, rule_id, rule_name, kind, subject, status, opened_at, last_at, resolved_at, count, run_id, error, state
)
select
    $1, n.id, n.rule_id, n.rule_name, n.kind, n.subject, n.status, broadaxe.from_us(n.opened_at),
    broadaxe.from_us(n.last_at), broadaxe.from_us(n.resolved_at), n.count, n.run_id, n.error, n.state
from unnest(
    $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::bigint[],
    $11::bigint[], $12::uuid[], $13::text[], $14::text[]
) as n (
    id, rule_id, rule_name, kind, subject, status, opened_at, last_at, resolved_at, count, run_id, error, state
)
on conflict (tenant_id, id) do update
set rule_name = excluded.rule_name,
    status = excluded.status,
    opened_at = excluded.opened_at,
    last_at = excluded.last_at,
    resolved_at = excluded.resolved_at,
    count = excluded.count,
    run_id = excluded.run_id,
    error = excluded.error,
    state = excluded.state
