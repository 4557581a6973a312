-- A page of a tenant's topics with how many of their messages are kept. Called by storage/topics.py; rides
-- stream_topic_by_name, and stream_message_pkey once for each topic of the page. $1 tenant, $2 part of a name or empty,
-- $3 limit, $4 offset, $5/$6 the topic behind which to begin (namespace, name) or null.
select
    t.namespace, t.name, t.created_at, t.last_published_at,
    coalesce(t.last_number - kept.number + 1, 0) as message_count
from (
    select *
    from broadaxe.stream_topic
    where
        tenant_id = $1 and ($2 = '' or position(lower($2) in lower(name)) > 0 or position(lower($2) in lower(namespace)) > 0)
        and ($5::text is null or (namespace, name) > ($5, $6::text))
    order by namespace, name
    limit $3 offset $4
) as t
left join lateral (
    select m.number
    from broadaxe.stream_message as m
    where
        m.tenant_id = t.tenant_id and m.topic_id = t.id
        and m.id >= (
            select broadaxe.id_floor(clock_timestamp() - make_interval(hours => n.stream_retention_hours))
            from broadaxe.tenant as n
            where n.id = $1
        )
    order by m.id
    limit 1
) as kept on true
order by t.namespace, t.name
