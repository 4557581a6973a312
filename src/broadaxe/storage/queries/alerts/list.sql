-- A page of alerts, newest first; what is only counted is none. Called by Alerts.page; rides alert_pkey backwards.
-- $1 tenant, $2 rule or null, $3 status or null, $4 limit, $5 the alert behind which to begin.
select *
from broadaxe.alert
where tenant_id = $1 and status <> 'PENDING' and ($2::uuid is null or rule_id = $2)
    and ($3::text is null or status = $3) and ($5::uuid is null or id < $5)
order by id desc
limit $4
