-- Schedules named by a command. Called by storage/loader.py; rides schedule_pkey.
select
    id::text, workflow_id::text, broadaxe.to_us(trigger_at) as trigger_at_us, input, additional_metadata::text, priority,
    parent_run_id::text, parent_task_id::text, child_index, child_key, broadaxe.to_us(created_at) as created_at_us,
    broadaxe.to_us(updated_at) as updated_at_us
from broadaxe.schedule
where tenant_id = $1 and id = any($2::uuid[])
order by trigger_at, id
