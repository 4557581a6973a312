-- One partition of table $1, for the days from $2 to before $3. Called by storage/partitions.py.
select broadaxe.make_partition($1, $2::date, $3::date)
