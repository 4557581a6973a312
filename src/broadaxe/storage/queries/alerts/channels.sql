-- Alert channels of a tenant by name, or those of these ids; each with the rules that use it and what came of its last
-- message. Called by Alerts; rides alert_channel_pkey and alert_rule_pkey. $1 tenant, $2 ids or null.
select
    c.*,
    array(
        select r.name from broadaxe.alert_rule as r where r.tenant_id = $1 and c.id = any(r.channel_ids) order by r.name
    ) as rules
from broadaxe.alert_channel as c
where c.tenant_id = $1 and ($2::uuid[] is null or c.id = any($2))
order by c.name
