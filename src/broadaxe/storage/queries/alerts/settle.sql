-- What came of giving a message: delivered, given up, or to be tried again in $5 seconds. Called by Alerts.settle; rides
-- alert_delivery_pkey. $1 tenant, $2 id, $3 status, $4 error or null. Only what $6, the number of this attempt, is about:
-- whoever was slower than the time it was given says nothing any more, unless it was delivered.
update broadaxe.alert_delivery
set status = $3,
    error = $4,
    next_at = now() + make_interval(secs => $5),
    ended_at = case when $3 = 'WAITING' then null else now() end
where tenant_id = $1 and id = $2 and status = 'WAITING' and (attempts = $6 or $3 = 'DELIVERED')
