-- Holds the lease for the rest of the transaction; no row means it is lost. Called by storage/journal.py when a batch
-- needs more than one statement; rides lease_pkey.
select 1 from broadaxe.lease where tenant_id = $1 and node_id = $2 and epoch = $3 for share
