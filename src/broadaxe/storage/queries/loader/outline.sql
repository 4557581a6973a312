-- What a tenant has at all, so that nothing is asked of tables that have nothing of it: a tenant that moves pauses for each
-- round trip. And the oldest run that has not finished: what is live is made no earlier, so that all other statements leave
-- older partitions alone. Called by storage/loader.py at activation; rides run_live and the primary keys of the tables
-- named.
select
    (select r.id::text from broadaxe.run as r where r.tenant_id = $1 and r.finished_at is null order by r.id limit 1) as oldest_live,
    exists (select from broadaxe.rate_limit where tenant_id = $1) as has_rate_limits,
    exists (select from broadaxe.event_filter where tenant_id = $1) as has_filters,
    exists (select from broadaxe.idempotency_claim where tenant_id = $1) as has_claims,
    exists (select from broadaxe.cron where tenant_id = $1) as has_crons,
    exists (select from broadaxe.schedule where tenant_id = $1) as has_schedules,
    exists (select from broadaxe.alert_rule where tenant_id = $1) as has_alert_rules
