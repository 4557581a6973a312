-- Remembers an applied migration, in its transaction. Called by storage/migrate.py.
insert into broadaxe.migration (name, checksum, phase) values ($1, $2, $3)
