-- Children spawned by the tasks $2, with the key they are deduplicated by. Runs that a task scheduled have neither key
-- nor index and are not deduplicated. Called by storage/loader.py; rides run_by_parent within the partitions from $3 on.
select parent_task_id::text, coalesce(nullif(child_key, ''), child_index::text) as key, id::text
from broadaxe.run
where tenant_id = $1 and parent_task_id = any($2::uuid[]) and id >= $3::uuid and (child_index is not null or child_key <> '')
order by id
