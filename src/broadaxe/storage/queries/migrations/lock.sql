-- One migration at a time. Called by storage/migrate.py.
select pg_advisory_lock(hashtext('broadaxe.migrate'))
