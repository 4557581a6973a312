-- What alert rules of a tenant watch. Called by storage/loader.py at activation; rides alert_live.
select
    id::text, rule_id::text, rule_name, kind, subject, status, broadaxe.to_us(opened_at), broadaxe.to_us(last_at),
    null::bigint as resolved_at_us, count, run_id::text, error, state
from broadaxe.alert
where tenant_id = $1 and resolved_at is null
order by id
