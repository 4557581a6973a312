-- Deletes an alert channel. Called by Alerts.delete_channel; rides alert_channel_pkey.
delete from broadaxe.alert_channel where tenant_id = $1 and id = $2
