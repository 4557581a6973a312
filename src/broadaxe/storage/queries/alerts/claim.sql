-- Takes the message that is due for longest, whoever's it is, and moves it on by $1 seconds, so that nobody else gives it
-- meanwhile and somebody does if this one breaks off. Called by Alerts.claim; rides alert_delivery_due. $2: tenants whose
-- messages shall wait.
with due as (
    select tenant_id, id
    from broadaxe.alert_delivery
    where status = 'WAITING' and next_at <= now() and tenant_id <> all($2::uuid[])
    order by next_at
    limit 1
    for update skip locked
),
taken as (
    update broadaxe.alert_delivery as d
    set attempts = d.attempts + 1,
        next_at = now() + make_interval(secs => $1)
    from due
    where d.tenant_id = due.tenant_id and d.id = due.id
    returning d.*
)
select taken.*, c.kind, c.target, t.name as tenant_name
from taken
join broadaxe.tenant as t on t.id = taken.tenant_id
left join broadaxe.alert_channel as c on c.tenant_id = taken.tenant_id and c.id = taken.channel_id
