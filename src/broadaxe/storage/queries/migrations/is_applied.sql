-- Whether a migration has been applied. Called by storage/migrate.py, behind the lock.
select exists (select from broadaxe.migration where name = $1)
