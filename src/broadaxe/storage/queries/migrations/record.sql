-- Remembers an applied migration, in its transaction. Called by storage/migrate.py.
insert into broadaxe.migration (name, checksum) values ($1, $2)
