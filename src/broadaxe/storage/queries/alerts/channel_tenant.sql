-- Which of these tenants an alert channel of a kind belongs to. Called by Alerts.tenant_of; rides alert_channel_pkey, with
-- a look for each tenant. $1 tenants, $2 channel, $3 kind.
select tenant_id::text
from broadaxe.alert_channel
where tenant_id = any($1::uuid[]) and id = $2 and kind = $3
