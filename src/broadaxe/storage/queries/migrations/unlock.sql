-- Lets the next migration in. Called by storage/migrate.py.
select pg_advisory_unlock(hashtext('broadaxe.migrate'))
