-- Forgets who held these idempotency keys. Called by storage/journal.py; rides idempotency_claim_pkey.
delete from broadaxe.idempotency_claim where tenant_id = $1 and digest = any($2::bytea[])
