-- Deletes alert rules. Called by storage/journal.py; rides alert_rule_pkey.
delete from broadaxe.alert_rule where tenant_id = $1 and id = any($2::uuid[])
