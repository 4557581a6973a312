-- Makes a chain that is not there yet, so that two who write its first entries wait for each other. Called by
-- storage/audit.py; rides audit_chain_pkey. $1 tenant, $2 chain, $3 what it begins with.
insert into broadaxe.audit_chain (tenant_id, chain, seq, hash, trimmed_hash)
values ($1, $2, 0, $3, $3)
on conflict do nothing
