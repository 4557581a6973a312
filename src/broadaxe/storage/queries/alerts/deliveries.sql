-- A page of messages for channels, newest first. Called by Alerts.deliveries; rides alert_delivery_pkey backwards, or
-- alert_delivery_of_alert. $1 tenant, $2 alert or null, $3 channel or null, $4 limit, $5 the message behind which to begin.
select d.*, c.name as channel_name
from broadaxe.alert_delivery as d
left join broadaxe.alert_channel as c on c.tenant_id = d.tenant_id and c.id = d.channel_id
where d.tenant_id = $1 and ($2::uuid is null or d.alert_id = $2) and ($3::uuid is null or d.channel_id = $3)
    and ($5::uuid is null or d.id < $5)
order by d.id desc
limit $4
