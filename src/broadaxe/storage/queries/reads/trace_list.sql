-- One page of the traces that clients sent spans of, those with the latest span that passes first; each with what all its
-- spans say (of at most $10). Called by TraceReads.traces_page. Looks at the latest $9 spans and rides the primary key of
-- spans backwards, then span_by_trace. When these are not enough for a page, a last row without a trace says which span was
-- looked at last. $1 tenant, $2 smallest id, $3 the span before which to begin or null, $4 escaped text of the name,
-- $5 service, $6 status code, $7 least duration in nanoseconds, $8 limit. Null means no filter.
with looked as (
    select s.id, s.trace_id, s.name, s.service_name, s.status_code, s.duration_ns
    from broadaxe.span s
    where s.tenant_id = $1 and s.id >= $2::uuid and ($3::uuid is null or s.id < $3)
    order by s.id desc
    limit $9::bigint
),
matching as (
    select looked.trace_id, max(looked.id::text)::uuid as place
    from looked
    where ($4::text is null or looked.name ilike '%' || $4 || '%')
        and ($5::text is null or looked.service_name = $5)
        and ($6::smallint is null or looked.status_code = $6)
        and ($7::bigint is null or looked.duration_ns >= $7)
    group by looked.trace_id
),
page as (
    select matching.trace_id, matching.place
    from matching
    -- A trace that passed with a later span stood on an earlier page.
    where $3 is null or not exists (
        select 1
        from broadaxe.span later
        where later.tenant_id = $1 and later.trace_id = matching.trace_id and later.id >= $3
            and ($4 is null or later.name ilike '%' || $4 || '%')
            and ($5 is null or later.service_name = $5)
            and ($6 is null or later.status_code = $6)
            and ($7 is null or later.duration_ns >= $7)
    )
    order by matching.place desc
    limit $8
)
(
    select
        page.trace_id, page.place, whole.spans, whole.errors, whole.services, whole.name, whole.run_id, whole.started_at,
        whole.ended_at
    from page
    cross join lateral (
        select
            count(distinct s.span_id) as spans,
            count(distinct s.span_id) filter (where s.status_code = 2) as errors,
            array_agg(distinct s.service_name) as services,
            (array_agg(s.name order by s.parent_span_id is not null, s.started_at))[1] as name,
            min(s.run_id::text)::uuid as run_id,
            min(s.started_at) as started_at,
            max(s.started_at + s.duration_ns / 1000 * interval '1 microsecond') as ended_at
        from (
            select span.*
            from broadaxe.span span
            where span.tenant_id = $1 and span.trace_id = page.trace_id and span.id >= $2
            order by span.started_at
            limit $10
        ) as s
    ) as whole
    order by page.place desc
)
union all
(
    select null, looked.id, null, null, null, null, null, null, null
    from looked
    order by looked.id desc
    limit 1 offset $9 - 1
)
limit $8
