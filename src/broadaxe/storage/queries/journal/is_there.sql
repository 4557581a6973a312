-- Whether a row is there that only one commit can have made, to tell whether that commit was made. Called by
-- engine/postgres_store.py after a commit of which nobody heard; rides the primary key of the table named.
select case $2::text
    when 'run' then exists (select from broadaxe.run where tenant_id = $1 and id = $3::uuid)
    when 'event' then exists (select from broadaxe.event where tenant_id = $1 and id = $3::uuid)
    when 'version' then exists (select from broadaxe.workflow_version where tenant_id = $1 and id = $3::uuid)
    when 'worker' then exists (select from broadaxe.worker where tenant_id = $1 and id = $3::uuid)
    when 'cron' then exists (select from broadaxe.cron where tenant_id = $1 and id = $3::uuid)
    when 'schedule' then exists (select from broadaxe.schedule where tenant_id = $1 and id = $3::uuid)
end
