-- The messages of topic $2 behind id $3 that are kept, at most $4 and of $5 bytes together, one at least; with the
-- topic's last message in each row, and in the only one if there are none. Without $3 from where readers begin. No row:
-- nobody has published. Called by storage/topics.py; rides stream_message_pkey from partition to partition.
with topic as materialized (
    select
        t.last_number, t.last_message_id, coalesce($3::uuid, t.start_message_id) as after_id,
        broadaxe.id_floor(clock_timestamp() - make_interval(hours => n.stream_retention_hours)) as first_kept_id
    from broadaxe.stream_topic as t
    join broadaxe.tenant as n on n.id = t.tenant_id
    where t.tenant_id = $1 and t.id = $2
),
following as (
    select m.*, sum(octet_length(m.payload)) over (order by m.id) - octet_length(m.payload) as bytes_before
    from (
        select m.id, m.number, m.created_at, m.payload, m.payload_ref
        from broadaxe.stream_message as m
        where
            m.tenant_id = $1 and m.topic_id = $2
            and m.id > (select after_id from topic) and m.id >= (select first_kept_id from topic)
        order by m.id
        limit $4
    ) as m
)
select
    t.last_number, t.last_message_id::text, f.id::text, f.number, broadaxe.to_us(f.created_at) as created_at_us, f.payload,
    f.payload_ref
from topic as t
left join following as f on f.bytes_before < $5::bigint
order by f.number
