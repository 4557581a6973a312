-- Whether a row is there that only one commit can have made, to tell whether that commit was made. Called by
-- engine/postgres_store.py after a commit of which nobody heard; rides the primary key of the table named.
select case $2::text
    when 'run' then exists (select from broadaxe.run where tenant_id = $1 and id = $3::text::uuid)
    when 'event' then exists (select from broadaxe.event where tenant_id = $1 and id = $3::text::uuid)
    when 'version' then exists (select from broadaxe.workflow_version where tenant_id = $1 and id = $3::text::uuid)
    when 'worker' then exists (select from broadaxe.worker where tenant_id = $1 and id = $3::text::uuid)
    when 'cron' then exists (select from broadaxe.cron where tenant_id = $1 and id = $3::text::uuid)
    when 'message' then exists (
        select from broadaxe.stream_message
        where tenant_id = $1 and topic_id = split_part($3::text, '/', 1)::uuid and id = split_part($3::text, '/', 2)::uuid
    )
    when 'schedule' then exists (select from broadaxe.schedule where tenant_id = $1 and id = $3::text::uuid)
end
