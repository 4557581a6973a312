-- The runs whose payloads have certain values at certain places, among the newest $21 that pass a filter, or as many of
-- these as have $26 bytes of payloads together as they are stored. One row: their ids, how many runs were looked at, how
-- many there were, and when the oldest one that was looked at was made. Called by Reads.runs_by_payload.
-- Rides the indexes of run_list, then task_pkey and task_by_run. $1 to $20 as in run_list, $22/$23 places in inputs and
-- values there, all of which must be so, $24/$25 the same for outputs, of any task of the run.
with newest as materialized (
    select r.id, r.created_at, r.is_dag, case when $22::text[] <> '{}' then r.input end as input
    from broadaxe.run r
    where
        \ir parts/run_filter.sql
    order by r.id desc
    limit $21
),
output as materialized (
    -- "offset 0": each run's tasks are looked up by themselves, however many others its day has.
    select of_run.run_id, of_run.output
    from newest n
    cross join lateral (
        select o.run_id, o.output
        from broadaxe.task o
        where o.tenant_id = $1 and o.id = n.id
        offset 0
    ) as of_run
    where $24::text[] <> '{}' and not n.is_dag and of_run.output is not null
    union all
    select of_run.run_id, of_run.output
    from newest n
    cross join lateral (
        select o.run_id, o.output
        from broadaxe.task o
        where o.tenant_id = $1 and o.run_id = n.id and o.id <> o.run_id
            and o.id >= broadaxe.id_floor(n.created_at - interval '1 minute')
        offset 0
    ) as of_run
    where $24 <> '{}' and n.is_dag and of_run.output is not null
),
looked_at as materialized (
    select sized.id, sized.created_at, sized.input
    from (
        select
            n.id, n.created_at, n.input,
            row_number() over newest_first as place,
            sum(coalesce(pg_column_size(n.input), 0) + coalesce(of_run.size_bytes, 0)) over newest_first as size_bytes
        from newest n
        left join (
            select run_id, sum(pg_column_size(output)) as size_bytes from output group by run_id
        ) as of_run on of_run.run_id = n.id
        window newest_first as (order by n.id desc)
    ) as sized
    where sized.place = 1 or sized.size_bytes <= $26::bigint
),
has_outputs as materialized (
    select o.run_id
    from output o
    join looked_at l on l.id = o.run_id
    cross join unnest($24, $25::text[]) with ordinality as asked(place, value, number)
    where broadaxe.payload_has(o.output, asked.place::jsonpath, asked.value)
    group by o.run_id
    having count(distinct asked.number) = cardinality($24)
)
select
    coalesce(array_agg(l.id) filter (where
        ($24 = '{}' or l.id in (select run_id from has_outputs))
        and not exists (
            select
            from unnest($22, $23::text[]) as asked(place, value)
            where not broadaxe.payload_has(l.input, asked.place::jsonpath, asked.value)
        )
    ), '{}') as ids,
    count(*) as looked_at,
    (select count(*) from newest) as found,
    min(l.created_at) as oldest
from looked_at l
