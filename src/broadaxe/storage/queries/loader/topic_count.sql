-- How many topics a tenant has. Called by storage/loader.py for the first new topic of a tenant in memory; rides
-- stream_topic_pkey.
select count(*) from broadaxe.stream_topic where tenant_id = $1
