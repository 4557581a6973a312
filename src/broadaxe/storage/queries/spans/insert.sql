-- Stores a batch of spans. Called by SpanStore. Arrays of equal length: $1 tenants, $2 ids, $3 traces, $4 spans,
-- $5 parents, $6 runs, $7 tasks, $8 attempts, $9 names, $10 kinds, $11 services, $12 status codes, $13 status messages,
-- $14 starts in nanoseconds, $15 durations in nanoseconds, $16 attributes, $17 resource attributes, $18/$19 scopes.
insert into broadaxe.span (
    tenant_id, id, trace_id, span_id, parent_span_id, run_id, task_id, retry_count, name, kind, service_name,
    status_code, status_message, started_at, duration_ns, attributes, resource_attributes, scope_name, scope_version
)
select
    tenant_id, id, trace_id, span_id, parent_span_id, run_id, task_id, retry_count, name, kind, service_name,
    status_code, status_message, broadaxe.from_us(started_at_ns / 1000), duration_ns, attributes, resource_attributes,
    scope_name, scope_version
from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[], $5::bytea[], $6::uuid[], $7::uuid[], $8::integer[], $9::text[],
    $10::smallint[], $11::text[], $12::smallint[], $13::text[], $14::bigint[], $15::bigint[], $16::text[], $17::text[],
    $18::text[], $19::text[]
) as sent (
    tenant_id, id, trace_id, span_id, parent_span_id, run_id, task_id, retry_count, name, kind, service_name,
    status_code, status_message, started_at_ns, duration_ns, attributes, resource_attributes, scope_name, scope_version
)
on conflict do nothing
