-- Changes an alert channel; null keeps. Called by Alerts.change_channel; rides alert_channel_pkey.
update broadaxe.alert_channel
set name = coalesce($3, name),
    target = coalesce($4, target),
    shown = coalesce($5, shown),
    updated_at = now()
where tenant_id = $1 and id = $2
returning *
