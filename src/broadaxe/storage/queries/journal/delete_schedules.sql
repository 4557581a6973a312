-- Forgets schedules: triggered ones in the transaction that makes their runs. Called by storage/journal.py; rides
-- schedule_pkey.
delete from broadaxe.schedule where tenant_id = $1 and id = any($2::uuid[])
