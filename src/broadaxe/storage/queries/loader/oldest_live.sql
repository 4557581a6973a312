-- The oldest run that has not finished: what is live is made no earlier. Called by storage/loader.py at activation, so
-- that all its other statements leave older partitions alone; rides run_live.
select id::text from broadaxe.run where tenant_id = $1 and finished_at is null order by id limit 1
