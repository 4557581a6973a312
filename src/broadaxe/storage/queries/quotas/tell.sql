-- Tells engines, once the transaction commits, that the limits of a tenant changed. Called by storage/quotas.py.
select pg_notify($1::text, $2::uuid::text)
