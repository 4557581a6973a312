-- Forgets event filters. Called by storage/journal.py; rides event_filter_pkey.
delete from broadaxe.event_filter where tenant_id = $1 and id = any($2::uuid[])
