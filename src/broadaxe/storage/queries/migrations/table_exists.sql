-- Null before the first migration. Called by storage/migrate.py.
select to_regclass('broadaxe.migration')
