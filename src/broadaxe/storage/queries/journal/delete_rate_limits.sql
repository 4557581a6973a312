-- Forgets rate limits. Called by storage/journal.py; rides rate_limit_pkey.
delete from broadaxe.rate_limit where tenant_id = $1 and key = any($2::text[])
