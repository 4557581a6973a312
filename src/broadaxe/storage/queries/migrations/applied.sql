-- What has been applied. Called by storage/migrate.py.
select name, checksum from broadaxe.migration order by name
