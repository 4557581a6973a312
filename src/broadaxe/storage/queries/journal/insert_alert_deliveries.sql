-- Adds messages for channels, due at once, and tells whoever gives them when the commit is made. Called by
-- storage/journal.py, and by storage/alerts.py for a test; rides alert_delivery_pkey.
with made as (
    insert into broadaxe.alert_delivery (tenant_id, id, alert_id, channel_id, occasion, message, next_at, created_at)
    select
        $1, n.id, n.alert_id, n.channel_id, n.occasion, n.message, least(now(), broadaxe.from_us(n.at)),
        broadaxe.from_us(n.at)
    from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bigint[])
        as n (id, alert_id, channel_id, occasion, message, at)
    returning 1
)
select pg_notify('broadaxe_alert', '') from made limit 1
