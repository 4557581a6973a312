-- Day partitions from $1 to $2. Called by storage/migrate.py at start and once a day.
select broadaxe.ensure_partitions($1::date, $2::date)
