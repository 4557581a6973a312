-- Deletes what is over in the default partitions from before $1. Called by `retention.enforce`.
select broadaxe.delete_leftovers($1)
