-- Who holds which idempotency key, in the form of core/claims.py: 16 bytes of the run's id and 8 of the instant in
-- microseconds. Called by storage/loader.py at activation; rides idempotency_claim_pkey.
select digest, uuid_send(run_id) || int8send(broadaxe.to_us(expires_at)) as packed
from broadaxe.idempotency_claim
where tenant_id = $1
