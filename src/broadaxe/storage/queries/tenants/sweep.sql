-- Deletes rows of a deleted tenant, at most $2 of each table, and tells how many. Called by storage/tenant_deletion.py;
-- rides the primary keys, which begin with the tenant, and reads partitions that have no such index whole.
select broadaxe.sweep_tenant($1, $2)
