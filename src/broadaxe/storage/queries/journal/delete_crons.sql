-- Forgets crons. Called by storage/journal.py; rides cron_pkey.
delete from broadaxe.cron where tenant_id = $1 and id = any($2::uuid[])
