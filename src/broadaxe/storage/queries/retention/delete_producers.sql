-- Forgets numbers of producers that have not published since $1, at most $2; says how many. Called by
-- `retention.enforce_messages`. Looks at all producers of all tenants, a few times a day.
with unused as (
    select p.tenant_id, p.topic_id, p.name
    from broadaxe.stream_producer p
    where p.used_at < $1
    limit $2
    for update of p skip locked
),
gone as (
    delete from broadaxe.stream_producer p
    using unused
    where p.tenant_id = unused.tenant_id and p.topic_id = unused.topic_id and p.name = unused.name
    returning p.name
)
select count(*) from gone
