-- One partition of table $1 for the month that begins with $2, instead of one for each day. Called by
-- storage/partitions.py before an engine starts.
select broadaxe.merge_month($1, $2::date)
