-- Notes who holds an idempotency key; one whose time is over is taken over in place. Called by storage/journal.py;
-- rides idempotency_claim_pkey.
insert into broadaxe.idempotency_claim (tenant_id, digest, run_id, expires_at)
select $1, n.digest, n.run_id, broadaxe.from_us(n.expires_at)
from unnest($2::bytea[], $3::uuid[], $4::bigint[]) as n (digest, run_id, expires_at)
on conflict (tenant_id, digest) do update
set run_id = excluded.run_id,
    expires_at = excluded.expires_at
