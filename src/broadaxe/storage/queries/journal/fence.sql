-- Holds the lease for the rest of the transaction; no row means it is lost. Called by storage/journal.py when a batch
-- needs more than one statement, and when nothing is written that would tell; rides lease_pkey.
select 1 where broadaxe.hold_lease($1, $2, $3)
