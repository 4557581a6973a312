-- Tells engines, once the transaction commits, that a tenant was deleted. Called by storage/tenant_deletion.py.
select pg_notify($1::text, $2::uuid::text)
