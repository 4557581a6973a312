-- Deletes what alert rules watch no more. Called by storage/journal.py; rides alert_pkey.
delete from broadaxe.alert where tenant_id = $1 and id = any($2::uuid[])
