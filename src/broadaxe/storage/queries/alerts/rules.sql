-- Alert rules of a tenant by name, or the one of this id; each with how many of its alerts are not over. Called by
-- Alerts; rides alert_rule_pkey and alert_live. $1 tenant, $2 id or null.
select
    r.*,
    (
        select count(*)
        from broadaxe.alert as a
        where a.tenant_id = $1 and a.resolved_at is null and a.rule_id = r.id and a.status = 'FIRING'
    ) as firing
from broadaxe.alert_rule as r
where r.tenant_id = $1 and ($2::uuid is null or r.id = $2)
order by r.name
