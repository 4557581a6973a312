-- Drops one of the days that `retention.enforce` found. $1 table, $2 day.
select broadaxe.drop_day($1, $2)
