-- Whether our schema is there. Called by storage/migrate.py, behind the lock.
select to_regnamespace('broadaxe') is not null
