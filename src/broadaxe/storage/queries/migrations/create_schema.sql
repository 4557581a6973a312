-- Makes our schema. Called by storage/migrate.py, behind the lock.
create schema broadaxe
