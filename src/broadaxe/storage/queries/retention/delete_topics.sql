-- Deletes topics nobody has published to since $1, at most $2; says how many. Called by `retention.enforce_messages`.
-- Looks at all topics of all tenants, a few times a day.
with unused as (
    select t.tenant_id, t.id
    from broadaxe.stream_topic t
    where t.last_published_at < $1
    limit $2
    for update of t skip locked
),
gone as (
    delete from broadaxe.stream_topic t
    using unused
    where t.tenant_id = unused.tenant_id and t.id = unused.id
    returning t.id
)
select count(*) from gone
