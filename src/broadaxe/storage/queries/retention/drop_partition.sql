-- Drops one of the partitions that `retention.enforce` found. $1 table, $2 partition, $3 since when runs that ended are
-- kept.
select broadaxe.drop_partition($1, $2, $3)
