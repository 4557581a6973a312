-- The next schedules behind the instant $2 and the id $3, at most $4. Called by storage/loader.py; rides
-- schedule_by_time.
select
    id::text, workflow_id::text, broadaxe.to_us(trigger_at) as trigger_at_us, input, additional_metadata::text, priority,
    parent_run_id::text, parent_task_id::text, child_index, child_key, broadaxe.to_us(created_at) as created_at_us,
    broadaxe.to_us(updated_at) as updated_at_us
from broadaxe.schedule
where tenant_id = $1 and (trigger_at, id) > (broadaxe.from_us($2), $3::uuid)
order by trigger_at, id
limit $4
