-- Stores a batch of log lines. Called by LogStore. $1 tenants, $2 ids, $3 tasks, $4 attempts, $5 levels, $6 messages,
-- $7 metadata, $8 times: arrays of equal length.
insert into broadaxe.log_line (tenant_id, id, task_id, retry_count, level, message, metadata, created_at)
select * from unnest(
    $1::uuid[], $2::uuid[], $3::uuid[], $4::integer[], $5::text[], $6::text[], $7::jsonb[], $8::timestamptz[]
)
on conflict do nothing
