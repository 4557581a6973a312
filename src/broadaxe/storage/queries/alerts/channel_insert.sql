-- Makes an alert channel unless the name is taken or the tenant has $7 of them already. Called by Alerts.create_channel.
-- $1 tenant, $2 id, $3 name, $4 kind, $5 sealed target, $6 what is shown of it, $7 most channels. One row always: how many
-- there were, and the channel if it was made. Rides alert_channel_pkey and the index on the name.
with counted as (
    select count(*) as channels from broadaxe.alert_channel where tenant_id = $1
),
made as (
    insert into broadaxe.alert_channel (tenant_id, id, name, kind, target, shown)
    select $1, $2, $3, $4, $5, $6
    from counted
    where counted.channels < $7
    on conflict (tenant_id, name) do nothing
    returning *
)
select counted.channels, made.*
from counted
left join made on true
