-- How many topics have $2 in a name, counting no further than $3. Called by storage/topics.py; rides
-- stream_topic_by_name.
select count(*)
from (
    select
    from broadaxe.stream_topic
    where
        tenant_id = $1 and ($2 = '' or position(lower($2) in lower(name)) > 0 or position(lower($2) in lower(namespace)) > 0)
    limit $3
) as counted
