-- Drops one of the days that `retention.enforce` found. $1 table, $2 day, $3 since when runs that ended are kept.
select broadaxe.drop_day($1, $2, $3)
