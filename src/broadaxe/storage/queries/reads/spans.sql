-- Spans that clients sent of a trace, or that name the run, oldest start first. Called by TraceReads.spans.
-- Rides span_by_trace and span_by_run within the partitions from $4 on. $1 tenant, $2 trace, $3 run, $4 smallest id,
-- $5 limit, $6/$7 the span behind which to begin (start, span id) or null.
with found as (
    (
        select * from broadaxe.span s
        where s.tenant_id = $1 and s.trace_id = $2 and s.id >= $4
            and ($6::timestamptz is null or (s.started_at, s.span_id) > ($6, $7::bytea))
        order by s.started_at, s.span_id
        limit $5
    )
    union all
    (
        select * from broadaxe.span s
        where s.tenant_id = $1 and s.run_id = $3 and s.id >= $4 and s.trace_id <> $2
            and ($6 is null or (s.started_at, s.span_id) > ($6, $7))
        order by s.started_at, s.span_id
        limit $5
    )
)
select
    trace_id, span_id, parent_span_id, run_id, retry_count, name, kind, service_name, status_code, status_message,
    started_at, duration_ns, attributes, resource_attributes, scope_name, scope_version
from found
order by started_at, span_id, id
limit $5
