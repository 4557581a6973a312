-- One migration at a time, until the transaction ends. Called by storage/migrate.py.
select pg_advisory_xact_lock(hashtext('broadaxe.migrate'))
